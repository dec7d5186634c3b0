"""Progress of long work as lines of JSON: pulls, pushes, loads, builds.

The answer begins with the first line: an earlier error is answered with its status, a later one
becomes the last line (``errorDetail``).
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_containers.api.call import Call, VanishedError, Writer
from jupyter_containers.api.errors import message_of
from jupyter_containers.errors import ContainersError, OperationCancelledError, StepFailedError
from jupyter_containers.events import (
    WARNING,
    Event,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)

_LAYER = re.compile(r"[0-9a-f]{12}")
_STEP = re.compile(r"\[(?:\S+ )?([0-9]+)/([0-9]+)\] (.*)", re.DOTALL)
_UPDATE_SECONDS = 0.1


class Lines:
    """The lines of one answer, from any thread; a client that disconnects cancels the work."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._writer: Writer | None = None
        self._lock = threading.Lock()

    def send(self, document: dict[str, Any]) -> None:
        """Send a line."""
        with self._lock:
            try:
                if self._writer is None:
                    self._writer = self._call.begin()
                self._writer.line(document)
            except VanishedError:
                self._call.cancel.cancel()

    def stream(self, text: str) -> None:
        """Send a text that clients print unchanged."""
        self.send({"stream": text})

    def status(self, text: str, **more: Any) -> None:
        """Send a status line."""
        self.send({"status": text, **more})

    @contextmanager
    def errors(self) -> Iterator[None]:
        """Send an error of the block as the last line if lines have been sent; else raise it."""
        try:
            yield
        except OperationCancelledError as error:
            if self._call.cancel.cancelled:
                raise VanishedError from error
            raise
        except ContainersError as error:
            if self._writer is None:
                raise
            detail: dict[str, Any] = {"message": message_of(error)}
            if isinstance(error, StepFailedError):
                detail["code"] = error.exit_code
            self.send({"errorDetail": detail, "error": detail["message"]})


class TransferProgress:
    """Events of a pull, a push or a load in Docker's words; a sink."""

    def __init__(self, lines: Lines, *, done: str, exists: str) -> None:
        self._lines, self._done, self._exists = lines, done, exists
        self._last: dict[str, tuple[str, float]] = {}

    def __call__(self, event: Event) -> None:
        """Receive an event (from any thread)."""
        if not _LAYER.fullmatch(event.task):
            if isinstance(event, TaskStarted) and event.task.startswith(WARNING):
                self._lines.status(event.title)
            return
        match event:
            case TaskStarted():
                self._lines.status("Preparing", progressDetail={}, id=event.task)
            case TaskProgress() if event.status not in ("", "Waiting"):
                self._progress(event)
            case TaskFinished():
                word = self._exists if event.outcome == "exists" else self._done
                if event.outcome in ("done", "cached", "exists"):
                    self._lines.status(word, progressDetail={}, id=event.task)
            case _:
                return

    def _progress(self, event: TaskProgress) -> None:
        word, when = self._last.get(event.task, ("", 0.0))
        now = time.monotonic()
        if word == event.status and now - when < _UPDATE_SECONDS:
            return
        self._last[event.task] = (event.status, now)
        detail: dict[str, Any] = {}
        if event.status in ("Downloading", "Extracting", "Pushing", "Loading"):
            detail = {"current": event.current, "total": event.total or 0}
        self._lines.status(event.status, progressDetail=detail, id=event.task)


class BuildProgress:
    """Events of a build in the words of Docker's classic builder; a sink."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def __call__(self, event: Event) -> None:
        """Receive an event (from any thread)."""
        match event:
            case TaskStarted():
                self._started(event)
            case TaskOutput():
                self._lines.stream(event.data.decode("utf-8", "replace"))
            case TaskFinished() if event.outcome == "cached" and event.task.startswith("build-"):
                self._lines.stream(" ---> Using cache\n")
            case _:
                return

    def _started(self, event: TaskStarted) -> None:
        step = _STEP.fullmatch(event.title)
        if step is not None:
            self._lines.stream(f"Step {step[1]}/{step[2]} : {step[3]}\n")
        elif event.task.startswith(WARNING):
            self._lines.stream(f"{event.title}\n")
