"""The progress of a plan: one task for each container, network and volume.

The words are Docker Compose's: ``Creating``, ``Created``, ``Starting``, ``Started`` …  A task is
named as Compose names it (``Container demo-web-1``); its status changes until its last step.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable

from jupyter_containers.events import (
    EventSink,
    TaskFinished,
    TaskProgress,
    TaskStarted,
    warn,
)


class Reporter:
    """Sends the events of one operation; as thread-safe as the sink."""

    def __init__(self, emit: EventSink) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._open: dict[str, tuple[str, float]] = {}
        self._warned = 0

    def status(self, task: str, text: str) -> None:
        """Report the status of a task that is not finished."""
        with self._lock:
            begun = self._open.get(task)
            self._open[task] = (text, begun[1] if begun else time.monotonic())
        if begun is None:
            self._emit(TaskStarted(task, task))
        self._emit(TaskProgress(task, 0, None, text))

    def finish(self, task: str, text: str, *, failed: bool = False) -> None:
        """Report the final status of a task."""
        with self._lock:
            begun = self._open.pop(task, None)
        if begun is None:
            self._emit(TaskStarted(task, task))
        seconds = time.monotonic() - begun[1] if begun else 0.0
        self._emit(TaskFinished(task, "failed" if failed else "done", text, seconds))

    def warn(self, text: str) -> None:
        """Report a warning."""
        with self._lock:
            self._warned += 1
            number = self._warned
        warn(self._emit, text, of=str(number))

    def warn_all(self, texts: Iterable[str]) -> None:
        """Report several warnings."""
        for text in texts:
            self.warn(text)

    def close(self) -> None:
        """Finish every open task with its latest status."""
        with self._lock:
            left, self._open = self._open, {}
        now = time.monotonic()
        for task, (text, since) in left.items():
            self._emit(TaskFinished(task, "done", text, now - since))
