"""The end of containers in a cluster by the user's wish.

The stop signal is sent by a shell in the container, because a cluster can only delete a pod, and
with it the log and the exit code.  A container without a shell, or one that the cluster would start
again, is ended by its node (``activeDeadlineSeconds``), which keeps the log; before Kubernetes 1.22
the exit code is lost.  What does not end is killed by deleting the pod (:meth:`.Pods.kill`).
"""

from __future__ import annotations

import math
import threading

from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.foreground import Foreground
from jupyter_containers.kubernetes.labels import STOPPED
from jupyter_containers.kubernetes.pods import Found, Pods
from jupyter_containers.options.values import parse_signal
from jupyter_containers.settings import Settings


class Stopping:
    """Stops and kills containers."""

    def __init__(self, pods: Pods, foreground: Foreground, settings: Settings) -> None:
        self._pods, self._foreground, self._settings = pods, foreground, settings

    def grace(self, found: Found, timeout: float | None) -> float:
        """Return the seconds between the stop signal and KILL."""
        own = found.record.options.stop_timeout
        usual = own if own >= 0 else self._settings.stop_timeout
        return max(0.0, usual if timeout is None else timeout)

    def stop(self, found: Found, timeout: float | None, signal: str | int | None) -> None:
        """Stop a container: by its stop signal, and after a time by force."""
        if not found.record.state.status.up or found.pod is None:
            return
        options = found.record.options
        grace = self.grace(found, timeout)
        usual = signal or options.stop_signal or found.record.config.stop_signal or "TERM"
        if options.rm:
            self._pods.delete(found, grace=math.ceil(grace))
            self._pods.await_gone(found)
            return
        if options.restart.name == "no" and self._signalled(found, parse_signal(usual)):
            self._stopped_by_user(found)
            if self._ends_within(found, grace):
                return
            self._pods.kill(found)
            return
        self._pods.set_deadline(found)
        if not self._ends_within(found, grace + 2.0, stopping=True):
            self._pods.kill(found)

    def _signalled(self, found: Found, number: int) -> bool:
        """Send a signal; return False if the container has no program for that."""
        try:
            self._foreground.signal(found, number)
        except ContainersError:
            return False
        return True

    def _stopped_by_user(self, found: Found) -> None:
        self._pods.annotate(found, {STOPPED: "true"})

    def _ends_within(self, found: Found, seconds: float, *, stopping: bool = False) -> bool:
        """Return whether a container ends within a time."""
        token = CancelToken()
        timer = threading.Timer(seconds, token.cancel)
        timer.daemon = True
        timer.start()
        try:
            self._pods.await_end(found, token)
            if stopping:
                # Before Kubernetes 1.22 only the end of the log shows that the program has ended.
                return self._foreground.log_ends(found, token)
            return True
        except ContainersError:
            if not token.cancelled:
                raise
            return False
        finally:
            timer.cancel()

    def end_now(self, found: Found) -> None:
        """Kill a container; with ``rm``, remove it."""
        if found.record.options.rm:
            self._pods.delete(found)
            self._pods.await_gone(found)
        else:
            self._pods.kill(found)
