"""The sessions and solves of a service, by name; importing this module loads no protocol code.

A client opens a session and sends the solve that names it at about the same time; so it does with a
solve and the stream of its progress.  The first to arrive waits a few seconds for the other.
"""

from __future__ import annotations

import importlib.util
import threading
import time
from collections import deque
from typing import TYPE_CHECKING, BinaryIO, Generic, TypeVar

from jupyter_containers.errors import NotFoundError

if TYPE_CHECKING:
    from jupyter_containers.api.buildkit.sessions import Session
    from jupyter_containers.api.buildkit.status import Progress
    from jupyter_containers.events import CancelToken

T = TypeVar("T")
_WAIT_SECONDS = 5.0
_POLL_SECONDS = 0.1
_RETIRED_SECONDS = 10.0
_MOST_RETIRED = 8


def available() -> bool:
    """Return whether BuildKit's protocol is available, which needs h2."""
    return importlib.util.find_spec("h2") is not None


class Named(Generic[T]):
    """Objects by name: some are still expected, others have ended but can still be requested."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._items: dict[str, T] = {}
        self._retired: deque[tuple[float, str, T]] = deque()
        self._changed = threading.Condition()

    def add(self, name: str, item: T) -> None:
        """Add an object; it replaces another of this name."""
        with self._changed:
            self._items[name] = item
            self._changed.notify_all()

    def remove(self, name: str, item: T) -> None:
        """Remove an object unless another one has its name now."""
        with self._changed:
            if self._items.get(name) is item:
                del self._items[name]

    def retire(self, name: str, item: T) -> None:
        """Remove an object after ten seconds, or once many others have been retired."""
        with self._changed:
            self._retired.append((time.monotonic() + _RETIRED_SECONDS, name, item))
            while self._retired and (
                self._retired[0][0] < time.monotonic() or len(self._retired) > _MOST_RETIRED
            ):
                _, old, one = self._retired.popleft()
                if self._items.get(old) is one:
                    del self._items[old]

    def find(self, name: str) -> T | None:
        """Return an object; None if it is not here."""
        with self._changed:
            return self._items.get(name)

    def wait(self, name: str, cancel: CancelToken) -> T:
        """Wait a few seconds for an object and return it; raise :class:`NotFoundError`."""
        deadline = time.monotonic() + _WAIT_SECONDS
        with self._changed:
            while name not in self._items:
                if time.monotonic() > deadline:
                    raise NotFoundError(f"no such {self._noun}: {name[:64]}")
                cancel.check()
                self._changed.wait(_POLL_SECONDS)
            return self._items[name]


class Upload:
    """A context in the body of a separate request, which a build reads."""

    def __init__(self, body: BinaryIO) -> None:
        self.body = body
        self.taken = threading.Event()


class BuildKitState:
    """The state that a service keeps for BuildKit's clients."""

    def __init__(self) -> None:
        self.sessions: Named[Session] = Named("session")
        self.solves: Named[Progress] = Named("job")
        self.uploads: Named[Upload] = Named("upload")
