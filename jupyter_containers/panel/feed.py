"""What changed, told to a page: the engine's event feed drives it, nothing is asked in a circle.

One thread reads the feed and notes which sections an event touches; another lists those and tells
what differs from what the page has.  Events that come together are told together.  While the
panel is seen, what running containers use is measured once a second, or less often where that
takes long.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, get_args

from jupyter_containers.errors import (
    ContainersError,
    NotFoundError,
    OperationCancelledError,
    RegistryError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.panel.listing import Listing
from jupyter_containers.panel.messages import Changes, FromKernel, Section, Usage, Used

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine

Tell = Callable[[FromKernel], None]

# What an event of a type may have changed, by section.
TOUCHED: dict[str, tuple[Section, ...]] = {
    "container": ("containers", "images", "volumes", "networks", "registries"),
    "image": ("images", "builds"),
    "volume": ("volumes",),
    "network": ("networks",),
    "builder": ("builds",),
}
# These happen often and change nothing that is listed.
_QUIET = (
    "exec_create",
    "exec_start",
    "exec_die",
    "top",
    "archive-path",
    "extract-to-dir",
    "attach",
)
_TOGETHER_SECONDS = 0.03
_USAGE_SECONDS = 1.0
# A page that is seen says so every half minute; browsers may delay that up to a minute.
_SEEN_SECONDS = 150.0
# Of the time, at most this share is spent measuring and listing.
_SHARE = 0.2


class Feed:
    """Tells one page; ``lost`` is called when the store can no longer be read.

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
        self._cancel = CancelToken()
        self._lock = threading.Lock()
        self._touched: set[Section] = set(get_args(Section))
        self._wake = threading.Event()
        self._seen_until = 0.0
        self._known: dict[str, dict[str, Any]] = {}
        self._logins: list[str] = []

    def start(self) -> None:
        """Tell everything, and then what changes."""
        # The place in the feed is taken before the first look: nothing falls between.
        events = self._engine.system.events(cancel=self._cancel)
        threading.Thread(target=self._read, args=(events,), name="panel-feed", daemon=True).start()
        self._wake.set()
        threading.Thread(target=self._run, name="panel-list", daemon=True).start()

    def stop(self) -> None:
        """Tell nothing any more."""
        self._cancel.cancel()
        self._wake.set()

    def watch(self, visible: bool) -> None:
        """Measure what containers use while the panel is seen.

        A page that crashed says nothing more: one that is seen says so again and again.
        """
        self._seen_until = self._clock() + _SEEN_SECONDS if visible else 0.0
        self._wake.set()

    def touch(self, *sections: Section) -> None:
        """Look at these sections again."""
        with self._lock:
            self._touched.update(sections)
        self._wake.set()

    def _read(self, events: Any) -> None:
        try:
            for event in events:
                if event.action.partition(":")[0] not in _QUIET:
                    self.touch(*TOUCHED.get(event.type, ()))
        except OperationCancelledError:
            pass
        except ContainersError:
            self._lost()

    def _run(self) -> None:
        measured, pause = 0.0, 0.0
        while True:
            now = self._clock()
            due = max(0.0, measured + max(_USAGE_SECONDS, pause) - now)
            self._wake.wait(due if now < self._seen_until else None)
            self._wake.clear()
            try:
                self._cancel.check()
                self._tell_changes()
                now = self._clock()
                if now < self._seen_until and now - measured >= _USAGE_SECONDS:
                    self._tell_usage()
                    self._tell_section("builds")
                    self._look_at_logins()
                    measured = self._clock()
                    pause = (measured - now) / _SHARE
            except OperationCancelledError:
                return
            except ContainersError:
                self._lost()
                return

    def _tell_changes(self) -> None:
        with self._lock:
            if not self._touched:
                return
        if self._known:
            # More events of one cause are on their way: a start alone makes two.
            time.sleep(_TOGETHER_SECONDS)
        with self._lock:
            touched, self._touched = self._touched, set()
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
        """Notice a login or logout, whoever did it: a file changes, and no event tells."""
        try:
            logins = self._engine.registries.logins()
        except RegistryError:
            return  # a file that cannot be read is told where it is needed
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
            return  # one was removed a moment ago; the feed tells it
        self._tell(
            Used(
                [
                    Usage(
                        one.container_id,
                        round(one.cpu_percent, 2),
                        one.memory_usage,
                        one.memory_limit,
                    )
                    for one in samples
                ]
            )
        )
