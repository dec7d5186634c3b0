"""Widgets that update when the event feed reports a change of what they show."""

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

# Related events come together, and a page is drawn at most ten times a second.
_TOGETHER_SECONDS = 0.1


class FollowingWidget(LiveWidget):
    """A widget over one bundle; subclasses select the events and implement the update.

    ``interval`` is the seconds between updates without an event, None for none.
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
        # The position in the feed is taken before the first look: nothing is missed.
        self._feed = engine.system.events(
            filters={"type": ["container", "network"]}, cancel=self._loop.cancel
        )
        super().__init__(gallery, cell)

    def start(self) -> None:
        """Start following."""
        self._loop.start(
            self._feed,
            self.concerns,
            lambda error: self.tell(Notice(f"no longer followed: {error.message}")),
        )

    def concerns(self, event: JournalEvent) -> bool:
        """Return whether an event requires another look."""
        raise NotImplementedError

    def look(self) -> None:
        """Look, and send changes to the views; raise :class:`NotFoundError` if it was removed."""
        raise NotImplementedError

    def hello(self) -> msgspec.Struct:
        """Return the message that a new view draws."""
        raise NotImplementedError

    def greet(self, view: str) -> None:
        """Send the last state to a new view, and look again: it may be outdated."""
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
