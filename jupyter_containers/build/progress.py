"""Steps as events and reports: numbers, titles, times, and the locations of errors."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from jupyter_containers.build.checks import Finding
from jupyter_containers.build.plan import Stage
from jupyter_containers.build.result import StepReport
from jupyter_containers.build.seams import Stream
from jupyter_containers.errors import (
    BuildError,
    DockerfileSyntaxError,
    InvalidArgumentError,
    OperationCancelledError,
    SourceLocation,
    excerpt_lines,
)
from jupyter_containers.events import (
    CHECKS,
    CancelToken,
    EventSink,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern

_MAX_TITLE = 160
_IMAGE_ID = pattern(r"(?<!\S)sha256:([0-9a-f]{12})[0-9a-f]{52}(?!\S)")


@dataclass(slots=True)
class Step:
    """The current step; the code that executes it fills in the results.

    ``size`` is the bytes of the layer that it made or found.
    """

    task: str
    title: str
    cached: bool = False
    reason: str = ""
    chain_id: str = ""
    size: int = 0


class Progress:
    """Reports a build's stages; each has its own numbers, so that they can run in parallel."""

    def __init__(self, emit: EventSink, cancel: CancelToken) -> None:
        self.emit = emit
        self.cancel = cancel
        self._stages: list[StageProgress] = []

    def stage(self, stage: Stage, several: bool) -> StageProgress:
        """Number the steps of ``stage`` from 1."""
        prefix = f"{stage.label} " if several else ""
        found = StageProgress(self, stage.index, prefix, len(stage.instructions) + 1)
        self._stages.append(found)
        return found

    @property
    def reports(self) -> tuple[StepReport, ...]:
        """The reports of finished steps, by stage and number."""
        stages = sorted(self._stages, key=lambda one: one.index)
        return tuple(report for one in stages for report in one.reports)


class StageProgress:
    """Numbers and reports the steps of one stage; ``reports`` grows as they end.

    ``cause`` is the title of the first step that had to be executed, empty if there is none yet.
    """

    def __init__(self, whole: Progress, index: int, prefix: str, total: int) -> None:
        self.index = index
        self.number = 0
        self.cause = ""
        self.reports: list[StepReport] = []
        self._whole = whole
        self._prefix = prefix
        self._total = total

    @property
    def cancel(self) -> CancelToken:
        """The build's token."""
        return self._whole.cancel

    @property
    def all_cached(self) -> bool:
        """True while no step of the stage had to be executed."""
        return not self.cause

    def add_steps(self, count: int) -> None:
        """Add ``count`` further steps (triggers of the base image) to the stage's total."""
        self._total += count

    @contextmanager
    def step(self, source: str, location: SourceLocation) -> Iterator[Step]:
        """Report one step from its beginning to its end; add its location to errors."""
        self.cancel.check()
        self.number += 1
        shown = source if len(source) <= _MAX_TITLE else source[: _MAX_TITLE - 1] + "…"
        shown = _IMAGE_ID.sub(r"\1", shown)
        title = f"[{self._prefix}{self.number}/{self._total}] {shown}"
        step = Step(f"build-{self.index}-{self.number}", title)
        emit = self._whole.emit
        emit(TaskStarted(step.task, title))
        started = time.monotonic()
        try:
            yield step
        except BaseException as error:
            stopped = isinstance(error, (OperationCancelledError, KeyboardInterrupt))
            seconds = time.monotonic() - started
            emit(TaskFinished(step.task, "cancelled" if stopped else "failed", "", seconds))
            _locate(error, source, location)
            raise
        seconds = time.monotonic() - started
        if not (step.cached or self.cause):
            self.cause = title
        if step.size:
            emit(TaskProgress(step.task, step.size, step.size))
        emit(TaskFinished(step.task, "cached" if step.cached else "done", step.reason, seconds))
        self.reports.append(
            StepReport(
                title=title,
                location=location,
                cached=step.cached,
                reason=step.reason,
                seconds=seconds,
                chain_id=step.chain_id,
                size=step.size,
            )
        )

    def output(self, task: str, data: bytes, stream: Stream) -> None:
        """Emit a step's output."""
        self._whole.emit(TaskOutput(task, data, stream))


def _locate(error: BaseException, source: str, location: SourceLocation) -> None:
    """Add the location in the Dockerfile to an error that has none."""
    if isinstance(error, BuildError) and error.location is None:
        error.location = location.at(error.culprit)
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


def show_findings(findings: Sequence[Finding], emit: EventSink) -> None:
    """Show the findings of the build checks as a separate task, each with its lines."""
    if not findings:
        return
    count = len(findings)
    title = f"{count} warning{'s' if count > 1 else ''} of the build checks"
    emit(TaskStarted(CHECKS, title))
    for finding in findings:
        emit(TaskOutput(CHECKS, f"{finding_text(finding)}\n".encode(), "stderr"))
    emit(TaskFinished(CHECKS, "done"))


def finding_text(finding: Finding) -> str:
    """Return a finding for people: the rule, its description, and the marked lines."""
    lines = [f"{finding.rule.name}: {finding.message}"]
    if finding.location is not None:
        lines += excerpt_lines(finding.location)
    return "\n".join(lines)
