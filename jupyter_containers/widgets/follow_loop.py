"""The loop that keeps a page up to date: it polls only while a view is visible.

One thread reads the event feed, another looks: after a relevant event, when woken, and at an
interval if the shown values also change without events.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING

from jupyter_containers.errors import ContainersError, OperationCancelledError
from jupyter_containers.events import CancelToken

if TYPE_CHECKING:
    from jupyter_containers.engine.journal import JournalEvent


class FollowLoop:
    """Calls ``look`` until :meth:`stop`.

    ``failed`` receives exceptions of ``look``, and the loop continues.  ``interval`` returns the
    seconds to the next look, None to wait for an event.  Events within ``together`` seconds cause
    one look.
    """

    def __init__(
        self,
        look: Callable[[], None],
        failed: Callable[[ContainersError], None],
        *,
        interval: Callable[[], float | None] = lambda: None,
        watched: Callable[[], bool] = lambda: True,
        together: float = 0.0,
        name: str = "widget",
    ) -> None:
        self._look, self._failed, self._name = look, failed, name
        self._interval, self._watched, self._together = interval, watched, together
        self._woken = threading.Event()
        self.cancel = CancelToken()

    def start(
        self,
        events: Iterator[JournalEvent] | None = None,
        concerns: Callable[[JournalEvent], bool] = lambda _: True,
        lost: Callable[[ContainersError], None] | None = None,
    ) -> None:
        """Start; ``lost`` receives the error that ends the feed, ``failed`` if it is None.

        The feed must end when ``cancel`` is cancelled.
        """
        if events is not None:
            arguments = (events, concerns, lost or self._failed)
            self._thread("feed", self._read, *arguments).start()
        self._thread("look", self._run).start()

    def wake(self) -> None:
        """Look soon."""
        self._woken.set()

    def stop(self) -> None:
        """End both threads."""
        self.cancel.cancel()
        self._woken.set()

    def _thread(self, name: str, run: Callable[..., None], *arguments: object) -> threading.Thread:
        name = f"{self._name}-{name}"
        return threading.Thread(target=run, args=arguments, name=name, daemon=True)

    def _read(
        self,
        events: Iterator[JournalEvent],
        concerns: Callable[[JournalEvent], bool],
        lost: Callable[[ContainersError], None],
    ) -> None:
        try:
            for event in events:
                if concerns(event):
                    self.wake()
        except OperationCancelledError:
            return
        except ContainersError as error:
            lost(error)

    def _run(self) -> None:
        while True:
            self._woken.wait(self._interval())
            if self.cancel.wait(self._together):
                return
            self._woken.clear()
            if self._watched():
                try:
                    self._look()
                except OperationCancelledError:
                    return
                except ContainersError as error:
                    self._failed(error)
