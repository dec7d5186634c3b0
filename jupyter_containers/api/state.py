"""The state that a service keeps between requests, and loses when it ends.

*Execs* are commands that were created, are running or have ended.  *Expected* are clients that
attached to a container before its start: they are connected before its first instruction.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jupyter_containers.api.buildkit.registry import BuildKitState
from jupyter_containers.api.errors import StatusError
from jupyter_containers.engine.naming import new_id
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field

if TYPE_CHECKING:
    from jupyter_containers.runtime.attach import Attachment

_MOST_EXECS = 5000
_KEPT_SECONDS = 300.0


@dataclass(slots=True)
class Exec:
    """A command in a container: its document and its state."""

    id: str
    container_id: str
    words: tuple[str, ...]
    flags: dict[str, Any]
    document: dict[str, Any]
    size: tuple[int, int] = (24, 80)
    started: bool = False
    running: bool = False
    detached: bool = False
    exit_code: int | None = None
    ended: float = 0.0
    number: Callable[[], int] = lambda: 0
    pid: int = 0

    def begun(self, number: Callable[[], int]) -> None:
        """Take the function that returns the process's number on the host."""
        self.number = number

    def inspected(self) -> dict[str, Any]:
        """Return Docker's document; the process's number stays after its end."""
        self.pid = self.number() or self.pid
        return {
            **self.document,
            "Pid": self.pid,
            "ID": self.id,
            "ContainerID": self.container_id,
            "Running": self.running,
            "ExitCode": self.exit_code,
            "CanRemove": False,
        }


class Execs:
    """The commands of a service; an ended one is removed after five minutes."""

    def __init__(self) -> None:
        self._items: OrderedDict[str, Exec] = OrderedDict()
        self._lock = threading.Lock()

    def add(
        self, container_id: str, words: tuple[str, ...], flags: dict[str, Any], document: Any
    ) -> Exec:
        """Add a command and return it."""
        made = Exec(new_id(), container_id, words, flags, document)
        with self._lock:
            now = time.monotonic()
            old = [key for key, one in self._items.items() if one.ended and one.ended < now]
            for key in old:
                del self._items[key]
            while len(self._items) >= _MOST_EXECS:
                self._items.popitem(last=False)
            self._items[made.id] = made
        return made

    def get(self, exec_id: str) -> Exec:
        """Return a command; raise :class:`StatusError` (404)."""
        with self._lock:
            found = [one for key, one in self._items.items() if key.startswith(exec_id)]
        if len(found) != 1:
            raise StatusError(404, f"No such exec instance: {exec_id}")
        return found[0]

    def check_startable(self, one: Exec, alive: bool) -> None:
        """Raise :class:`StatusError` (404): the commands of a container end with it."""
        if not alive:
            raise StatusError(404, f"No such exec instance: {one.id}")

    def begin(self, one: Exec) -> None:
        """Mark a command as started; raise :class:`StatusError` (409) if it already was."""
        with self._lock:
            if one.started:
                word = "running" if one.running else "already run"
                raise StatusError(409, f"exec command {one.id} is {word}")
            one.started = one.running = True

    def end(self, one: Exec, code: int) -> None:
        """Mark a command as ended."""
        one.pid = one.number() or one.pid
        one.running, one.exit_code = False, code
        one.ended = time.monotonic() + _KEPT_SECONDS

    def of(self, container_id: str) -> list[str]:
        """Return the IDs of a container's commands that run, or have not been started."""
        with self._lock:
            return [
                one.id
                for one in self._items.values()
                if one.container_id == container_id and one.exit_code is None
            ]


class Expectation:
    """A client attached to a container that does not run yet."""

    def __init__(self) -> None:
        self._attachment: Attachment | None = None
        self._left = False
        self._lock = threading.Lock()
        self._decided = threading.Event()

    def fulfil(self, attachment: Attachment | None) -> None:
        """Connect the client, or with None end its wait without a container."""
        with self._lock:
            if self._left and attachment is not None:
                attachment.close()
            else:
                self._attachment = attachment
        self._decided.set()

    def taken(self) -> Attachment | None:
        """Return the streams, which are the caller's to close from now on."""
        with self._lock:
            found, self._attachment = self._attachment, None
        return found

    def leave(self) -> None:
        """Close streams that nobody has taken, or will take."""
        with self._lock:
            self._left = True
            if self._attachment is not None:
                self._attachment.close()

    def wait(self, seconds: float) -> bool:
        """Return whether the wait has ended within the time."""
        return self._decided.wait(seconds)


class Expected:
    """The clients that wait for containers to be started, by container."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Expectation]] = {}
        self._lock = threading.Lock()

    @contextmanager
    def expecting(self, container_id: str) -> Iterator[Expectation]:
        """Let a client wait for a start until the end of the block."""
        made = Expectation()
        with self._lock:
            self._waiting.setdefault(container_id, []).append(made)
        try:
            yield made
        finally:
            self.drop(container_id, made)
            made.leave()

    def drop(self, container_id: str, one: Expectation) -> bool:
        """Forget a client; return False where a start has begun to connect it."""
        with self._lock:
            waiting = self._waiting.get(container_id, [])
            known = one in waiting
            if known:
                waiting.remove(one)
            if not waiting:
                self._waiting.pop(container_id, None)
        return known

    def decide(self, container_id: str, attach: Callable[[], Attachment | None]) -> None:
        """Connect all clients that wait for a container; with None, end their wait."""
        with self._lock:
            waiting = self._waiting.pop(container_id, [])
        try:
            while waiting:
                waiting[-1].fulfil(attach())
                waiting.pop()
        finally:
            for one in waiting:
                one.fulfil(None)


class Builds:
    """The builds under way that their clients gave an ID, to cancel them by it."""

    def __init__(self) -> None:
        self._running: dict[str, CancelToken] = {}
        self._lock = threading.Lock()

    @contextmanager
    def known(self, build_id: str, cancel: CancelToken) -> Iterator[None]:
        """Make a build known by its ID for the block; with no ID it is not."""
        with self._lock:
            if build_id in self._running:
                raise StatusError(409, f"build {build_id[:80]} is under way")
            if build_id:
                self._running[build_id] = cancel
        try:
            yield
        finally:
            with self._lock:
                self._running.pop(build_id, None)

    def cancel(self, build_id: str) -> None:
        """Cancel a build, if it is under way."""
        with self._lock:
            found = self._running.get(build_id)
        if found is not None:
            found.cancel()


@dataclass(slots=True)
class ServiceState:
    """The state of one service; each part has its own lock."""

    stopping: threading.Event = field(default_factory=threading.Event)
    execs: Execs = field(default_factory=Execs)
    expected: Expected = field(default_factory=Expected)
    buildkit: BuildKitState = field(default_factory=BuildKitState)
    builds: Builds = field(default_factory=Builds)
