"""Requests with a body of any length: the call's thread reads and answers their connection.

Passing an archive through the event loop in pieces took up to twice the CPU time.  The
connection leaves the loop at the end of the request's head, and is closed after the answer.  A
*watch* detects a disconnect while the body is not being read.
"""

from __future__ import annotations

import io
import select
import socket
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from jupyter_containers.api.call import VanishedError, Wire
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_patterns import pattern

_PIECE = 256 << 10
_LONGEST_LINE = 4096
_MOST_TRAILERS = 64
_SIZE = pattern(rb"([0-9a-fA-F]{1,12})(?:[ \t]*;[^\r\n]*)?\r\n")
_LOOK_SECONDS = 0.1
_DRAIN_SECONDS = 2.0
_GONE = select.POLLHUP | select.POLLERR | select.POLLRDHUP
Head = Callable[[int, Mapping[str, str]], bytes]


class UploadBody(io.RawIOBase):
    """A request's content, with a length or in chunks (RFC 9112), read from its connection."""

    def __init__(self, connection: socket.socket, early: bytes, headers: Mapping[str, str]) -> None:
        super().__init__()
        self._connection, self._held = connection, early
        coding = headers.get("Transfer-Encoding", "").strip().lower()
        length = headers.get("Content-Length", "")
        if coding not in ("", "chunked") or (coding and length):
            raise InvalidArgumentError("the request has no length that can be understood")
        self._chunked, self._begun = bool(coding), False
        self._left = int(length or 0)
        self._ended = not self._chunked and not self._left
        self._continues = headers.get("Expect", "").lower() == "100-continue"

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Fill the buffer with the next bytes; return their number, 0 at the end.

        Raises :class:`VanishedError` if the client disconnects before the end, and
        :class:`InvalidArgumentError` for malformed chunks.
        """
        if self._continues and not self._ended:
            self._continues = False
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        if self._chunked and not self._left and not self._ended:
            self._next_chunk()
        if self._ended:
            return 0
        view = memoryview(buffer)[: self._left]
        if self._held or len(view) < _PIECE // 4:
            if not self._held:
                self._held = self._receive()
            count = min(len(view), len(self._held))
            view[:count] = self._held[:count]
            self._held = self._held[count:]
        else:
            try:
                count = self._connection.recv_into(view)
            except OSError as error:
                raise VanishedError from error
            if not count:
                raise VanishedError
        self._left -= count
        self._ended = not self._left and not self._chunked
        return count

    def _next_chunk(self) -> None:
        if self._begun and self._line() != b"\r\n":
            raise InvalidArgumentError("a chunk of the body is longer than it says")
        self._begun = True
        match = _SIZE.fullmatch(self._line())
        if match is None:
            raise InvalidArgumentError("a chunk of the body has no size")
        self._left = int(match[1], 16)
        if self._left == 0:
            for _ in range(_MOST_TRAILERS):
                if self._line() == b"\r\n":
                    self._ended = True
                    return
            raise InvalidArgumentError("the body has too many trailers")

    def _line(self) -> bytes:
        while b"\n" not in self._held[:_LONGEST_LINE]:
            if len(self._held) >= _LONGEST_LINE:
                raise InvalidArgumentError("a line between the chunks of the body is too long")
            self._held += self._receive()
        end = self._held.index(b"\n") + 1
        line, self._held = self._held[:end], self._held[end:]
        return line

    def _receive(self) -> bytes:
        try:
            data = self._connection.recv(_PIECE)
        except OSError as error:
            raise VanishedError from error
        if not data:
            raise VanishedError
        return data

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise VanishedError from error


class UploadWire(Wire):
    """The connection of an upload, for the answer; close it at the end."""

    def __init__(self, connection: socket.socket, head: Head, cancel: CancelToken) -> None:
        self._connection, self._head = connection, head
        self._done = threading.Event()
        self._cancel = cancel
        threading.Thread(target=self._watch, name="api-watch", daemon=True).start()

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of an answer whose content follows in pieces."""
        self._send(self._head(status, {**headers, "Transfer-Encoding": "chunked"}))

    def write(self, data: bytes) -> None:
        """Send a piece of content, waiting while the client does not read."""
        self._send(b"%x\r\n%b\r\n" % (len(data), data))

    def hijack(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Refuse: the body uses the connection."""
        raise InvalidArgumentError(f"no connection to take over: {head[:12]!r}")

    def answer(self, status: int, headers: Mapping[str, str], content: bytes) -> None:
        """Send a whole answer."""
        length = {} if status in (204, 304) else {"Content-Length": str(len(content))}
        with suppress(VanishedError):
            self._send(self._head(status, {**headers, **length}) + content)

    def end(self) -> None:
        """Send the end of an answer that was sent in pieces."""
        with suppress(VanishedError):
            self._send(b"0\r\n\r\n")

    def close(self) -> None:
        """Close the connection after reading the rest: the client would lose the answer."""
        self._done.set()
        with self._connection, suppress(OSError):
            self._connection.shutdown(socket.SHUT_WR)
            deadline = time.monotonic() + _DRAIN_SECONDS
            while (left := deadline - time.monotonic()) > 0:
                self._connection.settimeout(left)
                if not self._connection.recv(_PIECE):
                    return

    def _send(self, data: bytes) -> None:
        try:
            self._connection.sendall(data)
        except OSError as error:
            raise VanishedError from error

    def _watch(self) -> None:
        """Cancel the call if the client disconnects; stop reading if the call is cancelled."""
        poller = select.poll()
        poller.register(self._connection, select.POLLRDHUP)
        while not self._done.wait(_LOOK_SECONDS):
            gone = any(event & _GONE for _, event in poller.poll(0))
            if gone or self._cancel.cancelled:
                self._cancel.cancel()
                if not gone:
                    with suppress(OSError):
                        self._connection.shutdown(socket.SHUT_RD)
                return
