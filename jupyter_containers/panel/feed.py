"""Sends changes to a page, driven by the engine's event feed instead of polling.

The sections affected by an event are listed again, and the differences from the page's state are
sent.  Simultaneous events are sent together.  While the panel is visible, the usage of running
containers is measured once a second, or less often if that takes long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from jupyter_containers.errors import ContainersError, NotFoundError, RegistryError
from jupyter_containers.panel.listing import Listing
from jupyter_containers.panel.messages import Changes, FromKernel, Section, Usage, Used
from jupyter_containers.printable import printable
from jupyter_containers.widgets.follow_loop import FollowLoop

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.journal import JournalEvent

Tell = Callable[[FromKernel], None]

# The sections that an event of a type can change.
TOUCHED: dict[str, tuple[Section, ...]] = {
    "container": ("containers", "images", "volumes", "networks", "registries"),
    "image": ("images", "builds"),
    "volume": ("volumes",),
    "network": ("networks",),
    "builder": ("builds",),
}
# Frequent events that change nothing in the lists.
_QUIET = (
    "exec_create",
    "exec_start",
    "exec_die",
    "top",
    "archive-path",
    "extract-to-dir",
    "attach",
)
_SHOWN = 80  # characters of a cell
_TOGETHER_SECONDS = 0.03
_USAGE_SECONDS = 1.0
# A visible page reports every half minute; browsers may delay that up to a minute.
_SEEN_SECONDS = 150.0
# The maximum share of time for measuring and listing.
_SHARE = 0.2


class Feed:
    """Sends changes to one page; ``lost`` is called when the store can no longer be read.

    ``clock`` returns seconds.
    """

    def __init__(
        self,
        engine: Engine,
        tell: Tell,
        lost: Callable[[], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._engine, self._tell, self._lost, self._clock = engine, tell, lost, clock
        self._listing = Listing(engine)
        self._lock = threading.Lock()
        self._touched: set[Section] = set(get_args(Section))
        self._seen_until = 0.0
        self._measured, self._pause = 0.0, 0.0
        self._known: dict[str, dict[str, Any]] = {}
        self._logins: list[str] = []
        self._loop = FollowLoop(
            self._look,
            self._end,
            interval=self._until_measuring,
            together=_TOGETHER_SECONDS,
            name="panel",
        )

    def start(self) -> None:
        """Send everything, and then changes."""
        # The position in the feed is taken before the first listing, so that no event is missed.
        events = self._engine.system.events(cancel=self._loop.cancel)
        self._loop.start(events, self._note)
        self._loop.wake()

    def stop(self) -> None:
        """Stop sending."""
        self._loop.stop()

    def watch(self, visible: bool) -> None:
        """Measure the usage of containers while the panel is visible.

        A visible page repeats its report, so that a crashed one is noticed.
        """
        self._seen_until = self._clock() + _SEEN_SECONDS if visible else 0.0
        self._loop.wake()

    def touch(self, *sections: Section) -> None:
        """List these sections again."""
        with self._lock:
            self._touched.update(sections)
        self._loop.wake()

    def _note(self, event: JournalEvent) -> bool:
        """Record the sections that an event affects; return whether there are any."""
        sections = TOUCHED.get(event.type, ())
        if event.action.partition(":")[0] in _QUIET or not sections:
            return False
        with self._lock:
            self._touched.update(sections)
        return True

    def _end(self, _: ContainersError) -> None:
        """End, because the store can no longer be read."""
        self._loop.stop()
        self._lost()

    def _until_measuring(self) -> float | None:
        now = self._clock()
        if now >= self._seen_until:
            return None
        return max(0.0, self._measured + max(_USAGE_SECONDS, self._pause) - now)

    def _look(self) -> None:
        self._tell_changes()
        now = self._clock()
        if now < self._seen_until and now - self._measured >= _USAGE_SECONDS:
            self._tell_usage()
            self._tell_section("builds")
            self._look_at_logins()
            self._measured = self._clock()
            self._pause = (self._measured - now) / _SHARE

    def _tell_changes(self) -> None:
        with self._lock:
            touched, self._touched = self._touched, set()
        if not touched:
            return
        for section in get_args(Section):
            if section in touched:
                self._tell_section(section)
        self._listing.forget()

    def _tell_section(self, section: Section) -> None:
        old = self._known.get(section)
        new = {item.id: item for item in self._listing.items(section)}
        self._known[section] = new
        if old is None:
            self._tell(Changes(section, list(new.values()), [], whole=True))
            return
        put = [item for key, item in new.items() if old.get(key) != item]
        gone = [key for key in old if key not in new]
        if put or gone:
            self._tell(Changes(section, put, gone))

    def _look_at_logins(self) -> None:
        """Detect a login or logout of any program: a file changes, without an event."""
        try:
            logins = self._engine.registries.logins()
        except RegistryError:
            return  # an unreadable file is reported when it is used
        if logins != self._logins:
            self._logins = logins
            self.touch("registries")

    def _tell_usage(self) -> None:
        running = [
            item.id
            for item in self._known.get("containers", {}).values()
            if item.state in ("running", "paused")
        ]
        try:
            samples = self._engine.containers.stats(running) if running else []
        except NotFoundError:
            return  # a container was just removed; the feed reports it
        cells = self._cells()
        self._tell(
            Used(
                [
                    Usage(
                        one.container_id,
                        round(one.cpu_percent, 2),
                        one.memory_usage,
                        one.memory_limit,
                        cells.get(one.container_id, ""),
                    )
                    for one in samples
                ]
            )
        )

    def _cells(self) -> dict[str, str]:
        """Return the first lines of the cells that run in sessions of this kernel."""
        items = self._known.get("containers", {}).values()
        if not any(item.session for item in items):
            return {}
        sessions = self._engine.sessions.list()
        return {one.container_id: printable(one.running)[:_SHOWN] for one in sessions}
