"""A container's streams over a websocket: ``GET /containers/{name}/attach/ws`` (RFC 6455).

Standard output and standard error are sent together in binary messages (text before 1.28); the
payload of the client's messages is the container's input, regardless of message boundaries.  A
client's close message counts as a disconnect.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import socket
import struct
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import BinaryIO

from jupyter_containers.api.call import Call, VanishedError
from jupyter_containers.api.errors import StatusError
from jupyter_containers.runtime.pump import StreamName

_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
_CONTINUED, _TEXT, _BINARY, _CLOSE, _PING, _PONG = 0, 1, 2, 8, 9, 10
_CHUNK = 65536
_LONGEST_CONTROL = 125
_DRAIN_SECONDS = 2.0


class _ProtocolError(Exception):
    """The client does not speak the protocol."""


def accept_key(headers: Mapping[str, str]) -> str:
    """Return the answer to a handshake; raise :class:`StatusError` (400) if it is invalid."""
    words = headers.get("Connection", "").lower().replace(",", " ").split()
    key = headers.get("Sec-WebSocket-Key", "")
    if headers.get("Upgrade", "").lower() != "websocket" or "upgrade" not in words:
        raise StatusError(400, "the request does not ask for an upgrade to websocket")
    if headers.get("Sec-WebSocket-Version", "") != "13":
        raise StatusError(400, "the version of the websocket protocol is 13")
    try:
        whole = len(base64.b64decode(key, validate=True)) == 16
    except (binascii.Error, ValueError):
        whole = False
    if not whole:
        raise StatusError(400, "the Sec-WebSocket-Key is not 16 bytes in base64")
    return base64.b64encode(hashlib.sha1(f"{key}{_GUID}".encode()).digest()).decode()  # noqa: S324  # the protocol's


def message(kind: int, data: bytes) -> bytes:
    """Return a complete message in a server's frame."""
    if len(data) < 126:
        return struct.pack(">BB", 0x80 | kind, len(data)) + data
    if len(data) < 1 << 16:
        return struct.pack(">BBH", 0x80 | kind, 126, len(data)) + data
    return struct.pack(">BBQ", 0x80 | kind, 127, len(data)) + data


def unmasked(data: bytes, key: bytes, offset: int = 0) -> bytes:
    """Remove the mask from a piece of a client's payload that begins at an offset."""
    turned = key[offset % 4 :] + key[: offset % 4]
    mask = (turned * (len(data) // 4 + 1))[: len(data)]
    return (int.from_bytes(data, "big") ^ int.from_bytes(mask, "big")).to_bytes(len(data), "big")


class WebSocketClient:
    """A client attached over a websocket; close it, or use it in a ``with`` block."""

    early = b""  # early input comes through the pipe

    def __init__(self, call: Call) -> None:
        head = (
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            f"Sec-WebSocket-Accept: {accept_key(call.headers)}\r\n\r\n"
        )
        self._kind = _BINARY if call.version >= (1, 28) else _TEXT
        self._socket, early = call.take_over(head)
        self._sending = threading.Lock()
        self.gone = False
        self.descriptor, writing = os.pipe2(os.O_CLOEXEC)
        self._reader = threading.Thread(
            target=self._read, args=(early, writing), name="api-websocket", daemon=True
        )
        self._reader.start()

    def __enter__(self) -> WebSocketClient:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def send(self, stream: StreamName, data: bytes) -> None:  # noqa: ARG002  # both streams are one here
        """Send a piece of output, waiting while the client does not read."""
        self._send(self._kind, data)

    def _send(self, kind: int, data: bytes) -> None:
        with self._sending:
            try:
                self._socket.sendall(message(kind, data))
            except OSError as error:
                raise VanishedError from error

    def check(self) -> None:
        """Raise :class:`VanishedError` if the client has disconnected."""
        if self.gone:
            raise VanishedError

    def close(self) -> None:
        """Send a close message, and wait a moment for the client's."""
        with suppress(OSError, VanishedError):
            # A client that does not read must not hide its container's exit.
            timeout = struct.pack("@ll", int(_DRAIN_SECONDS), 0)
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, timeout)
            self._send(_CLOSE, struct.pack(">H", 1000))
            self._socket.shutdown(socket.SHUT_WR)
        os.close(self.descriptor)  # ends a reader whose input is no longer consumed
        self._reader.join(_DRAIN_SECONDS)
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
        self._reader.join()
        self._socket.close()

    def _read(self, early: bytes, writing: int) -> None:
        source = _Source(self._socket, early)
        try:
            with (
                suppress(OSError, EOFError, _ProtocolError, VanishedError),
                open(writing, "wb", buffering=0) as pipe,
            ):
                while self._take(source, pipe):
                    pass
        finally:
            self.gone = True

    def _take(self, source: _Source, pipe: BinaryIO) -> bool:
        """Read one frame; return False for the last one."""
        first, second = source.exactly(2)
        kind, length = first & 0x0F, second & 0x7F
        if first & 0x70 or not second & 0x80:
            raise _ProtocolError  # no extensions were negotiated, and clients must mask
        if kind in (_CLOSE, _PING, _PONG):
            if length > _LONGEST_CONTROL or not first & 0x80:
                raise _ProtocolError
            key = source.exactly(4)
            data = unmasked(source.exactly(length), key)
            if kind == _PING:
                self._send(_PONG, data)
            return kind != _CLOSE
        if kind not in (_CONTINUED, _TEXT, _BINARY):
            raise _ProtocolError
        if length == 126:
            [length] = struct.unpack(">H", source.exactly(2))
        elif length == 127:
            [length] = struct.unpack(">Q", source.exactly(8))
        key, offset = source.exactly(4), 0
        while offset < length:
            piece = source.some(min(_CHUNK, length - offset))
            _write_all(pipe, unmasked(piece, key, offset))
            offset += len(piece)
        return True


class _Source:
    """The bytes of a connection, starting with those already received."""

    def __init__(self, connection: socket.socket, early: bytes) -> None:
        self._connection, self._held = connection, early

    def some(self, most: int) -> bytes:
        """Return at least one byte; raise :class:`EOFError` at the end."""
        if self._held:
            piece, self._held = self._held[:most], self._held[most:]
            return piece
        piece = self._connection.recv(most)
        if not piece:
            raise EOFError
        return piece

    def exactly(self, count: int) -> bytes:
        """Return exactly this many bytes."""
        found = b""
        while len(found) < count:
            found += self.some(count - len(found))
        return found


def _write_all(pipe: BinaryIO, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[pipe.write(rest) :]
