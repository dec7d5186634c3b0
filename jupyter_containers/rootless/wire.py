"""Messages between a kernel and its worker: pickled tuples, with descriptors beside them.

One *channel* (a connected pair of sockets) carries one call at a time.  Objects that are not values
are sent as references: the engine itself; objects that the caller lends (*callbacks*, streams, a
cancel token); objects that the engine returns for use step by step (iterators, terminals).  Both
ends are the engine's own processes of one user, so pickle is safe here.
"""

from __future__ import annotations

import pickle
import struct
import threading
from collections.abc import Callable
from contextlib import suppress
from io import BytesIO
from typing import Any

from jupyter_containers.lazy_modules import socket

_HEADER = struct.Struct("!QI")
_MAX_DESCRIPTORS = 16

Refer = Callable[[Any, list[int]], Any]
Resolve = Callable[[Any, list[int]], Any]


class Channel:
    """One end of a pair of sockets; any thread may send, one at a time may receive."""

    def __init__(self, connection: socket.socket) -> None:
        self._socket = connection
        self._sending = threading.Lock()

    def send(self, message: object, refer: Refer) -> None:
        """Send a message; ``refer`` returns an object's reference, or None to send its value."""
        descriptors: list[int] = []
        output = BytesIO()
        _Pickler(output, lambda value: refer(value, descriptors)).dump(message)
        data = output.getbuffer()
        header = _HEADER.pack(len(data), len(descriptors))
        with self._sending:
            if descriptors:
                sent = socket.send_fds(self._socket, [header], descriptors)
                header = header[sent:]
            self._socket.sendall(header)
            self._socket.sendall(data)

    def receive(self, resolve: Resolve) -> Any:
        """Return the next message; raise :class:`EOFError` if the other end is closed."""
        try:
            body, ancillary = self._receive_message()
        except ConnectionError as error:  # it was closed with unread data of this end
            raise EOFError("the other end is gone") from error
        return _Unpickler(BytesIO(body), lambda reference: resolve(reference, ancillary)).load()

    def _receive_message(self) -> tuple[bytearray, list[int]]:
        head, ancillary = b"", list[int]()
        while len(head) < _HEADER.size:
            data, descriptors, _, _ = socket.recv_fds(
                self._socket, _HEADER.size - len(head), _MAX_DESCRIPTORS
            )
            if not data:
                raise EOFError("the other end is gone")
            head += data
            ancillary += descriptors
        length, _ = _HEADER.unpack(head)
        body = bytearray(length)
        view, got = memoryview(body), 0
        while got < length:
            count = self._socket.recv_into(view[got:])
            if not count:
                raise EOFError("the other end is gone")
            got += count
        return body, ancillary

    def close(self) -> None:
        """Close this end, which the other one notices; a thread receiving here is woken too."""
        with suppress(OSError):  # the other end was first
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


def values_only(value: object, descriptors: list[int]) -> None:  # one of Refer
    """Return None: the message contains only values."""


class _Pickler(pickle.Pickler):
    def __init__(self, output: BytesIO, refer: Callable[[Any], Any]) -> None:
        super().__init__(output, pickle.HIGHEST_PROTOCOL)
        self._refer = refer

    def persistent_id(self, value: Any) -> Any:
        """Return the reference for an object that is not a value."""
        return self._refer(value)


class _Unpickler(pickle.Unpickler):
    def __init__(self, data: BytesIO, resolve: Callable[[Any], Any]) -> None:
        super().__init__(data)
        self._resolve = resolve

    def persistent_load(self, reference: Any) -> Any:
        """Return the object for a reference at this end."""
        return self._resolve(reference)


def send_socket(over: socket.socket, which: socket.socket) -> None:
    """Send a socket to the process at the other end."""
    socket.send_fds(over, [b"c"], [which.fileno()])


def receive_socket(over: socket.socket) -> socket.socket | None:
    """Return the next socket from the other end; None if it is gone."""
    try:
        data, descriptors, _, _ = socket.recv_fds(over, 1, 1)
    except ConnectionError:
        return None
    return socket.socket(fileno=descriptors[0]) if data else None
