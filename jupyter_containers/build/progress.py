"""Steps as events and reports: numbering, titles, times, and where an error happened."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from jupyter_containers.build.plan import Stage
from jupyter_containers.build.result import StepReport
from jupyter_containers.build.seams import Stream
from jupyter_containers.errors import (
    BuildError,
    DockerfileSyntaxError,
    InvalidArgumentError,
    OperationCancelledError,
    SourceLocation,
)
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskOutput,
    TaskStarted,
)

_MAX_TITLE = 160


@dataclass(slots=True)
class Step:
    """The step under way; its results are filled in by whoever carries it out."""

    task: str
    title: str
    cached: bool = False
    reason: str = ""
    chain_id: str = ""


@dataclass(slots=True)
class _Counter:
    stage: Stage
    prefix: str
    total: int
    number: int = 0
    all_cached: bool = True


class Progress:
    """Numbers the steps of a build and tells of them; ``reports`` grows as they end."""

    def __init__(self, emit: EventSink, cancel: CancelToken) -> None:
        self.emit = emit
        self.cancel = cancel
        self.reports: list[StepReport] = []
        self._counters: list[_Counter] = []

    @property
    def _counter(self) -> _Counter:
        return self._counters[-1]

    @property
    def number(self) -> int:
        """The number of the present step within its stage."""
        return self._counter.number

    @property
    def all_cached(self) -> bool:
        """True while no step of the present stage had to be carried out."""
        return self._counter.all_cached

    @contextmanager
    def stage(self, stage: Stage, several: bool) -> Iterator[None]:
        """Number the steps of ``stage`` from 1 until the block ends; stages may be nested."""
        prefix = f"{stage.label} " if several else ""
        self._counters.append(_Counter(stage, prefix, len(stage.instructions) + 1))
        try:
            yield
        finally:
            self._counters.pop()

    def add_steps(self, count: int) -> None:
        """Count ``count`` further steps (triggers of the base image) into the present stage."""
        self._counter.total += count

    @contextmanager
    def step(self, source: str, location: SourceLocation) -> Iterator[Step]:
        """Tell of one step from its beginning to its end; errors get its location."""
        self.cancel.check()
        counter = self._counter
        counter.number += 1
        shown = source if len(source) <= _MAX_TITLE else source[: _MAX_TITLE - 1] + "…"
        title = f"[{counter.prefix}{counter.number}/{counter.total}] {shown}"
        step = Step(f"build-{counter.stage.index}-{counter.number}", title)
        self.emit(TaskStarted(step.task, title))
        started = time.monotonic()
        try:
            yield step
        except BaseException as error:
            stopped = isinstance(error, (OperationCancelledError, KeyboardInterrupt))
            seconds = time.monotonic() - started
            self.emit(TaskFinished(step.task, "cancelled" if stopped else "failed", "", seconds))
            _locate(error, source, location)
            raise
        seconds = time.monotonic() - started
        counter.all_cached = counter.all_cached and step.cached
        self.emit(
            TaskFinished(step.task, "cached" if step.cached else "done", step.reason, seconds)
        )
        self.reports.append(
            StepReport(title, location, step.cached, step.reason, seconds, step.chain_id)
        )

    def output(self, task: str, data: bytes, stream: Stream) -> None:
        """Pass on what a step wrote."""
        self.emit(TaskOutput(task, data, stream))


def _locate(error: BaseException, source: str, location: SourceLocation) -> None:
    """Give an error its place in the Dockerfile, unless it has one."""
    if isinstance(error, BuildError) and error.location is None:
        error.location = location
        error.instruction = source
    elif isinstance(error, InvalidArgumentError) and not isinstance(error, DockerfileSyntaxError):
        keyword = source.partition(" ")[0]
        raise DockerfileSyntaxError(
            f"{keyword}: {error.message}", location=location, hint=error.hint
        ) from error
    elif isinstance(error, OSError):
        # Names of a build are relative to the root of the image or of the context.
        name = os.fsdecode(error.filename) if isinstance(error.filename, (str, bytes)) else ""
        shown = f"/{name.lstrip('/')}: " if name else ""
        message = f"{shown}{error.strerror or error}"
        raise BuildError(message, location=location, instruction=source) from error
