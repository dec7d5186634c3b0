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
from jupyter_containers.lazy_patterns import pattern

_LAYER = pattern(r"[0-9a-f]{12}")
_STEP = pattern(r"\[(?:\S+ )?([0-9]+)/([0-9]+)\] (.*)", re.DOTALL)
# The base image of a stage, its first step, is never cached in Docker's words.
_LATER_STEP = pattern(r"build-\d+-(?!1$)\d+")
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"
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
    def errors(self, *, always: bool = False) -> Iterator[None]:
        """Send an error of the block as the last line if lines have been sent; else raise it.

        With ``always`` it is sent as a line in either case, and the status is 200.
        """
        try:
            yield
        except ContainersError as error:
            if self._writer is None and not always:
                raise
            cancelled = isinstance(error, OperationCancelledError)
            detail: dict[str, Any] = {
                "message": "context canceled" if cancelled else message_of(error)
            }
            if isinstance(error, StepFailedError):
                command = " ".join(error.command)
                ending = f"returned a non-zero code: {error.exit_code}"
                detail = {"code": error.exit_code, "message": f"The command '{command}' {ending}"}
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
    """Events of a build in the words of Docker's classic builder; a sink.

    What a step writes to its standard error is red there.  Without a cache no step is reported as
    cached, also where it changes no files.
    """

    def __init__(self, lines: Lines, *, cache: bool = True) -> None:
        self._lines, self._cache = lines, cache

    def __call__(self, event: Event) -> None:
        """Receive an event (from any thread)."""
        match event:
            case TaskStarted():
                self._started(event)
            case TaskOutput():
                text = event.data.decode("utf-8", "replace")
                red = event.stream == "stderr" and event.task.startswith("build-")
                self._lines.stream(f"{_RED}{text}{_PLAIN}" if red else text)
            case TaskFinished() if event.outcome == "cached" and self._cache:
                if _LATER_STEP.fullmatch(event.task):
                    self._lines.stream(" ---> Using cache\n")
            case _:
                return

    def _started(self, event: TaskStarted) -> None:
        step = _STEP.fullmatch(event.title)
        if step is not None:
            self._lines.stream(f"Step {step[1]}/{step[2]} : {step[3]}\n")
        elif event.task.startswith(WARNING):
            self._lines.stream(f"{event.title}\n")
