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

from jupyter_containers.engine.records import BuildNote
from jupyter_containers.errors import ContainersError, OperationCancelledError
from jupyter_containers.events import Event, EventSink, TaskFinished

if TYPE_CHECKING:
    from jupyter_containers.engine.rooms import Rooms
    from jupyter_containers.options import BuildOptions

KEPT = 200
# Every so many builds the oldest are forgotten, so that one build seldom has that to do.
_SLACK = 20
# The builder names the tasks that are steps so.
_STEP = "build-"


class Entry:
    """A build under way; counts its steps on their way to ``emit``."""

    def __init__(self, emit: EventSink) -> None:
        self._emit = emit
        self._lock = threading.Lock()
        self.steps = self.cached = 0
        self.image = ""

    def receive(self, event: Event) -> None:
        """Take an event from any thread, and pass it on."""
        if isinstance(event, TaskFinished) and event.task.startswith(_STEP):
            with self._lock:
                self.steps += 1
                self.cached += event.outcome == "cached"
        self._emit(event)


class BuildHistory:
    """The notes of one store."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    def all(self) -> list[BuildNote]:
        """Return the notes, the latest build first."""
        notes = sorted(self._rooms.builds.all(), key=lambda note: note.started, reverse=True)
        return notes[:KEPT]

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
                options.source_name or "",
                entry.image,
                entry.steps,
                entry.cached,
                outcome,
                error.partition("\n")[0][:500],
            )
            # What became of the build is of more interest than a note that could not be written.
            with suppress(ContainersError):
                self._write(note)

    def _write(self, note: BuildNote) -> None:
        builds = self._rooms.builds
        builds.insert(note.id, None, note)
        known = builds.all()
        if len(known) > KEPT + _SLACK:
            for old in sorted(known, key=lambda one: one.started)[:-KEPT]:
                builds.delete(old.id)
