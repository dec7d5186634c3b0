"""One request and its answer, as a handler in its thread sees them.

Lifecycle: a handler reads the *query* and the *body*, and returns the answer's document (or an
:class:`Answer`, or None for one without content).  One whose answer is long calls
:meth:`Call.begin` and writes to what it returns; :meth:`Call.hijack` takes the connection over
instead.  ``cancel`` is turned on when the client goes away.
"""

from __future__ import annotations

import asyncio
import io
import socket
import threading
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken

if TYPE_CHECKING:
    from jupyter_containers.api.query import Query
    from jupyter_containers.api.state import ServiceState
    from jupyter_containers.engine import Engine

JSON = "application/json"
TAR = "application/x-tar"
_HELD_BYTES = 1 << 20  # of a body that its handler has not read yet


def encoded(document: Any) -> bytes:
    """Return a document as JSON; texts that are more than texts (options as written) too."""
    return msgspec.json.encode(document, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(value)
    raise NotImplementedError(f"{type(value).__name__} has no form in JSON")


class VanishedError(Exception):
    """The client has closed its end: there is nobody to answer."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A whole answer; ``document`` becomes JSON, bytes are sent as they are."""

    status: int = 200
    document: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)

    def encoded(self) -> tuple[bytes, str]:
        """Return the content and its type."""
        if isinstance(self.document, bytes):
            return self.document, "text/plain; charset=utf-8"
        return encoded(self.document) + b"\n", JSON


class Body(io.RawIOBase):
    """A request's content: filled in the event loop, read in the call's thread."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__()
        self._loop = loop
        self._parts: deque[memoryview] = deque()
        self._held = 0
        self._ended = self._broken = False
        self._changed = threading.Condition()
        self._room: asyncio.Future[None] | None = None

    def feed(self, data: bytes) -> asyncio.Future[None] | None:
        """Add what has arrived; the future that is returned says when more is welcome."""
        with self._changed:
            self._parts.append(memoryview(data))
            self._held += len(data)
            self._changed.notify()
            if self._held <= _HELD_BYTES or self.closed:
                return None
            self._room = self._loop.create_future()
            return self._room

    def end(self, *, broken: bool = False) -> None:
        """Say that no more comes; ``broken`` where the client went away before the end."""
        with self._changed:
            self._ended, self._broken = True, broken
            self._changed.notify()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with what is there, waiting for the first byte; 0 at the end."""
        with self._changed:
            while not self._parts and not self._ended:
                self._changed.wait()
            if not self._parts:
                if self._broken:
                    raise VanishedError
                return 0
            part = self._parts[0]
            count = min(len(buffer), len(part))
            buffer[:count] = part[:count]
            if count == len(part):
                self._parts.popleft()
            else:
                self._parts[0] = part[count:]
            self._held -= count
            if self._room is not None and self._held <= _HELD_BYTES // 2:
                self._loop.call_soon_threadsafe(_done, self._room)
                self._room = None
            return count


def _done(future: asyncio.Future[None]) -> None:
    if not future.done():
        future.set_result(None)


class Wire(Protocol):
    """What a call's thread may do with its connection; each raises :class:`VanishedError`."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of an answer whose content follows in pieces."""

    def write(self, data: bytes) -> None:
        """Send a piece of content, waiting while the client does not read."""

    def hijack(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Send a head; return the bare connection and what the client has sent already."""


class Writer(io.RawIOBase):
    """The content of an answer that is sent in pieces."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Send a piece at once."""
        if len(data):
            self._wire.write(bytes(data))
        return len(data)

    def line(self, document: Any) -> None:
        """Send a document as a line of JSON."""
        self._wire.write(encoded(document) + b"\r\n")


@dataclass(slots=True)
class Call:
    """One request: ``names`` are the parts of the path that its route left open."""

    engine: Engine
    state: ServiceState
    wire: Wire
    method: str
    version: tuple[int, int]
    names: Mapping[str, str]
    query: Query
    headers: Mapping[str, str]
    body: Body
    cancel: CancelToken = field(default_factory=CancelToken)
    begun: bool = False

    def content(self) -> bytes:
        """Return the whole body, where its route has it read before the call."""
        return self.body.read() or b""

    def begin(self, content_type: str = JSON, headers: Mapping[str, str] | None = None) -> Writer:
        """Begin an answer (200) whose content is written in pieces."""
        self.begun = True
        self.wire.begin(200, {"Content-Type": content_type, **(headers or {})})
        return Writer(self.wire)

    def hijack(self, content_type: str) -> tuple[socket.socket, bytes]:
        """Take the connection over: both directions are the caller's from now on.

        The answer is 101 where the client asks for an upgrade, else 200, as Docker's.
        """
        if not self.headers.get("Upgrade"):
            head = "HTTP/1.1 200 OK\r\n"
        elif self.headers["Upgrade"].lower() != "tcp":
            raise InvalidArgumentError("only an upgrade to tcp is possible here")
        else:
            head = "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n"
        return self.take_over(f"{head}Content-Type: {content_type}\r\n\r\n")

    def take_over(self, head: str) -> tuple[socket.socket, bytes]:
        """Send the head of an answer; return the connection and what the client sent already."""
        self.begun = True
        return self.wire.hijack(head.encode())
