"""One session: a container with a process that runs cells and keeps their variables.

Lifecycle: started by :class:`~.service.SessionService` → cells run, one at a time → a process that
died or was restarted loses its variables but keeps its files → :meth:`Session.stop`, or the end of
this Python process, removes the container.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jupyter_containers.engine.containers import value_files
from jupyter_containers.engine.sessions.agent import Agent
from jupyter_containers.engine.sessions.frames import Frame
from jupyter_containers.engine.sessions.languages import Language
from jupyter_containers.engine.sessions.outputs import CellError, Collector, Live, Output
from jupyter_containers.errors import (
    ContainersError,
    SessionCellError,
    SessionEndedError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import tempfile

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.service import ContainerService

Ask = Callable[[str, bool], str | None]
"""Returns a line for a prompt, hidden if the second argument is true; None for no input."""

StoppedBy = Literal["", "time", "memory", "output", "interrupt"]
_GRACE_SECONDS = 2.0
_TICK_SECONDS = 0.1
_READY_SECONDS = 60.0


def _show_nothing(output: Output) -> None:
    del output


def _answer_nothing(prompt: str, hidden: bool) -> str | None:
    del prompt, hidden
    return None


@dataclass(frozen=True, slots=True)
class SessionResult:
    """The result of a cell.

    ``outputs`` are those of nbformat 4; ``duration`` is in seconds.  ``stopped_by`` names the limit
    that ended the cell or cut its output, or ``interrupt``.
    """

    outputs: list[Output]
    stdout: str
    stderr: str
    error: CellError | None
    duration: float
    execution_count: int
    stopped_by: StoppedBy = ""

    @property
    def ok(self) -> bool:
        """Whether the cell ended without an error."""
        return self.error is None

    @property
    def text(self) -> str:
        """The value of the last expression as text, empty without one."""
        for output in self.outputs:
            if output["output_type"] == "execute_result":
                return str(output["data"].get("text/plain", ""))
        return ""

    def check(self) -> SessionResult:
        """Return this result; raise :class:`SessionCellError` if the cell failed."""
        if self.error is not None:
            raise SessionCellError(str(self.error), traceback=self.error.traceback)
        return self


@dataclass(slots=True)
class _Run:
    """One request in progress."""

    collector: Collector
    ask: Ask
    deadline: float | None
    cancel: CancelToken
    stopped_by: StoppedBy = ""
    give_up: float | None = None
    count: int = 0
    interrupted: bool = False
    frames: list[Frame] = field(default_factory=list)


class Session:
    """A container that runs code and keeps its state; use it as a context manager or stop it."""

    def __init__(
        self,
        containers: ContainerService,
        container: str,
        name: str,
        language: Language,
        *,
        result_bytes: int,
        output_bytes: int,
        timeout: float | None,
        change: Callable[[Any], dict[str, Any]],
        on_stop: Callable[[], object],
    ) -> None:
        self._containers, self.container_id, self.name = containers, container, name
        self._language, self._change, self._on_stop = language, change, on_stop
        self._result_bytes, self._output_bytes, self._timeout = result_bytes, output_bytes, timeout
        self._lock = threading.RLock()
        self._agent: Agent | None = None
        self._cells = self._memory_kills = 0
        self.version, self._reads_parquet = "", False

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def __repr__(self) -> str:
        return f"<session {self.name}: {self._language.name} {self.version}>"

    @property
    def language(self) -> str:
        """The name of the language."""
        return self._language.name

    @property
    def cells(self) -> int:
        """The number of cells it has run."""
        return self._cells

    @property
    def status(self) -> Literal["busy", "idle", "ended"]:
        """The current state of its process."""
        if self._agent is None or not self._agent.alive:
            return "ended"
        if not self._lock.acquire(blocking=False):
            return "busy"
        self._lock.release()
        return "idle"

    # -- cells -----------------------------------------------------------------------------------

    def run(
        self,
        code: str,
        *,
        timeout: float | None = None,
        on_output: Live = _show_nothing,
        on_input: Ask = _answer_nothing,
        cancel: CancelToken | None = None,
        name: str = "",
    ) -> SessionResult:
        """Run a cell and return its result; an exception of the cell is in ``error``.

        ``on_output`` receives each output live, ``on_input`` answers ``input()``.  After
        ``timeout`` seconds the cell is interrupted, and if it does not stop, its process is
        replaced.  An interrupt of the caller interrupts the cell, whose variables are kept, and is
        raised here once the cell has stopped.  ``name`` stands for the cell in tracebacks.
        """
        with self._lock:
            self._cells += 1
            collector = Collector(on_output, self._output_bytes, self._change)
            limit = self._timeout if timeout is None else timeout
            deadline = None if limit is None else time.monotonic() + limit
            run = _Run(collector, on_input, deadline, cancel or CancelToken())
            began = time.monotonic()
            self._request(run, "run", code=code, name=name or f"<cell {self._cells}>")
            if run.interrupted:
                raise KeyboardInterrupt
            if collector.dropped and not run.stopped_by:
                run.stopped_by = "output"
            return SessionResult(
                outputs=collector.outputs,
                stdout=collector.text("stdout"),
                stderr=collector.text("stderr"),
                error=collector.error,
                duration=time.monotonic() - began,
                execution_count=run.count,
                stopped_by=run.stopped_by,
            )

    def push(self, **values: Any) -> None:
        """Set variables: DataFrames, arrays, numbers, text, bytes, lists and dicts, files."""
        for name, value in values.items():
            file_name = value_files.file_name(name, value)
            if file_name.endswith(".parquet") and not self._reads_parquet:
                file_name = f"{name}.csv"
            with tempfile.TemporaryDirectory(prefix="session-") as folder:
                path = Path(folder) / file_name
                written = value_files.write(name, value, path)
                source = Path(value) if written.kind == "path" else path
                body = source.read_bytes()
            fields = {"kind": written.kind, "index": written.index, "file": file_name}
            self._ask("push", body, name=name, **fields)

    def pull(self, name: str) -> Any:
        """Return the value of a variable, read as data and never as code.

        Raises :class:`SessionCellError` if it does not exist or cannot be exchanged.
        """
        parquet = self._reads_parquet and value_files.reads_parquet()
        for frame in self._ask("pull", name=name, parquet=parquet):
            if frame.type == "value":
                # The container controls this name: use only the part after the last slash.
                file = os.path.basename(frame.get("file", ""))
                hints: dict[str, Any] = frame.get("hints", {})
                return value_files.value_of(file, frame.body, hints, self._result_bytes)
        raise SessionEndedError(f"the session sent no value of {name}")

    def complete(self, code: str, position: int) -> tuple[list[str], int]:
        """Return the completions at a position of a cell, and the start of the word to replace."""
        for frame in self._ask("complete", code=code, position=position):
            if frame.type == "completions":
                found: list[Any] = frame.get("matches", [])
                return [str(match) for match in found], frame.get("start", position)
        return [], position

    def inspect(self, code: str, position: int) -> str:
        """Return signature and documentation of the name at a position of a cell."""
        frames = self._ask("inspect", code=code, position=position)
        return next((one.get("text", "") for one in frames if one.type == "inspection"), "")

    # -- life ------------------------------------------------------------------------------------

    def interrupt(self) -> None:
        """Interrupt the cell that runs in another thread; its variables stay."""
        if self._agent is not None:
            self._agent.send("interrupt")

    def restart(self) -> None:
        """Replace the process: variables are lost, files stay."""
        with self._lock:
            self._drop()
            self.start()

    def stop(self) -> None:
        """End the process and remove the container."""
        self._on_stop()
        with suppress(ContainersError):  # it may be gone already
            self._containers.remove(self.container_id, force=True, volumes=True)
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.close()

    def start(self) -> None:
        """Start the process; raise :class:`UnsupportedError` if the image lacks the language."""
        for command in self._language.commands:
            agent = Agent(self._execute, command, self._result_bytes)
            agent.start(self._language.program())
            ready = self._greeting(agent)
            if ready is None:
                continue
            self._agent, self.version = agent, ready.get("version", "")
            self._reads_parquet = ready.get("parquet", False)
            return
        tried = " or ".join(command[0] for command in self._language.commands)
        raise UnsupportedError(
            f"the image of session {self.name} has no {tried}",
            capability=self._language.name,
            provided_by=f"an image with {tried}",
        )

    def _greeting(self, agent: Agent) -> Frame | None:
        """Return the first frame of a process, None if the image lacks its program."""
        try:
            ready = agent.receive(_READY_SECONDS)
            if ready.type == "ready":
                return ready
        except TimeoutError:
            pass
        except SessionEndedError:
            agent.close()
            if agent.is_missing:
                return None
            raise
        agent.close()
        raise SessionEndedError(f"the process of session {self.name} did not start properly")

    def _execute(self, command: Any, on_output: Any, stdin: int) -> Any:
        return self._containers.exec(
            self.container_id, command, on_output=on_output, stdin=stdin, check=False
        )

    def _drop(self) -> None:
        """Kill all processes in the container except the main one."""
        agent, self._agent = self._agent, None
        if agent is None:
            return
        with suppress(ContainersError):  # the container has ended
            # Before closing the pipe, because its end makes the agent end the container.
            self._containers.exec(self.container_id, ["/bin/sh", "-c", "kill -9 -1"], check=False)
        agent.close()

    # -- requests --------------------------------------------------------------------------------

    def _ask(self, kind: str, body: bytes = b"", /, **fields: Any) -> list[Frame]:
        """Return the frames that answer a request; raise its error."""
        with self._lock:
            collector = Collector(_show_nothing, self._output_bytes)
            run = _Run(collector, _answer_nothing, None, CancelToken())
            self._request(run, kind, body, **fields)
            if collector.error is not None:
                error = collector.error
                raise SessionCellError(error.value or error.name, traceback=error.traceback)
            return run.frames

    def _request(self, run: _Run, kind: str, body: bytes = b"", /, **fields: Any) -> None:
        agent = self._agent
        if agent is None or not agent.alive:
            raise SessionEndedError(
                f"session {self.name} has ended", hint="restart it; its variables are lost"
            )
        try:
            agent.send(kind, body, **fields)
            while not self._step(agent, run):
                pass
        except SessionEndedError as error:
            self._revive(run, error)

    def _step(self, agent: Agent, run: _Run) -> bool:
        """Handle one frame; return whether the request is done."""
        try:
            frame = agent.receive(_TICK_SECONDS)
        except TimeoutError:
            self._watch(agent, run)
            return False
        except KeyboardInterrupt:
            run.interrupted = True
            self._stop(agent, run, "interrupt")
            return False
        if frame.type == "done":
            run.count = frame.get("count", 0)
            return True
        if frame.type == "input_request":
            self._answer(agent, run, frame)
        elif frame.type in ("value", "completions", "inspection"):
            run.frames.append(frame)
        else:
            run.collector.take(frame)
        self._watch(agent, run)
        return False

    def _answer(self, agent: Agent, run: _Run, frame: Frame) -> None:
        try:
            text = run.ask(frame.get("prompt", ""), frame.get("password", False))
        except KeyboardInterrupt:
            run.interrupted = True
            self._stop(agent, run, "interrupt")
            text = ""
        agent.send("input_reply", text=text)

    def _watch(self, agent: Agent, run: _Run) -> None:
        """Stop a request that is over its time, cancelled, or ignoring an interrupt."""
        now = time.monotonic()
        if run.give_up is not None:
            if now > run.give_up:
                self._drop()
                raise SessionEndedError("the cell did not stop, and its process was ended")
        elif run.deadline is not None and now > run.deadline:
            self._stop(agent, run, "time")
        elif run.cancel.cancelled:
            self._stop(agent, run, "interrupt")

    def _stop(self, agent: Agent, run: _Run, reason: StoppedBy) -> None:
        """Interrupt the cell; the second time, end its process."""
        if run.give_up is not None:
            run.give_up = 0.0
            return
        run.stopped_by, run.give_up = reason, time.monotonic() + _GRACE_SECONDS
        agent.send("interrupt")

    def _revive(self, run: _Run, error: SessionEndedError) -> None:
        """Record that the process died, and start another one in the same container."""
        self._drop()
        words = error.message
        if self._killed_for_memory():
            run.stopped_by = "memory"
            words = "the memory limit was reached, and the kernel ended the process"
        run.collector.fail(CellError("SessionEndedError", f"{words}; variables are lost"))
        try:
            self.start()
        except ContainersError as failure:
            raise SessionEndedError(
                f"session {self.name} has ended: {words}", hint=failure.message
            ) from error

    def _killed_for_memory(self) -> bool:
        """Return whether the kernel has killed a process of the container since the last check."""
        before = self._memory_kills
        with suppress(ContainersError):  # the container has ended
            self._memory_kills = self._containers.stats([self.container_id])[0].oom_kills
        return self._memory_kills > before
