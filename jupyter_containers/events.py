"""Progress as values: frozen events, one sink to receive them, one token to cancel the work.

Long work takes ``emit: EventSink`` and ``cancel: CancelToken``. It emits events from any thread
(a sink is thread-safe and never raises) and calls ``cancel.check()`` at least every 100 ms.

Vocabulary: a *task* is one line of a progress display, named by an opaque ``task`` id that is
unique within one operation.  Its life is ``TaskStarted → TaskProgress* → TaskFinished``;
output lines of a build step or bootstrap travel as ``TaskOutput``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from jupyter_containers.errors import OperationCancelledError

__all__ = [
    "CHECKS",
    "WARNING",
    "CancelToken",
    "Event",
    "EventSink",
    "TaskFinished",
    "TaskOutput",
    "TaskProgress",
    "TaskStarted",
    "discard",
]

Outcome = Literal["done", "cached", "exists", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class TaskStarted:
    """A task began; ``total`` is its expected size in ``unit`` or None when unknown."""

    task: str
    title: str
    total: int | None = None
    unit: Literal["bytes", "items"] = "bytes"


@dataclass(frozen=True, slots=True)
class TaskProgress:
    """``current`` of the task's total is done; ``status`` is a short verb (``Downloading``)."""

    task: str
    current: int
    total: int | None = None
    status: str = ""


@dataclass(frozen=True, slots=True)
class TaskOutput:
    """Bytes that a step wrote, exactly as it wrote them."""

    task: str
    data: bytes
    stream: Literal["stdout", "stderr"] = "stdout"


@dataclass(frozen=True, slots=True)
class TaskFinished:
    """A task ended; ``detail`` is a short text for people (size, reason of a cache miss)."""

    task: str
    outcome: Outcome = "done"
    detail: str = ""
    seconds: float = 0.0


# The task that tells what the build checks found.
CHECKS = "checks"
# So begin the tasks that are nothing but a warning, their title.
WARNING = "warning"

Event = TaskStarted | TaskProgress | TaskOutput | TaskFinished
EventSink = Callable[[Event], None]


def discard(event: Event) -> None:
    """Receive an event and do nothing: the sink of callers that want no progress."""


def warn(emit: EventSink, text: str, *, of: str = "") -> None:
    """Emit a warning of one line, a task that ends at once; nothing for an empty text."""
    if text:
        task = f"{WARNING} {of}".strip()
        emit(TaskStarted(task, f"WARNING: {text}"))
        emit(TaskFinished(task))


class CancelToken:
    """A switch that the front end turns once and long work looks at; thread-safe."""

    __slots__ = ("_flag",)

    def __init__(self) -> None:
        self._flag = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._flag.set()

    @property
    def cancelled(self) -> bool:
        """True once :meth:`cancel` was called."""
        return self._flag.is_set()

    def check(self) -> None:
        """Raise :class:`OperationCancelledError` when the work is to stop."""
        if self._flag.is_set():
            raise OperationCancelledError("cancelled")

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return True as soon as the token is cancelled."""
        return self._flag.wait(seconds)
