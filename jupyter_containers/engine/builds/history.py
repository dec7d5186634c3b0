"""The build history of a store: times, steps, and use of the cache.

Lifecycle of a note: ``running`` (once a build has taken a moment) → ``done``, ``failed`` or
``cancelled``; ``killed`` if its process has died.  The latest notes are kept.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

import msgspec

from jupyter_containers.engine.records import BuildNote, BuildOutcome, BuiltStep, BuiltSteps
from jupyter_containers.errors import ContainersError, NotFoundError, OperationCancelledError
from jupyter_containers.events import Event, EventSink, TaskFinished, TaskStarted
from jupyter_containers.lazy_modules import secrets

if TYPE_CHECKING:
    from jupyter_containers.engine.context import EngineContext
    from jupyter_containers.options.build import BuildOptions

KEPT = 100
# Delete the oldest only every so many builds, to keep most builds fast.
_SLACK = 5
# A build that is quicker than this is written only once.
_MOMENT_SECONDS = 0.3
# The builder's task names of steps begin with this.
_STEP = "build-"


class Entry:
    """A build in progress; counts its steps on their way to ``emit``."""

    def __init__(self, emit: EventSink) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._titles: dict[str, str] = {}
        self.steps: list[BuiltStep] = []
        self.image = ""

    def receive(self, event: Event) -> None:
        """Receive an event from any thread and forward it."""
        with self._lock:
            if isinstance(event, TaskStarted) and event.task.startswith(_STEP):
                self._titles[event.task] = event.title
            elif isinstance(event, TaskFinished) and event.task in self._titles:
                title = self._titles.pop(event.task)
                self.steps.append(BuiltStep(title, event.outcome, event.seconds, event.detail))
        self._emit(event)


class BuildHistory:
    """The notes of one store."""

    def __init__(self, engine_context: EngineContext) -> None:
        self._engine_context = engine_context

    def all(self) -> list[BuildNote]:
        """Return the notes of running and finished builds, latest first."""
        notes = sorted(
            self._engine_context.builds.all(), key=lambda note: note.started, reverse=True
        )
        return [_now(note) for note in notes[:KEPT]]

    def steps(self, id: str) -> tuple[BuiltStep, ...]:
        """Return the steps of a build; raise :class:`NotFoundError`."""
        found = self._engine_context.built_steps.get(id)
        if found is None:
            raise NotFoundError(f"no such build: {id}")
        return found.steps

    @contextmanager
    def keeping(self, options: BuildOptions, emit: EventSink) -> Iterator[Entry]:
        """Record the build that the block runs, also if it fails."""
        entry, clock = Entry(emit), time.monotonic()
        begun = BuildNote(
            secrets.token_hex(8),
            time.time(),
            0.0,
            tuple(options.tags),
            options.source_name,
            options.place,
            outcome="running",
            owner=self._engine_context.process,
        )
        writer = _Writer(self, begun)
        outcome: BuildOutcome = "failed"
        error = ""
        try:
            yield entry
            outcome = "done"
        except ContainersError as failure:
            error = failure.message
            if isinstance(failure, OperationCancelledError):
                outcome = "cancelled"
            raise
        except KeyboardInterrupt:
            outcome = "cancelled"
            raise
        finally:
            note = msgspec.structs.replace(
                begun,
                seconds=time.monotonic() - clock,
                image=entry.image,
                steps=len(entry.steps),
                cached=sum(step.outcome == "cached" for step in entry.steps),
                outcome=outcome,
                error=error.partition("\n")[0][:500],
                owner=None,
            )
            writer.end(note, tuple(entry.steps))

    def begin(self, note: BuildNote) -> None:
        """Record a running build."""
        self._engine_context.builds.insert(note.id, None, note)

    def end(self, note: BuildNote, steps: tuple[BuiltStep, ...], known: bool) -> None:
        """Record a finished build, ``known`` if recorded while running; delete the oldest."""
        builds = self._engine_context.builds
        self._engine_context.built_steps.insert(note.id, None, BuiltSteps(steps))
        if known:
            builds.replace(note.id, note)
        else:
            builds.insert(note.id, None, note)
        every = builds.all()
        if len(every) > KEPT + _SLACK:
            for old in sorted(every, key=lambda one: one.started)[:-KEPT]:
                builds.delete(old.id)
                self._engine_context.built_steps.delete(old.id)


class _Writer:
    """Records one build: while it runs, if it takes a moment, and at its end.

    A failure to write the note never makes the build fail.
    """

    def __init__(self, history: BuildHistory, note: BuildNote) -> None:
        self._history, self._note = history, note
        self._lock = threading.Lock()
        self._ended = self._known = False
        self._timer = threading.Timer(_MOMENT_SECONDS, self._begin)
        self._timer.daemon = True
        self._timer.start()

    def end(self, note: BuildNote, steps: tuple[BuiltStep, ...]) -> None:
        """Record the end."""
        self._timer.cancel()
        with self._lock, suppress(ContainersError):
            self._ended = True
            self._history.end(note, steps, self._known)

    def _begin(self) -> None:
        with self._lock, suppress(ContainersError):
            if not self._ended:
                self._history.begin(self._note)
                self._known = True


def _now(note: BuildNote) -> BuildNote:
    """Return a note as of now: a dead owner means that the build was killed."""
    if note.outcome != "running" or (note.owner is not None and note.owner.alive):
        return note
    return msgspec.structs.replace(note, outcome="killed", owner=None)
