"""The builds of a store that ended, with their times and what came from the cache.

The latest are kept.  A build is written down by whoever carries it out, so one that was killed is
not among them.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Literal

from jupyter_containers.engine.records import BuildNote, BuiltStep, BuiltSteps
from jupyter_containers.errors import ContainersError, NotFoundError, OperationCancelledError
from jupyter_containers.events import Event, EventSink, TaskFinished, TaskStarted

if TYPE_CHECKING:
    from jupyter_containers.engine.rooms import Rooms
    from jupyter_containers.options import BuildOptions

KEPT = 100
# Every so many builds the oldest are forgotten, so that one build seldom has that to do.
_SLACK = 20
# The builder names the tasks that are steps so.
_STEP = "build-"


class Entry:
    """A build under way; counts its steps on their way to ``emit``."""

    def __init__(self, emit: EventSink) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self._titles: dict[str, str] = {}
        self.steps: list[BuiltStep] = []
        self.image = ""

    def receive(self, event: Event) -> None:
        """Take an event from any thread, and pass it on."""
        with self._lock:
            if isinstance(event, TaskStarted) and event.task.startswith(_STEP):
                self._titles[event.task] = event.title
            elif isinstance(event, TaskFinished) and event.task in self._titles:
                title = self._titles.pop(event.task)
                self.steps.append(BuiltStep(title, event.outcome, event.seconds, event.detail))
        self._emit(event)


class BuildHistory:
    """The notes of one store."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def all(self) -> list[BuildNote]:
        """Return the notes, the latest build first."""
        notes = sorted(self._rooms.builds.all(), key=lambda note: note.started, reverse=True)
        return notes[:KEPT]

    def steps(self, id: str) -> tuple[BuiltStep, ...]:
        """Return the steps of a build; raise :class:`NotFoundError`."""
        found = self._rooms.built_steps.get(id)
        if found is None:
            raise NotFoundError(f"no such build: {id}")
        return found.steps

    @contextmanager
    def keeping(self, options: BuildOptions, emit: EventSink) -> Iterator[Entry]:
        """Write down the build that is carried out inside, however it ends."""
        entry, started, clock = Entry(emit), time.time(), time.monotonic()
        outcome: Literal["done", "failed", "cancelled"] = "failed"
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
            note = BuildNote(
                secrets.token_hex(8),
                started,
                time.monotonic() - clock,
                tuple(options.tags),
                options.source_name,
                options.place,
                entry.image,
                len(entry.steps),
                sum(step.outcome == "cached" for step in entry.steps),
                outcome,
                error.partition("\n")[0][:500],
            )
            # What became of the build is of more interest than a note that could not be written.
            with suppress(ContainersError):
                self._write(note, tuple(entry.steps))

    def _write(self, note: BuildNote, steps: tuple[BuiltStep, ...]) -> None:
        builds = self._rooms.builds
        self._rooms.built_steps.insert(note.id, None, BuiltSteps(steps))
        builds.insert(note.id, None, note)
        known = builds.all()
        if len(known) > KEPT + _SLACK:
            for old in sorted(known, key=lambda one: one.started)[:-KEPT]:
                builds.delete(old.id)
                self._rooms.built_steps.delete(old.id)
