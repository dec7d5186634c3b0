"""Progress as values: frozen events, a sink that receives them, a token that cancels the work.

Long-running functions take ``emit: EventSink`` and ``cancel: CancelToken``. They emit events from
any thread (a sink is thread-safe and never raises) and call ``cancel.check()`` at least every 100
ms.

Vocabulary: a *task* is one line of a progress display, named by an opaque ``task`` id that is
unique within one operation.  Its life is ``TaskStarted → TaskProgress* → TaskFinished``; output
lines of a build step or bootstrap are sent as ``TaskOutput``.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Literal

from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.lazy_dataclasses import dataclass

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
    """``current`` units of the task are done; ``status`` is a short verb (``Downloading``)."""

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
    """A task ended; ``detail`` is a short text for people (a size, the reason for a cache miss)."""

    task: str
    outcome: Outcome = "done"
    detail: str = ""
    seconds: float = 0.0


# The task under which the build checks are reported.
CHECKS = "checks"
# The title prefix of a task that is only a warning.
WARNING = "warning"

Event = TaskStarted | TaskProgress | TaskOutput | TaskFinished
EventSink = Callable[[Event], None]


def discard(event: Event) -> None:
    """Ignore an event: the sink of callers that want no progress."""


def warn(emit: EventSink, text: str, *, of: str = "") -> None:
    """Emit a one-line warning as a task that ends immediately; do nothing for an empty text."""
    if text:
        _remark(emit, f"{WARNING} {of}".strip(), f"WARNING: {text}")


def note(emit: EventSink, text: str) -> None:
    """Emit a remark as a task that ends immediately; do nothing for an empty text."""
    if text:
        _remark(emit, f"{WARNING} note", text)


def _remark(emit: EventSink, task: str, title: str) -> None:
    emit(TaskStarted(task, title))
    emit(TaskFinished(task))


class CancelToken:
    """A switch that the front end sets once and long-running work polls; thread-safe."""

    __slots__ = ("_flag",)

    def __init__(self) -> None:
        self._flag = threading.Event()

    def cancel(self) -> None:
        """Ask the work to stop."""
        self._flag.set()

    @property
    def cancelled(self) -> bool:
        """True after :meth:`cancel`."""
        return self._flag.is_set()

    def check(self) -> None:
        """Raise :class:`OperationCancelledError` if the work was cancelled."""
        if self._flag.is_set():
            raise OperationCancelledError("cancelled")

    def wait(self, seconds: float) -> bool:
        """Sleep up to ``seconds``; return True as soon as the token is cancelled."""
        return self._flag.wait(seconds)
