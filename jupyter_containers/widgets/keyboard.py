"""Sends typed keys to a program that may not read them at once."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress

_MOST = 16 * 1024 * 1024  # of a paste that is not read


class Keyboard:
    """Writes to a pipe without ever blocking the sender; thread-safe.

    Before :meth:`open` keys are kept back, after :meth:`close` they are dropped.  A thread exists
    only while something is left over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._waiting = bytearray()
        self._helper: threading.Thread | None = None
        self._closed = False

    def open(self, descriptor: int) -> None:
        """Open the pipe's non-blocking writing end; it is closed with this object."""
        with self._lock:
            self._descriptor = descriptor
            self._write()

    def type(self, data: bytes) -> None:
        """Write, now or as soon as the program reads."""
        with self._lock:
            if not self._closed and len(self._waiting) < _MOST:
                self._waiting += data
                self._write()

    def close(self) -> None:
        """Close the pipe; drop unwritten keys."""
        with self._lock:
            self._closed = True
            self._waiting.clear()
            if self._descriptor is not None:
                os.close(self._descriptor)
                self._descriptor = None

    def _write(self) -> None:
        if self._descriptor is None:
            return
        with suppress(OSError):
            # Full, or its reader is gone: the first is retried, the second ends soon.
            while self._waiting:
                del self._waiting[: os.write(self._descriptor, self._waiting)]
        if self._waiting and self._helper is None:
            self._helper = threading.Thread(target=self._write_later, daemon=True)
            self._helper.start()

    def _write_later(self) -> None:
        while True:
            with self._lock:
                if self._descriptor is None or not self._waiting:
                    self._helper = None
                    return
                descriptor = os.dup(self._descriptor)
            try:
                select.select([], [descriptor], [], 0.2)
            finally:
                os.close(descriptor)
            with self._lock:
                self._write()
