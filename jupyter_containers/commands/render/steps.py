"""The state of a progress display, fed by events from any thread.

A *step* is the line of one task: its title, progress, output and outcome.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from jupyter_containers.commands.render.quantities import human_size
from jupyter_containers.events import (
    Event,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_dataclasses import dataclass, field

# The kept bytes of one step's output: the beginning shows the cause, the end the failure.
_HEAD_BYTES = 256 * 1024
_TAIL_BYTES = 256 * 1024
_FINISHED = ("done", "cached", "exists")


class StepLog:
    """A step's output: complete up to a limit, beyond it only its beginning and its end."""

    def __init__(self) -> None:
        self._head = bytearray()
        self._tail = bytearray()
        self._dropped = 0

    def add(self, data: bytes) -> None:
        """Append output of the step."""
        room = _HEAD_BYTES - len(self._head)
        self._head += data[: max(room, 0)]
        self._tail += data[max(room, 0) :]
        surplus = len(self._tail) - _TAIL_BYTES
        if surplus > _TAIL_BYTES:
            # Cut only occasionally: every cut of a bytearray moves the rest of it.
            del self._tail[:surplus]
            self._dropped += surplus

    def __bool__(self) -> bool:
        return bool(self._head)

    @property
    def text(self) -> str:
        """The output as text, with a note in place of an omitted middle."""
        return _joined(self._head, self._dropped, self._tail)

    def shortened(self, limit: int) -> str:
        """Return at most ``limit`` bytes of the beginning and the end of the output as text."""
        if len(self._head) + len(self._tail) <= 2 * limit:
            return self.text
        enough = len(self._tail) >= limit
        tail = self._tail[-limit:] if enough else (self._head + self._tail)[-limit:]
        dropped = self._dropped + len(self._head) + len(self._tail) - 2 * limit
        return _joined(self._head[:limit], dropped, tail)

    def last_lines(self, count: int) -> list[str]:
        """Return the last lines without decoding the others."""
        source = self._tail if len(self._tail) > 4096 else self._head + self._tail
        text = bytes(source[-4096:]).decode("utf-8", "replace")
        return text.replace("\r\n", "\n").rstrip("\n").split("\n")[-count:]


def _joined(head: bytearray, dropped: int, tail: bytearray) -> str:
    note = f"\n… {human_size(dropped)} left out …\n" if dropped else ""
    return head.decode("utf-8", "replace") + note + tail.decode("utf-8", "replace")


@dataclass(slots=True)
class Step:
    """The displayed state of a task; ``outcome`` is empty while it runs; times are monotonic."""

    task: str
    title: str
    total: int | None = None
    unit: str = "bytes"
    current: int = 0
    status: str = ""
    outcome: str = ""
    detail: str = ""
    seconds: float = 0.0
    began: float = 0.0
    log: StepLog = field(default_factory=StepLog)

    @property
    def fraction(self) -> float | None:
        """The progress from 0 to 1, or None if unknown."""
        if self.outcome in _FINISHED:
            return 1.0
        return min(self.current / self.total, 1.0) if self.total else None

    @property
    def amount(self) -> str:
        """The size behind the title: ``12MB/45MB``."""
        if not self.current and not self.total:
            return ""
        show: Callable[[float], str] = human_size if self.unit == "bytes" else "{:.0f}".format
        if self.outcome in _FINISHED or not self.total:
            return show(self.current or self.total or 0)
        return f"{show(self.current)}/{show(self.total)}"

    def elapsed(self, now: float) -> float:
        """Return the duration in seconds."""
        return self.seconds if self.outcome else now - self.began


class Steps:
    """All steps of one operation, in the order of their start; thread-safe."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._steps: dict[str, Step] = {}
        self.version = 0

    def receive(self, event: Event) -> Step:
        """Apply one event and return the step it changed."""
        with self._lock:
            self.version += 1
            now = self._clock()
            step = self._steps.get(event.task)
            if step is None:
                step = self._steps[event.task] = Step(event.task, event.task, began=now)
            _apply(step, event, now)
            return step

    def abandon(self) -> None:
        """Mark running steps as cancelled, since the operation has ended without them."""
        with self._lock:
            now = self._clock()
            for step in self._steps.values():
                if not step.outcome:
                    self.version += 1
                    step.outcome, step.seconds = "cancelled", now - step.began

    def snapshot(self) -> tuple[list[Step], float]:
        """Return the steps and the current time on their clock."""
        with self._lock:
            return list(self._steps.values()), self._clock()


def _apply(step: Step, event: Event, now: float) -> None:
    match event:
        case TaskStarted():
            step.title, step.total, step.unit = event.title, event.total, event.unit
            step.began = now
        case TaskProgress():
            step.current = event.current
            step.total = event.total if event.total is not None else step.total
            step.status = event.status or step.status
        case TaskOutput():
            step.log.add(event.data)
        case TaskFinished():
            step.outcome, step.detail = event.outcome, event.detail
            step.seconds = event.seconds or now - step.began
