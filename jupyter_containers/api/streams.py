"""Hijacked connections: a container's streams in both directions.

Without a terminal each piece of output is a *frame*: the stream (1 output, 2 errors), three zeros,
the length in four bytes, and the bytes.  With a terminal it is raw.  A client that closes only its
sending side (*half-close*) still reads; one that closes both causes :class:`VanishedError`.
"""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
import time
from contextlib import suppress
from typing import Protocol

from jupyter_containers.api.call import Call, VanishedError
from jupyter_containers.runtime.pump import StreamName

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
_FRAME = struct.Struct(">BxxxI")
_NUMBERS = {"stdout": 1, "stderr": 2}
_DRAIN_SECONDS = 2.0
_CHUNK = 65536


def frame(stream: StreamName, data: bytes) -> bytes:
    """Return a piece of output with its header."""
    return _FRAME.pack(_NUMBERS[stream], len(data)) + data


def content_type(call: Call, *, terminal: bool) -> str:
    """Return the content type of frames, which Docker names since 1.42."""
    return RAW if terminal or call.version < (1, 42) else MULTIPLEXED


def _hijacked_type(call: Call, *, terminal: bool) -> str:
    # Docker: a client that does not ask for an upgrade is given the old name.
    return content_type(call, terminal=terminal) if call.headers.get("Upgrade") else RAW


class Client(Protocol):
    """A client attached to a container."""

    @property
    def early(self) -> bytes:
        """The client's input received before the descriptor is read."""

    @property
    def descriptor(self) -> int:
        """The descriptor from which to read the client's input."""

    @property
    def gone(self) -> bool:
        """True when the client has disconnected."""

    def send(self, stream: StreamName, data: bytes) -> None:
        """Send a piece of output, waiting while the client does not read."""

    def check(self) -> None:
        """Raise :class:`VanishedError` if the client has disconnected."""


class Hijacked:
    """The hijacked connection of a call; close it, or use it in a ``with`` block."""

    def __init__(self, call: Call, *, terminal: bool) -> None:
        self._terminal = terminal
        self._socket, self.early = call.hijack(_hijacked_type(call, terminal=terminal))
        self._sending = threading.Lock()
        self._feeder: threading.Thread | None = None
        self._poller = select.poll()
        self._poller.register(self._socket, 0)

    def __enter__(self) -> Hijacked:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def descriptor(self) -> int:
        """The descriptor from which to read the client's input."""
        return self._socket.fileno()

    def send(self, stream: StreamName, data: bytes) -> None:
        """Send a piece of output, waiting while the client does not read."""
        with self._sending:
            try:
                if self._terminal:
                    self._socket.sendall(data)
                else:
                    self._send(stream, data)
            except OSError as error:
                raise VanishedError from error

    def _send(self, stream: StreamName, data: bytes) -> None:
        head = _FRAME.pack(_NUMBERS[stream], len(data))
        sent = self._socket.sendmsg([head, data])
        if sent < len(head) + len(data):
            self._socket.sendall((head + data)[sent:])

    def check(self) -> None:
        """Raise :class:`VanishedError` if the client has closed both directions."""
        if self.gone:
            raise VanishedError

    @property
    def gone(self) -> bool:
        """True when the client has closed both directions."""
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in self._poller.poll(0))

    def close(self) -> None:
        """End the stream; read the client's remaining input, or it would lose the last output."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)
        if self._feeder is not None:
            self._feeder.join(_DRAIN_SECONDS)
        with suppress(OSError):
            deadline = time.monotonic() + _DRAIN_SECONDS
            while self._feeder is None and (left := deadline - time.monotonic()) > 0:
                self._socket.settimeout(left)
                if not self._socket.recv(_CHUNK):
                    break
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RD)
        if self._feeder is not None:
            self._feeder.join()
        self._socket.close()

    def input_pipe(self) -> int:
        """Return the reading end of a pipe with the client's input; the caller closes it.

        For a process that inherits its input: it must not be able to write to the connection.
        """
        reading, writing = os.pipe2(os.O_CLOEXEC)
        self._feeder = threading.Thread(
            target=self._feed, args=(writing,), name="api-input", daemon=True
        )
        self._feeder.start()
        return reading

    def _feed(self, writing: int) -> None:
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        poller.register(writing, 0)
        with suppress(OSError), open(writing, "wb", buffering=0) as pipe:
            rest = memoryview(self.early)
            while rest:
                rest = rest[pipe.write(rest) :]
            while True:
                # Not in splice, which would block the pipe's reader until data arrives.
                ready = dict(poller.poll())
                if writing in ready or not os.splice(self._socket.fileno(), writing, _CHUNK * 16):
                    return
