"""The sessions and solves of a service, by their names; this module loads nothing of the protocol.

A client names a session in its solve and opens it at about the same time, and so it does with a
solve and the stream of its progress: whoever comes first waits a few seconds for the other.
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
    """Return whether BuildKit's protocol can be served: whether h2 is installed."""
    return importlib.util.find_spec("h2") is not None


class Named(Generic[T]):
    """Things by name: some are still expected, some have ended and may still be asked for."""

    def __init__(self, noun: str) -> None:
        self._noun = noun
        self._items: dict[str, T] = {}
        self._retired: deque[tuple[float, str, T]] = deque()
        self._changed = threading.Condition()

    def add(self, name: str, item: T) -> None:
        """Add one; it takes the place of another of this name."""
        with self._changed:
            self._items[name] = item
            self._changed.notify_all()

    def remove(self, name: str, item: T) -> None:
        """Forget it, if it is still the one of that name."""
        with self._changed:
            if self._items.get(name) is item:
                del self._items[name]

    def retire(self, name: str, item: T) -> None:
        """Forget it in ten seconds, or when many others have been retired since."""
        with self._changed:
            self._retired.append((time.monotonic() + _RETIRED_SECONDS, name, item))
            while self._retired and (
                self._retired[0][0] < time.monotonic() or len(self._retired) > _MOST_RETIRED
            ):
                _, old, one = self._retired.popleft()
                if self._items.get(old) is one:
                    del self._items[old]

    def find(self, name: str) -> T | None:
        """Return it, if it is here."""
        with self._changed:
            return self._items.get(name)

    def wait(self, name: str, cancel: CancelToken) -> T:
        """Return it, waiting a few seconds for it; raise :class:`NotFoundError`."""
        deadline = time.monotonic() + _WAIT_SECONDS
        with self._changed:
            while name not in self._items:
                if time.monotonic() > deadline:
                    raise NotFoundError(f"no such {self._noun}: {name[:64]}")
                cancel.check()
                self._changed.wait(_POLL_SECONDS)
            return self._items[name]


class Upload:
    """A context in the body of a request of its own, which a build reads."""

    def __init__(self, body: BinaryIO) -> None:
        self.body = body
        self.taken = threading.Event()


class BuildKitState:
    """What a service remembers of BuildKit's clients."""

    def __init__(self) -> None:
        self.sessions: Named[Session] = Named("session")
        self.solves: Named[Progress] = Named("job")
        self.uploads: Named[Upload] = Named("upload")
