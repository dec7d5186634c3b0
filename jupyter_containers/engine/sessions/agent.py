"""The engine's side of a session: a process in the container, connected by ``exec``'s pipe.

Lifecycle: started by :meth:`Agent.start` → frames are sent and received → ended by
:meth:`Agent.close`, which closes the pipe, or by the end of the process.  A thread waits for
``exec``; frames wait in a bounded queue, so that a flood blocks the container's process and not
this one.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any

from jupyter_containers.engine.containers.streams import OutputSink, StreamName
from jupyter_containers.engine.results import RunResult
from jupyter_containers.engine.sessions.frames import Frame, FrameReader, encoded
from jupyter_containers.errors import ContainersError, SessionEndedError
from jupyter_containers.lazy_modules import queue

_WAITING_FRAMES = 256
_ENDING_SECONDS = 5.0
_KEPT_WORDS = 4000
_NO_PROGRAM = 127

Execute = Callable[[Sequence[str], OutputSink, int], RunResult]
"""Runs a command in the container to its end: command, output, descriptor of its input."""


class Agent:
    """One process of a session."""

    def __init__(self, execute: Execute, command: Sequence[str], limit: int) -> None:
        self._execute, self._command = execute, command
        self._reader = FrameReader(limit)
        self._frames: queue.Queue[Frame | None] = queue.Queue(_WAITING_FRAMES)
        self._words = bytearray()
        self._result: RunResult | None = None
        self._error: ContainersError | None = None
        self._closed = False
        self._sending = threading.Lock()
        read, self._input = os.pipe()
        self._thread = threading.Thread(
            target=self._run, args=(read,), name="session-agent", daemon=True
        )

    def start(self, program: bytes) -> None:
        """Start the process and send its program."""
        self._thread.start()
        self._write(program)

    def send(self, kind: str, body: bytes = b"", /, **fields: Any) -> None:
        """Send one frame; raise :class:`SessionEndedError` if the process has ended."""
        self._write(encoded(kind, body, fields))

    def receive(self, timeout: float | None = None) -> Frame:
        """Return the next frame.

        Raises :class:`TimeoutError` after ``timeout`` seconds, :class:`SessionEndedError` if the
        process has ended.
        """
        try:
            frame = self._frames.get(timeout=timeout)
        except queue.Empty:
            raise TimeoutError from None
        if frame is None:
            self._frames.put(None)  # keep it for later calls
            raise self._ended()
        return frame

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self._thread.is_alive()

    @property
    def is_missing(self) -> bool:
        """Whether the image does not have the program."""
        found = self._error if self._result is None else self._result
        return getattr(found, "exit_code", None) == _NO_PROGRAM

    def close(self) -> None:
        """Close the pipe, which ends the process and the thread."""
        with self._sending:
            if not self._closed:
                self._closed = True
                os.close(self._input)
        if self._thread is threading.current_thread() or not self._thread.is_alive():
            return
        deadline = time.monotonic() + _ENDING_SECONDS
        while self._thread.is_alive() and time.monotonic() < deadline:
            with suppress(queue.Empty):  # a full queue would block the thread
                while True:
                    self._frames.get_nowait()
            self._thread.join(0.02)

    def _ended(self) -> SessionEndedError:
        if self._error is not None:
            return SessionEndedError(self._error.message, hint=self._error.hint)
        words = bytes(self._words).decode("utf-8", "replace").strip().splitlines()
        code = 0 if self._result is None else self._result.exit_code
        last = f": {words[-1]}" if words else ""
        return SessionEndedError(f"the process of the session ended with exit code {code}{last}")

    def _write(self, data: bytes) -> None:
        with self._sending:
            if self._closed:
                raise self._ended()
            try:
                view = memoryview(data)
                while view:
                    view = view[os.write(self._input, view) :]
            except BrokenPipeError:
                raise self._ended() from None

    def _run(self, read: int) -> None:
        try:
            self._result = self._execute(self._command, self._feed, read)
        except ContainersError as error:
            self._error = error
        finally:
            os.close(read)
            self._frames.put(None)

    def _feed(self, stream: StreamName, data: bytes) -> None:
        if stream == "stderr":
            self._words = (self._words + data)[-_KEPT_WORDS:]
            return
        if self._error is not None:
            return
        try:
            for frame in self._reader.feed(data):
                self._frames.put(frame)
        except ContainersError as error:
            self._error = error  # the rest cannot be parsed
            self._frames.put(None)
