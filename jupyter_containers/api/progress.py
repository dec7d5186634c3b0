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
from jupyter_containers.api.sinks import UPDATE_SECONDS, Sink, is_transfer
from jupyter_containers.errors import ContainersError, OperationCancelledError, StepFailedError
from jupyter_containers.events import (
    WARNING,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_patterns import pattern

_STEP = pattern(r"\[(?:\S+ )?([0-9]+)/([0-9]+)\] (.*)", re.DOTALL)
# The base image of a stage, its first step, is never cached in Docker's words.
_LATER_STEP = pattern(r"build-\d+-(?!1$)\d+")
_RED, _PLAIN = "\x1b[91m", "\x1b[0m"


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


class TransferProgress(Sink):
    """Events of a pull, a push or a load in Docker's words; a sink."""

    def __init__(self, lines: Lines, *, done: str, exists: str) -> None:
        self._lines, self._done, self._exists = lines, done, exists
        self._last: dict[str, tuple[str, float]] = {}

    def started(self, event: TaskStarted) -> None:
        """Report a layer, or a warning."""
        if is_transfer(event):
            self._lines.status("Preparing", progressDetail={}, id=event.task)
        elif event.task.startswith(WARNING):
            self._lines.status(event.title)

    def moved(self, event: TaskProgress) -> None:
        """Report the bytes of a layer."""
        if is_transfer(event) and event.status not in ("", "Waiting"):
            self._progress(event)

    def finished(self, event: TaskFinished) -> None:
        """Report the end of a layer."""
        if is_transfer(event) and event.outcome in ("done", "cached", "exists"):
            word = self._exists if event.outcome == "exists" else self._done
            self._lines.status(word, progressDetail={}, id=event.task)

    def _progress(self, event: TaskProgress) -> None:
        word, when = self._last.get(event.task, ("", 0.0))
        now = time.monotonic()
        if word == event.status and now - when < UPDATE_SECONDS:
            return
        self._last[event.task] = (event.status, now)
        detail: dict[str, Any] = {}
        if event.status in ("Downloading", "Extracting", "Pushing", "Loading"):
            detail = {"current": event.current, "total": event.total or 0}
        self._lines.status(event.status, progressDetail=detail, id=event.task)


class BuildProgress(Sink):
    """Events of a build in the words of Docker's classic builder; a sink.

    What a step writes to its standard error is red there.  Without a cache no step is reported as
    cached, also where it changes no files.
    """

    def __init__(self, lines: Lines, *, cache: bool = True) -> None:
        self._lines, self._cache = lines, cache

    def started(self, event: TaskStarted) -> None:
        """Report a step, or a warning."""
        step = _STEP.fullmatch(event.title)
        if step is not None:
            self._lines.stream(f"Step {step[1]}/{step[2]} : {step[3]}\n")
        elif event.task.startswith(WARNING):
            self._lines.stream(f"{event.title}\n")

    def wrote(self, event: TaskOutput) -> None:
        """Send the output of a step."""
        text = event.data.decode("utf-8", "replace")
        red = event.stream == "stderr" and event.task.startswith("build-")
        self._lines.stream(f"{_RED}{text}{_PLAIN}" if red else text)

    def finished(self, event: TaskFinished) -> None:
        """Report that a step was taken from the cache."""
        if event.outcome == "cached" and self._cache and _LATER_STEP.fullmatch(event.task):
            self._lines.stream(" ---> Using cache\n")
