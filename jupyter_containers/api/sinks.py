"""Sinks of the engine's events: what those of the API have in common.

A *transfer* is the task of one layer that is pulled, pushed, loaded or saved; its name is the
layer's short ID.
"""

from __future__ import annotations

from jupyter_containers.events import Event, TaskFinished, TaskOutput, TaskProgress, TaskStarted
from jupyter_containers.lazy_patterns import pattern

UPDATE_SECONDS = 0.1  # between two reports of the same progress
_LAYER = pattern(r"[0-9a-f]{12}")


class Sink:
    """Calls a method for each event, by its kind; those of this class do nothing."""

    def __call__(self, event: Event) -> None:
        """Receive an event (from any thread)."""
        match event:
            case TaskStarted():
                self.started(event)
            case TaskProgress():
                self.moved(event)
            case TaskOutput():
                self.wrote(event)
            case TaskFinished():
                self.finished(event)

    def started(self, event: TaskStarted) -> None:
        """Receive the beginning of a task."""

    def moved(self, event: TaskProgress) -> None:
        """Receive the progress of a task."""

    def wrote(self, event: TaskOutput) -> None:
        """Receive output of a task."""

    def finished(self, event: TaskFinished) -> None:
        """Receive the end of a task."""


def is_transfer(event: Event) -> bool:
    """Return whether an event is of a layer's transfer."""
    return _LAYER.fullmatch(event.task) is not None
