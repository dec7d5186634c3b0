"""One request and its answer, as a handler in its thread sees them.

Lifecycle: a handler reads the *query* and the *body*, and returns the answer's document (or an
:class:`Answer`, or None for an empty answer).  A handler with a long answer calls
:meth:`Call.begin` and writes to the returned writer; :meth:`Call.hijack` takes the connection over
instead.  ``cancel`` is set when the client disconnects.
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
_HELD_BYTES = 1 << 20  # bytes of a body that its handler has not read yet


def encoded(document: Any) -> bytes:
    """Return a document as JSON; subclasses of ``str`` (options as written) are strings."""
    return msgspec.json.encode(document, enc_hook=_plain)


def _plain(value: Any) -> Any:
    if isinstance(value, str):
        return "".join(value)
    raise NotImplementedError(f"{type(value).__name__} cannot be written as JSON")


class VanishedError(Exception):
    """The client has closed the connection, so it cannot be answered."""


@dataclass(frozen=True, slots=True)
class Answer:
    """A complete answer; ``document`` becomes JSON, bytes are sent unchanged."""

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
        """Add a piece that has arrived; the returned future is done when there is room for more."""
        with self._changed:
            self._parts.append(memoryview(data))
            self._held += len(data)
            self._changed.notify()
            if self._held <= _HELD_BYTES or self.closed:
                return None
            self._room = self._loop.create_future()
            return self._room

    def end(self, *, broken: bool = False) -> None:
        """Mark the body as complete, or as ``broken`` if the client disconnected before its end."""
        with self._changed:
            self._ended, self._broken = True, broken
            self._changed.notify()

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read the available bytes, waiting for the first one; return 0 at the end."""
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
    """The connection as a call's thread uses it; each method raises :class:`VanishedError`."""

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of an answer whose content follows in pieces."""

    def write(self, data: bytes) -> None:
        """Send a piece of content, waiting while the client does not read."""

    def hijack(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Send a head; return the bare connection and the bytes that were already received."""


class Writer(io.RawIOBase):
    """A writer for the content of an answer that is sent in pieces."""

    def __init__(self, wire: Wire) -> None:
        super().__init__()
        self._wire = wire

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: Any) -> int:
        """Send a piece immediately."""
        if len(data):
            self._wire.write(bytes(data))
        return len(data)

    def line(self, document: Any) -> None:
        """Send a document as a line of JSON."""
        self._wire.write(encoded(document) + b"\r\n")


@dataclass(slots=True)
class Call:
    """One request; ``names`` are the values of the placeholders in its route."""

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
        """Return the whole body; its route must not stream it."""
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
        self.begun = True
        return self.wire.hijack(f"{head}Content-Type: {content_type}\r\n\r\n".encode())
