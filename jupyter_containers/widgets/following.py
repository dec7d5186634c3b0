"""Widgets that show one thing again when the event feed says that something happened to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import msgspec

from jupyter_containers.errors import ContainersError, NotFoundError
from jupyter_containers.widgets.follow_loop import FollowLoop
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.live import LiveWidget
from jupyter_containers.widgets.messages import Notice

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.journal import JournalEvent

# Events of one cause come together, and a page is drawn at most ten times a second.
_TOGETHER_SECONDS = 0.1


class FollowingWidget(LiveWidget):
    """A widget over one bundle; subclasses say which events concern it and how to look.

    ``interval`` is the seconds between looks without an event, None for no such looks.
    """

    interval: ClassVar[float | None] = None

    def __init__(
        self, engine: Engine, gallery: Gallery, cell: Callable[[], object] = lambda: None
    ) -> None:
        self._loop = FollowLoop(
            self.look,
            self._tell_failure,
            interval=lambda: self.interval,
            watched=lambda: self.watched,
            together=_TOGETHER_SECONDS,
        )
        # The place in the feed is taken before the first look: nothing falls between.
        self._feed = engine.system.events(
            filters={"type": ["container", "network"]}, cancel=self._loop.cancel
        )
        super().__init__(gallery, cell)

    def start(self) -> None:
        """Begin to follow."""
        self._loop.start(
            self._feed,
            self.concerns,
            lambda error: self.tell(Notice(f"no longer followed: {error.message}")),
        )

    def concerns(self, event: JournalEvent) -> bool:
        """Return whether to look again."""
        raise NotImplementedError

    def look(self) -> None:
        """Look, and tell the views what is new; raises :class:`NotFoundError` when it has gone."""
        raise NotImplementedError

    def hello(self) -> msgspec.Struct:
        """Return what a new view draws."""
        raise NotImplementedError

    def greet(self, view: str) -> None:
        """Give a new view what was seen last, and look again: nobody may have for a while."""
        self.tell(self.hello(), to=view)
        self._loop.wake()

    def finish(self) -> None:
        """End both threads."""
        self._loop.stop()

    def _tell_failure(self, error: ContainersError) -> None:
        if isinstance(error, NotFoundError):
            self.tell(Notice(error.message, gone=True))
        else:
            self.tell(Notice(f"not up to date: {error.message}"))
