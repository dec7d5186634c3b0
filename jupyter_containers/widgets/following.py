"""Widgets that draw one thing anew when the event feed says that something happened to it.

One thread reads the feed, another looks: after an event, and every ``interval`` seconds where what
is shown also changes without one.  Nobody looks while no view is on a page.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ClassVar

from jupyter_containers.errors import ContainersError, NotFoundError, OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.journal import JournalEvent

# Events of one cause come together, and a page is drawn at most ten times a second.
_TOGETHER_SECONDS = 0.1


class FollowingWidget(LiveWidget):
    """A widget over one bundle; subclasses say which events concern it and how to look."""

    interval: ClassVar[float | None] = None

    def __init__(
        self, engine: Engine, gallery: Gallery, cell: Callable[[], object] = lambda: None
    ) -> None:
        self._cancel = CancelToken()
        self._again = threading.Event()
        # The place in the feed is taken before the first look: nothing falls between.
        self._feed = engine.system.events(
            filters={"type": ["container", "network"]}, cancel=self._cancel
        )
        super().__init__(gallery, cell)

    def start(self) -> None:
        """Begin to follow."""
        threading.Thread(target=self._read, name="widget-feed", daemon=True).start()
        threading.Thread(target=self._run, name="widget-look", daemon=True).start()

    def concerns(self, event: JournalEvent) -> bool:
        """Return whether to look again."""
        raise NotImplementedError

    def look(self) -> None:
        """Look, and tell the views what is new; raises :class:`NotFoundError` when it has gone."""
        raise NotImplementedError

    def greet(self, view: str) -> None:
        """Give a new view what was seen last, and look again: nobody may have for a while."""
        self.tell("hello", to=view, **self.content())
        self._again.set()

    def content(self) -> dict[str, Any]:
        """Return what a view draws."""
        raise NotImplementedError

    def finish(self) -> None:
        """End both threads."""
        self._cancel.cancel()
        self._again.set()

    def _read(self) -> None:
        try:
            for event in self._feed:
                if self.concerns(event):
                    self._again.set()
        except OperationCancelledError:
            return
        except ContainersError as error:
            self.tell("notice", text=f"no longer followed: {error.message}")

    def _run(self) -> None:
        while not self.closed:
            self._again.wait(self.interval)
            if self._over.wait(_TOGETHER_SECONDS):
                return
            self._again.clear()
            if not self.watched:
                continue
            try:
                self.look()
            except NotFoundError as error:
                self.tell("notice", text=error.message, gone=True)
            except ContainersError as error:
                self.tell("notice", text=f"not up to date: {error.message}")
