"""One request and its answer, as a handler in its thread sees them.

Lifecycle: a handler reads the *query* and the *body*, and returns the answer's document (or an
:class:`Answer`, or None for an empty answer).  A handler with a long answer calls
:meth:`Call.begin` and writes to the returned writer; :meth:`Call.hijack` takes the connection over
instead.  ``cancel`` is set when the client disconnects.
"""

from __future__ import annotations

import io
import socket
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

import msgspec

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field

if TYPE_CHECKING:
    from jupyter_containers.api.query import Query
    from jupyter_containers.api.state import ServiceState
    from jupyter_containers.engine import Engine

JSON = "application/json"
TAR = "application/x-tar"


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
    body: io.RawIOBase | io.BytesIO
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
        return self.take_over(f"{head}Content-Type: {content_type}\r\n\r\n")

    def take_over(self, head: str) -> tuple[socket.socket, bytes]:
        """Send the head of an answer; return the connection and what the client sent already."""
        self.begun = True
        return self.wire.hijack(head.encode())

    def hijack_h2c(self) -> tuple[socket.socket, bytes]:
        """Take the connection over for HTTP/2, as the client asks."""
        if self.headers.get("Upgrade", "").lower() != "h2c":
            raise InvalidArgumentError("this address needs an upgrade to h2c")
        return self.take_over(
            "HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
        )
