"""The open sockets of a transport, so that another thread can interrupt reads from them."""

from __future__ import annotations

import threading
import weakref
from contextlib import suppress
from typing import Any

from jupyter_containers.lazy_modules import socket


class SocketRegister:
    """A register of a transport's open sockets; shuts all of them down from another thread."""

    def __init__(self) -> None:
        self._sockets: weakref.WeakSet[socket.socket] = weakref.WeakSet()
        self._lock = threading.Lock()
        self._ended = False

    def add(self, opened: Any) -> None:
        """Register a socket; shut it down at once if all others already were."""
        if not isinstance(opened, socket.socket):
            return
        with self._lock:
            self._sockets.add(opened)
            ended = self._ended
        if ended:
            _shut_down(opened)

    def shut_down(self) -> None:
        """Shut down every socket: waiting threads wake up with an error or at the end of data."""
        with self._lock:
            self._ended = True
            opened = list(self._sockets)
        for each in opened:
            _shut_down(each)


def _shut_down(opened: socket.socket) -> None:
    # The plain method on purpose: SSLSocket's own drops the TLS state another thread is using.
    with suppress(OSError):
        socket.socket.shutdown(opened, socket.SHUT_RDWR)
