"""The state that a service keeps between requests, and loses when it ends.

*Execs* are commands that were created, are running or have ended.  *Expected* are clients that
attached to a container before its start: they are connected before its first instruction.
"""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from jupyter_containers.api.errors import StatusError
from jupyter_containers.engine.naming import new_id

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
    exit_code: int | None = None
    ended: float = 0.0

    def inspected(self) -> dict[str, Any]:
        """Return Docker's document."""
        return {
            **self.document,
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

    def begin(self, one: Exec) -> None:
        """Mark a command as started; raise :class:`StatusError` (409) if it already was."""
        with self._lock:
            if one.started:
                word = "running" if one.running else "already run"
                raise StatusError(409, f"exec command {one.id} is {word}")
            one.started = one.running = True

    def end(self, one: Exec, code: int) -> None:
        """Mark a command as ended."""
        one.running, one.exit_code = False, code
        one.ended = time.monotonic() + _KEPT_SECONDS

    def of(self, container_id: str) -> list[str]:
        """Return the IDs of the commands that run in a container."""
        with self._lock:
            return [
                one.id
                for one in self._items.values()
                if one.container_id == container_id and one.running
            ]


class Expectation:
    """A client attached to a container that does not run yet."""

    def __init__(self) -> None:
        self.attachment: Attachment | None = None
        self.failed = False
        self._decided = threading.Event()

    def fulfil(self, attachment: Attachment | None) -> None:
        """Connect the client, or with None end its wait without a container."""
        self.attachment, self.failed = attachment, attachment is None
        self._decided.set()

    def wait(self, seconds: float) -> bool:
        """Return whether the wait has ended within the time."""
        return self._decided.wait(seconds)


class Expected:
    """The clients that wait for containers to be started, by container."""

    def __init__(self) -> None:
        self._waiting: dict[str, list[Expectation]] = {}
        self._lock = threading.Lock()

    def add(self, container_id: str) -> Expectation:
        """Add an expectation and return it."""
        made = Expectation()
        with self._lock:
            self._waiting.setdefault(container_id, []).append(made)
        return made

    def drop(self, container_id: str, one: Expectation) -> None:
        """Remove a client that has disconnected."""
        with self._lock:
            waiting = self._waiting.get(container_id, [])
            if one in waiting:
                waiting.remove(one)
            if not waiting:
                self._waiting.pop(container_id, None)

    def decide(self, container_id: str, attach: Callable[[], Attachment | None]) -> None:
        """Connect all clients that wait for a container; with None, end their wait."""
        with self._lock:
            waiting = self._waiting.pop(container_id, [])
        for one in waiting:
            one.fulfil(attach())


@dataclass(slots=True)
class ServiceState:
    """The state of one service; each part has its own lock."""

    stopping: threading.Event = field(default_factory=threading.Event)
    execs: Execs = field(default_factory=Execs)
    expected: Expected = field(default_factory=Expected)
