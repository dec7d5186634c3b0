"""The log of a session: the text that its cells showed, bounded."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime

from jupyter_containers.engine.sessions.results import SessionResult
from jupyter_containers.runtime.logs import LogLine
from jupyter_containers.runtime.pump import StreamName

MOST_BYTES = 1 << 20


class CellLog:
    """The last lines of a session's cells: output, results as text, errors, limits."""

    def __init__(self, limit: int = MOST_BYTES) -> None:
        self._limit, self._size = limit, 0
        self._lines: deque[LogLine] = deque()
        self._lock = threading.Lock()

    def add(self, result: SessionResult) -> None:
        """Add the text of a result."""
        for output in result.outputs:
            kind = output["output_type"]
            if kind == "stream":
                self._add(output["name"], output["text"])
            elif kind == "error":
                self._add("stderr", "\n".join(output["traceback"]))
            else:
                self._add("stdout", str(output["data"].get("text/plain", "")))
        for sentence in (result.reason, *result.refused):
            self._add("stderr", sentence)

    def tail(self, number: int | None) -> Iterator[LogLine]:
        """Yield the last lines, or all that are kept."""
        with self._lock:
            lines = list(self._lines)
        yield from lines if number is None else lines[max(0, len(lines) - number) :]

    def _add(self, stream: StreamName, text: str) -> None:
        now = datetime.now(UTC).isoformat()
        lines = [
            f"{line}\n".encode("utf-8", "replace") for line in text[-self._limit :].splitlines()
        ]
        with self._lock:
            self._lines.extend(LogLine(now, stream, data) for data in lines)
            self._size += sum(map(len, lines))
            while self._size > self._limit:
                self._size -= len(self._lines.popleft().data)
