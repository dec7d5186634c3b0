"""Output of foreground work: forwarded live, its end kept for the result."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Literal, Protocol

StreamName = Literal["stdout", "stderr"]
OutputSink = Callable[[StreamName, bytes], None]

# Sends a signal to the program; with True, only to one that handles it. False if not sent.
SendSignal = Callable[[int, bool], bool]

KEPT_BYTES = 16 * 1024 * 1024


class SignalSource(Protocol):
    """Signals received in the caller's main thread that are meant for a container's program."""

    def passed_to(self, send: SendSignal) -> AbstractContextManager[None]:
        """Forward signals to ``send`` during the block, beginning with those that came before.

        ``send`` is not reentrant.
        """


class Capture:
    """Keeps the last ``limit`` bytes of each stream and passes every chunk to ``sink``."""

    def __init__(self, sink: OutputSink | None = None, limit: int = KEPT_BYTES) -> None:
        self._sink, self._limit = sink, limit
        self._chunks: dict[StreamName, deque[bytes]] = {"stdout": deque(), "stderr": deque()}
        self._sizes = {"stdout": 0, "stderr": 0}
        self._last: deque[bytes] = deque(maxlen=64)
        self.truncated = 0
        self._lock = threading.Lock()

    def __call__(self, stream: StreamName, data: bytes) -> None:
        """Keep a chunk and forward it."""
        with self._lock:
            chunks = self._chunks[stream]
            chunks.append(data)
            self._last.append(data)
            self._sizes[stream] += len(data)
            while self._sizes[stream] > self._limit and len(chunks) > 1:
                dropped = chunks.popleft()
                self._sizes[stream] -= len(dropped)
                self.truncated += len(dropped)
        if self._sink is not None:
            self._sink(stream, data)

    def value(self, stream: StreamName) -> bytes:
        """Return the kept bytes of one stream."""
        with self._lock:
            return b"".join(self._chunks[stream])

    def tail(self, lines: int = 10) -> list[str]:
        """Return the last lines of both streams together, in order of arrival."""
        with self._lock:
            text = b"".join(self._last).decode("utf-8", "replace")
        return text.splitlines()[-lines:]
