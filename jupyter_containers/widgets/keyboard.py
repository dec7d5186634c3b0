"""What is typed, on its way to a program that may not read it at once."""

from __future__ import annotations

import os
import select
import threading
from contextlib import suppress

_MOST = 16 * 1024 * 1024  # of a paste that nobody reads


class Keyboard:
    """Writes to a pipe without ever holding up whoever types; thread-safe.

    Before :meth:`open` and after :meth:`close` keys are kept back or dropped.  A thread exists only
    while something is left over.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._descriptor: int | None = None
        self._waiting = bytearray()
        self._helper: threading.Thread | None = None
        self._closed = False

    def open(self, descriptor: int) -> None:
        """Take the pipe's end for writing, which does not block; it is closed with this object."""
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
        """Close the pipe; what was not written is dropped."""
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
            # Full, or nobody reads any more: the first is tried again, the second ends soon.
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
