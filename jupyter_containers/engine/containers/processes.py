"""Processes of containers: start, exec, logs, stats, top."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from functools import partial
from pathlib import Path

from jupyter_containers.engine.containers.exit_command import exec_end_command
from jupyter_containers.engine.containers.foreground import (
    ExecSession,
    Resizing,
    Stdin,
    TerminalSize,
    source_of,
)
from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.containers.streams import Capture, OutputSink
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.naming import new_id
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.engine.results import RunResult, StatsSample
from jupyter_containers.errors import (
    ContainerFailedError,
    InvalidArgumentError,
    InvalidStateError,
    OCIRuntimeError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.state import Status, require
from jupyter_containers.options import ExecOptions
from jupyter_containers.runtime import cgroups, execute
from jupyter_containers.runtime.failures import ended_from_outside
from jupyter_containers.runtime.keys import DetachedError, DetachKeys
from jupyter_containers.runtime.logs import LogLine, read_log
from jupyter_containers.runtime.spec import Spec, exec_process
from jupyter_containers.runtime.targets import check_folder
from jupyter_containers.runtime.users import User, resolve_user
from jupyter_containers.trees.rooted import Root

_FIRST_SAMPLE_SECONDS = 0.1
_DYING_SECONDS = 2.0


class Processes:
    """Starts processes in containers and reports on them."""

    def __init__(self, context: EngineContext, lifecycle: Lifecycle) -> None:
        self._context, self._lifecycle = context, lifecycle
        self._readings: dict[str, cgroups.ContainerStats] = {}
        self._lock = threading.Lock()

    def start(self, record: ContainerRecord, *, discard_failed: bool = False) -> ContainerRecord:
        """Start a container in the background; with ``discard_failed``, remove it if that fails."""
        try:
            return self._lifecycle.start(record, attach=False)[0]
        except BaseException:
            if discard_failed:
                with deferred():
                    self._lifecycle.remove(record, force=True, volumes=True)
            raise

    def exec(
        self,
        record: ContainerRecord,
        options: ExecOptions,
        *,
        on_output: OutputSink | None,
        stdin: Stdin,
        check: bool,
        terminal_size: TerminalSize | None = None,
        keys: DetachKeys | None = None,
        on_process: execute.OnProcess | None = None,
        exec_id: str = "",
    ) -> RunResult:
        """Run a command in a running container; ``exec_id`` is its ID in events, else a new one."""
        require(record.name, record.state.status, "exec")
        bundle = self._lifecycle.bundle(record.id)
        process = self._process(record, options)
        noted = self._note_exec(record, options, exec_id)
        if options.detach:
            number = self._start_detached(record, bundle.folder, process, noted)
            if on_process is not None:
                on_process(lambda: number)
            return RunResult(0, container_id=record.id)
        capture = Capture(on_output)
        if options.tty:
            with self.open_terminal(record, options, *(terminal_size or _usual_size)()) as session:
                if on_process is not None:
                    on_process(session.process_id)
                resizing = Resizing(terminal_size, session.resize)
                try:
                    code = session.communicate(
                        capture, stdin=source_of(stdin), keys=keys, on_tick=resizing.look
                    )
                except DetachedError:
                    session.leave(partial(self._lifecycle.note_exec_end, record, noted))
                    self._lifecycle.note(record, "exec_detach", execID=noted)
                    return RunResult(0, capture.value("stdout"), b"", record.id, detached=True)
        else:
            with self._alive(record):
                code = execute.execute(
                    self._context.runtime,
                    record.id,
                    bundle.folder,
                    process,
                    on_output=capture,
                    stdin=source_of(stdin),
                    on_process=on_process,
                )
        self._lifecycle.note_exec_end(record, noted, code)
        result = RunResult(code, capture.value("stdout"), capture.value("stderr"), record.id)
        if code != 0 and check:
            raise ContainerFailedError(
                f"the command in {record.name} ended with exit code {code}",
                exit_code=code,
                log_tail=capture.tail(),
            )
        return result

    def _start_detached(
        self, record: ContainerRecord, folder: Path, process: Spec, noted: str
    ) -> int:
        """Start a command in the background; return the number of its process."""
        with self._alive(record):
            return execute.start_detached(
                self._context.monitor,
                record.id,
                folder,
                process,
                exit_command=exec_end_command(self._context, record.id, noted),
            )

    @contextmanager
    def _alive(self, record: ContainerRecord) -> Iterator[None]:
        """Raise :class:`InvalidStateError` for a runtime's failure if the container has ended."""
        try:
            yield
        except OCIRuntimeError as error:
            process = record.state.process
            # Its main process ends last, shortly after the other ones.
            if ended_from_outside(error.message) and process is not None:
                process.wait(timeout=_DYING_SECONDS)
            if self._lifecycle.running(record):
                raise
            raise InvalidStateError(
                f"cannot exec in container {record.name}: it has just ended",
                status=str(Status.EXITED),
                operation="exec",
            ) from error

    def _note_exec(self, record: ContainerRecord, options: ExecOptions, exec_id: str = "") -> str:
        """Write down that a command starts in a container; return the exec's id."""
        exec_id, line = exec_id or new_id(), " ".join(options.command)
        self._lifecycle.note(record, f"exec_create: {line}", execID=exec_id)
        self._lifecycle.note(record, f"exec_start: {line}", execID=exec_id)
        return exec_id

    def open_terminal(
        self, record: ContainerRecord, options: ExecOptions, rows: int, columns: int
    ) -> execute.TerminalSession:
        """Start a command on a terminal in a running container; return the terminal."""
        require(record.name, record.state.status, "exec")
        folder, process = self._lifecycle.bundle(record.id).folder, self._process(record, options)
        with self._alive(record):
            return execute.open_terminal(
                self._context.monitor, record.id, folder, process, rows=rows, columns=columns
            )

    def open_session(
        self, record: ContainerRecord, options: ExecOptions, rows: int, columns: int
    ) -> ExecSession:
        """Start a command on a terminal; return the session, which the caller must close."""
        noted = self._note_exec(record, options)
        session = self.open_terminal(record, options, rows, columns)
        return ExecSession(
            record.id, session, partial(self._lifecycle.note_exec_end, record, noted)
        )

    def _process(self, record: ContainerRecord, options: ExecOptions) -> Spec:
        if options.workdir:
            check_folder(None, options.workdir)
        spec = self._lifecycle.bundle(record.id).spec()
        user = self._user(record, options.user)
        available = self._context.host.kernel_capabilities
        return exec_process(spec, options, user, available=available)

    def _user(self, record: ContainerRecord, text: str) -> User | None:
        if not text or record.state.process is None:
            return None
        try:
            with Root(f"/proc/{record.state.process.pid}/root") as root:
                passwd, group = root.read_text("/etc/passwd"), root.read_text("/etc/group")
        except OSError as error:
            raise InvalidArgumentError(f"container {record.name} has just ended") from error
        user = resolve_user(text, passwd, group)
        self._context.host.require_user(user.uid, user.gid)
        return user

    def logs(
        self,
        record: ContainerRecord,
        *,
        follow: bool,
        since: datetime | None,
        until: datetime | None,
        tail: int | None,
        cancel: CancelToken | None,
    ) -> Iterator[LogLine]:
        """Return a container's log; raise if its logging driver keeps none."""
        if record.options.log_driver == "none":
            raise InvalidArgumentError(
                "configured logging driver does not support reading",
                hint=f"{record.name} was created with --log-driver none",
            )
        return read_log(
            self._lifecycle.bundle(record.id).log,
            follow=follow,
            ended=lambda: not self._lifecycle.running(record),
            since=since,
            until=until,
            tail=tail,
            cancel=cancel,
        )

    def stats(self, records: Sequence[ContainerRecord]) -> list[StatsSample]:
        """Return a sample per container; CPU is measured since the last call, or over 0.1 s."""
        before = {record.id: self._reading(record) for record in records}
        known = self._readings
        if any(record.id not in known for record in records if before[record.id]):
            time.sleep(_FIRST_SAMPLE_SECONDS)
            now = {record.id: self._reading(record) for record in records}
        else:
            before, now = {item.id: known.get(item.id) for item in records}, before
        with self._lock:
            self._readings = {key: value for key, value in now.items() if value is not None}
        return [_sample(record, before[record.id], now[record.id]) for record in records]

    def _reading(self, record: ContainerRecord) -> cgroups.ContainerStats | None:
        if not record.state.status.alive:
            return None
        runtime = self._context.runtime
        return cgroups.stats(runtime.layout, runtime.cgroup_path(record.id))

    def top(self, record: ContainerRecord, options: Sequence[str]) -> list[dict[str, str]]:
        """Return the container's processes as shown by the host's ``ps``."""
        import subprocess

        require(record.name, record.state.status, "exec")
        runtime = self._context.runtime
        if record.state.process:
            runtime.await_program(record.state.process)
        pids = cgroups.processes(runtime.layout, runtime.cgroup_path(record.id))
        try:
            done = subprocess.run(
                ["ps", *(options or ["-ef"])], capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise UnsupportedError(
                "top needs ps on the host",
                capability="ps",
                provided_by="apt-get install procps",
            ) from error
        if done.returncode != 0:
            message = (done.stderr.strip() or "it failed").splitlines()[0]
            raise InvalidArgumentError(f"ps: {message}", hint="for example: top NAME -o pid,cmd")
        rows = _rows_of(done.stdout, pids)
        self._lifecycle.note(record, "top")
        return rows


def _rows_of(text: str, pids: set[int]) -> list[dict[str, str]]:
    """Return the rows of ``ps`` for the processes ``pids``, by column."""
    first, *rows = text.splitlines() or [""]
    titles = first.split()
    if "PID" not in titles:
        raise InvalidArgumentError("ps shows no PID column", hint="add it: top NAME -o pid,…")
    place = titles.index("PID")
    split = [row.split(None, len(titles) - 1) for row in rows]
    wanted = {str(pid) for pid in pids}
    return [
        dict(zip(titles, fields, strict=False))
        for fields in split
        if len(fields) > place and fields[place] in wanted
    ]


def _usual_size() -> tuple[int, int]:
    return 24, 80


def _sample(
    record: ContainerRecord,
    before: cgroups.ContainerStats | None,
    now: cgroups.ContainerStats | None,
) -> StatsSample:
    reading = now or cgroups.ContainerStats(0.0)
    percent = 0.0
    if before is not None and now is not None and now.read_at > before.read_at:
        percent = (now.cpu_ns - before.cpu_ns) / (now.read_at - before.read_at) / 1e7
    received, sent = _network(record)
    return StatsSample(
        container_id=record.id,
        name=record.name,
        cpu_percent=percent,
        memory_usage=reading.memory,
        memory_limit=reading.memory_limit,
        network_rx=received,
        network_tx=sent,
        block_read=reading.block_read,
        block_write=reading.block_written,
        pids=reading.pids,
        pids_limit=reading.pids_limit,
        oom_kills=reading.oom_kills,
    )


def _network(record: ContainerRecord) -> tuple[int, int]:
    """Return the bytes received and sent by a container with its own network."""
    if not record.endpoints or record.state.process is None:
        return 0, 0
    try:
        text = Path(f"/proc/{record.state.process.pid}/net/dev").read_text()
    except OSError:
        return 0, 0
    received = sent = 0
    for line in text.splitlines()[2:]:
        name, _, values = line.partition(":")
        if name.strip() != "lo":
            fields = values.split()
            received, sent = received + int(fields[0]), sent + int(fields[8])
    return received, sent
