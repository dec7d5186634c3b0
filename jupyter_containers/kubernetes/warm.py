"""Pods that stay for many commands: each has a shell, which reads one command after the other.

The shell is started by ``exec`` and reads from a channel of :mod:`.streams`.  A command is one
line that ends with printing a *mark*, a random word, to both output streams: what is before it is
the command's output.

A pod ends by itself a minute after the last sign of its shell, which signals it while this process
is alive.  A pod that is lost, or whose command was cancelled, is replaced.
"""

from __future__ import annotations

import secrets
import shlex
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.containers.streams import Capture, OutputSink, StreamName
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.results import RunResult
from jupyter_containers.errors import (
    ClusterError,
    ClusterForbiddenError,
    ClusterUnreachableError,
    ContainersError,
    NotFoundError,
    PodNotStartedError,
    QuotaError,
)
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.kubernetes.client import Patience
from jupyter_containers.kubernetes.foreground import failure
from jupyter_containers.kubernetes.streams import ERROR, STDERR, STDIN, Channel
from jupyter_containers.kubernetes.translation import MAIN
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.options.values import as_command

if TYPE_CHECKING:
    from jupyter_containers.kubernetes.containers import ClusterContainers
    from jupyter_containers.kubernetes.pods import Found

_TICK = 0.1
_LOSSES = 5
_FULL_PAUSE = 2.0
# The first process: it ends 60 s after the last signal, and at once when asked to.
_STAY = (
    "trap 'n=0' USR1; trap 'exit 0' TERM; n=0;"
    " while [ $n -lt 60 ]; do n=$((n+1)); sleep 1 & wait $!; done"
)
# The shell's first line: signs of life until the shell has ended.
_SIGNS = "(while kill -0 $$ && kill -USR1 1; do sleep 15; done) >/dev/null 2>&1 </dev/null &\n"


class LostError(Exception):
    """A pod was lost while a command ran in it."""


class WarmPods:
    """Up to ``limit`` pods of one image; close it to remove them.

    :meth:`run` may be called by several threads; each takes a pod that is idle or a new one.
    """

    def __init__(
        self,
        containers: ClusterContainers,
        image: str,
        flags: Mapping[str, Any],
        limit: int,
        on_output: OutputSink | None = None,
    ) -> None:
        self._containers, self._image, self._flags = containers, image, dict(flags)
        self._limit, self._on_output = max(1, limit), on_output
        self._idle: deque[WarmPod] = deque()
        self._count = 0
        self._full_until = 0.0
        self._free = threading.Condition()
        self._closed = False
        self._config = ExecutionConfig()
        self._lost: list[WarmPod] = []

    def __enter__(self) -> WarmPods:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def first(self, emit: EventSink, cancel: CancelToken) -> None:
        """Start the first pod; raise if that is not possible."""
        with self._free:
            self._count += 1
        self._give_back(self._started(emit, cancel))

    def run(
        self,
        command: Sequence[str],
        *,
        cancel: CancelToken,
        check: bool = True,
        stdin: bytes | None = None,
    ) -> RunResult:
        """Run a command in one of the pods; raise :class:`ContainerFailedError` if it fails.

        A command whose pod is lost runs again in another pod, up to five times.
        """
        for _ in range(_LOSSES):
            pod = self._take(cancel)
            capture = Capture(self._on_output)
            try:
                code = pod.run(self._words(command), stdin, capture, cancel)
            except LostError:
                self._discard(pod)
                continue
            except BaseException:
                self._discard(pod)
                raise
            self._give_back(pod)
            result = RunResult(
                code, capture.value("stdout"), capture.value("stderr"), pod.found.record.id,
                truncated=capture.truncated,
            )  # fmt: skip
            if code and check:
                raise failure(pod.found.record, code, capture)
            return result
        raise ClusterError(
            f"the command was lost {_LOSSES} times with its pod",
            hint="does it end its own container, or does it need more memory (--memory)?",
        )

    def close(self) -> None:
        """Remove all idle pods; those at work are removed when their command ends."""
        with self._free:
            self._closed = True
            left = [*self._idle, *self._lost]
            self._idle.clear()
            self._free.notify_all()
        for pod in left:
            pod.remove()

    def _words(self, command: Sequence[str]) -> list[str]:
        """Return the whole command line, with the entrypoint and command of the image."""
        own = self._flags.get("entrypoint")
        entrypoint = self._config.entrypoint or () if own is None else as_command(own)
        return [*entrypoint, *(command or self._config.cmd or ())]

    def _take(self, cancel: CancelToken) -> WarmPod:
        patience = Patience()
        while True:
            cancel.check()
            with self._free:
                if self._idle:
                    return self._idle.popleft()
                fresh = self._count < self._limit and time.monotonic() >= self._full_until
                if fresh:
                    self._count += 1
                else:
                    self._free.wait(_TICK)
            if not fresh:
                continue
            try:
                pod = self._started(discard, cancel)
            except (QuotaError, PodNotStartedError) as error:
                with self._free:
                    others = self._count
                    self._full_until = time.monotonic() + _FULL_PAUSE
                if not others or getattr(error, "reason", "Unschedulable") != "Unschedulable":
                    raise
            except ClusterUnreachableError:
                if not patience.more():
                    raise
            else:
                return pod

    def _started(self, emit: EventSink, cancel: CancelToken) -> WarmPod:
        """Return a new pod that is counted already."""
        try:
            found, self._config = self._containers.keep(
                self._image, ["sh", "-c", _STAY], self._flags, emit, cancel
            )
            return WarmPod(self._containers, found)
        except BaseException:
            with self._free:
                self._count -= 1
            raise

    def _give_back(self, pod: WarmPod) -> None:
        with self._free:
            if not self._closed:
                self._idle.append(pod)
                self._free.notify()
                return
        pod.remove()

    def _discard(self, pod: WarmPod) -> None:
        with deferred():
            removed = pod.remove()
            with self._free:
                self._count -= 1
                self._free.notify()
                if not removed:
                    self._lost.append(pod)


