"""One session: a container with a process that runs cells and keeps their variables.

Lifecycle: started by :class:`~.service.SessionService` → cells run, one at a time → a process that
died or was restarted loses its variables but keeps its files → :meth:`Session.stop`, or the end of
this Python process, removes the container.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from jupyter_containers.engine.containers import value_files
from jupyter_containers.engine.sessions.agent import Agent
from jupyter_containers.engine.sessions.frames import Frame
from jupyter_containers.engine.sessions.history import CellLog
from jupyter_containers.engine.sessions.languages import Language
from jupyter_containers.engine.sessions.outputs import CellError, Collector, Live, Output
from jupyter_containers.engine.sessions.results import SessionResult, StoppedBy, limit_in
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
    from collections.abc import Iterator

    from jupyter_containers.engine.images.image import Image
    from jupyter_containers.engine.sessions.asynchronous import AsyncSession
    from jupyter_containers.engine.sessions.branches import Snapshot
    from jupyter_containers.engine.sessions.files import SessionFiles
    from jupyter_containers.engine.sessions.launching import Launched, Launcher
    from jupyter_containers.engine.sessions.packages import Manager
    from jupyter_containers.engine.sessions.recipe import Recipe
    from jupyter_containers.runtime.logs import LogLine

Ask = Callable[[str, bool], str | None]
"""Returns a line for a prompt, hidden if the second argument is true; None for no input."""

_GRACE_SECONDS = 2.0
_TICK_SECONDS = 0.1
_READY_SECONDS = 60.0


def _show_nothing(output: Output) -> None:
    del output


def _answer_nothing(prompt: str, hidden: bool) -> str | None:
    del prompt, hidden
    return None


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
        launcher: Launcher,
        launched: Launched,
        languages: Sequence[Language],
        *,
        result_bytes: int,
        on_stop: Callable[[Session], object],
    ) -> None:
        self._launcher, self._launched = launcher, launched
        self._containers = launcher.containers
        self._languages, self._language = languages, languages[0]
        self._on_stop = on_stop
        self._result_bytes = result_bytes
        self._lock = threading.RLock()
        self._agent: Agent | None = None
        self._greeted = True
        self._cells = self._memory_kills = 0
        self._log = CellLog()
        self.version, self._reads_parquet = "", False
        self.running = ""
        """The first line of the cell that runs; empty while none does."""

    @property
    def name(self) -> str:
        """The name of the session and of its container."""
        return self._launched.name

    @property
    def container_id(self) -> str:
        """The ID of its container."""
        return self._launched.container

    @property
    def recipe(self) -> Recipe:
        """What it was started from."""
        return self._launched.recipe

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
            self.running = next(filter(None, map(str.strip, code.splitlines())), "")
            recipe = self.recipe
            collector = Collector(on_output, recipe.output_bytes, recipe.change)
            limit = recipe.timeout if timeout is None else timeout
            deadline = None if limit is None else time.monotonic() + limit
            run = _Run(collector, on_input, deadline, cancel or CancelToken())
            began, refused = time.monotonic(), self._launched.refusals
            try:
                self._request(run, "run", code=code, name=name or f"<cell {self._cells}>")
            finally:
                self.running = ""
            if run.interrupted:
                raise KeyboardInterrupt
            if not run.stopped_by:
                run.stopped_by = "output" if collector.dropped else limit_in(collector.error)
            result = SessionResult(
                outputs=collector.outputs,
                stdout=collector.text("stdout"),
                stderr=collector.text("stderr"),
                error=collector.error,
                duration=time.monotonic() - began,
                execution_count=run.count,
                stopped_by=run.stopped_by,
                refused=self._launched.refused_since(refused),
            )
            self._log.add(result)
            return result

    def push(self, **values: Any) -> None:
        """Set variables: DataFrames, arrays, numbers, text, bytes, lists and dicts, files."""
        self.settle()
        for name, value in values.items():
            if self._language.name != "python" and value_files.kind_of(value) == "array":
                value = value.tolist()
            file_name = value_files.file_name(name, value)
            if file_name.endswith(".parquet") and not self._reads_parquet:
                file_name = f"{name}.csv"
            with tempfile.TemporaryDirectory(prefix="session-") as folder:
                path = Path(folder) / file_name
                written = value_files.write(name, value, path)
                source = Path(value) if written.kind == "path" else path
                body = source.read_bytes()
            about = {"kind": written.kind, "index": written.index, "dtypes": {**written.dtypes}}
            self._ask("push", body, name=name, file=file_name, **about)

    def pull(self, name: str) -> Any:
        """Return the value of a variable, read as data and never as code.

        Raises :class:`SessionCellError` if it does not exist or cannot be exchanged.
        """
        self.settle()
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

    def inspect(self, code: str, position: int, detail: int = 0) -> str:
        """Return signature and documentation of the name at a position; its source with detail."""
        frames = self._ask("inspect", code=code, position=position, detail=detail)
        return next((one.get("text", "") for one in frames if one.type == "inspection"), "")

    # -- files, packages, branches ---------------------------------------------------------------

    @cached_property
    def files(self) -> SessionFiles:
        """Its files: ``read``, ``write``, ``list``, ``remove``, ``watch``."""
        from jupyter_containers.engine.sessions.files import SessionFiles

        return SessionFiles(self._containers, lambda: self.container_id, self._result_bytes)

    def install(
        self,
        *packages: str,
        manager: Manager = "pip",
        index: str = "",
        timeout: float | None = 600.0,
    ) -> None:
        """Install packages with pip or apt.

        A session without a network reaches the package index alone (PyPI, Debian and Ubuntu, or the
        host of ``index``), through a proxy that ends with the installation.  Raises
        :class:`ContainerFailedError` with the last lines of the output.
        """
        with self._lock:
            self._launcher.install(self._launched, packages, manager, index, timeout)
            # The folder of a user's packages may be new.
            code = "import importlib, site; importlib.invalidate_caches(); "
            code = f"exec({code + 'site.addsitedir(site.getusersitepackages())'!r}, {{}})"
            if self.language == "python" and manager == "pip":
                run = _Run(Collector(_show_nothing, 1 << 16), _answer_nothing, None, CancelToken())
                self._request(run, "run", code=code, name="<install>")

    def save(self, name: str) -> Image:
        """Create an image of the session's files; a cell that runs ends first."""
        with self._lock:
            return self._containers.commit(self.container_id, name, files_only=True)

    def snapshot(self) -> Snapshot:
        """Return a snapshot of its files, for :meth:`restore` and :meth:`fork`."""
        from jupyter_containers.engine.sessions.branches import take

        with self._lock:
            return take(self._containers, self.container_id, self.recipe)

    def fork(
        self,
        name: str | None = None,
        *,
        snapshot: Snapshot | None = None,
        variables: Sequence[str] = (),
        memory: bool = False,
    ) -> Session:
        """Return a second session that begins with the files of this one.

        For many branches of one state pass the same ``snapshot``, which is not removed then.
        ``variables`` are copied by name; ``memory`` raises :class:`UnsupportedError`.  The process
        of the branch is still starting when this returns.
        """
        from jupyter_containers.engine.sessions.branches import refuse_memory

        if memory:
            refuse_memory()
        found = self.snapshot() if snapshot is None else snapshot
        try:
            branch = self._launcher.branch(found, name, owned=snapshot is None)
        except BaseException:
            if snapshot is None:
                found.remove()
            raise
        if not variables:
            return branch
        try:
            branch.push(**{one: self.pull(one) for one in variables})
        except BaseException:
            branch.stop()
            raise
        return branch

    def restore(self, snapshot: Snapshot) -> None:
        """Go back to the files of a snapshot; variables are lost, name and limits stay."""
        with self._lock:
            agent, self._agent = self._agent, None
            self._launched.remove()
            if agent is not None:
                agent.close()
            self._launched = self._launcher.again(self._launched, snapshot)
            self._memory_kills = 0
            self.start()

    @property
    def refused(self) -> tuple[str, ...]:
        """The connections that the allow list has refused, each as a sentence."""
        return self._launched.refused_since(0)

    def logs(self, tail: int | None = None) -> Iterator[LogLine]:
        """Return the last lines that its cells showed, one megabyte at most."""
        return self._log.tail(tail)

    @property
    def asynchronous(self) -> AsyncSession:
        """This session with methods that are awaited."""
        from jupyter_containers.engine.sessions.asynchronous import AsyncSession

        return AsyncSession(self)

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
        self._on_stop(self)
        self._launched.remove()
        agent, self._agent = self._agent, None
        if agent is not None:
            agent.close()

    def start(self) -> None:
        """Start the process; raise :class:`UnsupportedError` if the image lacks the language."""
        for language in self._languages:
            for command in language.commands:
                dialect = language.dialect(self._result_bytes)
                agent = Agent(self._execute, command, dialect)
                agent.start(language.program(dialect))
                ready = self._greeting(agent)
                if ready is None:
                    continue
                self._languages, self._language, self._agent = (language,), language, agent
                self._greeted = True
                self._take(ready)
                return
        tried = " or ".join(language.tried for language in self._languages)
        raise UnsupportedError(
            f"the image of session {self.name} has no {tried}",
            capability=self._language.name,
            provided_by=f"an image with {tried}",
        )

    def begin(self) -> None:
        """Start the process and do not wait for it: the first request does."""
        dialect = self._language.dialect(self._result_bytes)
        self._agent = Agent(self._execute, self._language.commands[0], dialect)
        self._agent.start(self._language.program(dialect))
        self._greeted = False

    def settle(self) -> None:
        """Wait until a process that has begun is ready."""
        with self._lock:
            agent = self._agent
            if self._greeted or agent is None:
                return
            ready = self._greeting(agent)
            self._greeted = True
            if ready is None:  # the image has another one of the language's commands
                self.start()
            else:
                self._take(ready)

    def _take(self, ready: Frame) -> None:
        self.version = ready.get("version", "")
        self._reads_parquet = ready.get("parquet", False)

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
            collector = Collector(_show_nothing, self.recipe.output_bytes)
            run = _Run(collector, _answer_nothing, None, CancelToken())
            self._request(run, kind, body, **fields)
            if collector.error is not None:
                error = collector.error
                raise SessionCellError(error.value or error.name, traceback=error.traceback)
            return run.frames

    def _request(self, run: _Run, kind: str, body: bytes = b"", /, **fields: Any) -> None:
        self.settle()
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