class WarmPod:
    """A pod, and the shell in it that runs commands."""

    def __init__(self, containers: ClusterContainers, found: Found) -> None:
        self._containers, self.found = containers, found
        self._channel: Channel | None = None

    def run(
        self, command: Sequence[str], stdin: bytes | None, capture: Capture, cancel: CancelToken
    ) -> int:
        """Run a command to its end; return its exit code.

        Raises :class:`LostError` if the pod or the connection is lost.
        """
        if stdin is not None:
            return self._run_with_input(command, stdin, capture)
        mark = secrets.token_hex(16)
        line = (
            f"( exec {shlex.join(command)} ) </dev/null;"
            f" printf '%s %d\\n' {mark} $?; printf '%s\\n' {mark} >&2\n"
        )
        try:
            channel = self._shell()
            if not channel.send(STDIN, line.encode()):
                raise LostError
            return _Reading(mark.encode(), capture).until_marks(channel, cancel)
        except ClusterForbiddenError:
            raise
        except (ClusterError, NotFoundError) as error:
            raise LostError from error

    def _run_with_input(self, command: Sequence[str], stdin: bytes, capture: Capture) -> int:
        try:
            result = self._containers.exec(
                self.found.record.id, command, stdin=stdin, check=False, on_output=capture
            )
        except (ClusterError, NotFoundError) as error:
            raise LostError from error
        return result.exit_code

    def _shell(self) -> Channel:
        if self._channel is None:
            self._channel = self._containers.channel(
                self.found, "exec",
                container=MAIN, command=["sh"], stdin=True, stdout=True, stderr=True,
            )  # fmt: skip
            self._channel.send(STDIN, _SIGNS.encode())
        return self._channel

    def remove(self) -> bool:
        """End the shell, what runs in it, and the pod; return False if the cluster does not answer.

        The pod then ends by itself.
        """
        if self._channel is not None:
            self._channel.close()
        try:
            with deferred():
                self._containers.delete(self.found)
        except ContainersError:
            return False
        return True


class _Reading:
    """The output of one command, up to the marks at the ends of both streams."""

    def __init__(self, mark: bytes, capture: Capture) -> None:
        self._mark, self._capture = mark, capture
        self._rest: dict[StreamName, bytes] = {"stdout": b"", "stderr": b""}
        self._ended: dict[StreamName, bytes] = {}

    def until_marks(self, channel: Channel, cancel: CancelToken) -> int:
        """Return the exit code."""
        while len(self._ended) < 2:
            if not channel.wait(_TICK):
                cancel.check()
                continue
            message = channel.receive(empty=True)
            if message is None or (message[0] == ERROR and message[1]):
                raise LostError
            self._receive("stderr" if message[0] == STDERR else "stdout", message[1])
        return int(self._ended["stdout"])

    def _receive(self, stream: StreamName, data: bytes) -> None:
        text = self._rest[stream] + data
        before, found, after = text.partition(self._mark)
        if found:
            if before:
                self._capture(stream, before)
            self._rest[stream] = found + after
            if after.endswith(b"\n"):
                self._ended[stream] = after.strip()
            return
        kept = max(0, len(text) - len(self._mark) + 1)
        if kept:
            self._capture(stream, text[:kept])
        self._rest[stream] = text[kept:]
