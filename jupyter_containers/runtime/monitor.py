"""conmon: the small process that holds a container while no engine is alive.

Vocabulary: the *monitor* is conmon; its *bundle* folder gets these files beside ``config.json``:
``conmon.pid`` and ``container.pid``; ``container.log`` (k8s-file format); ``attach`` (socket) and
``ctl`` (fifo); ``persist/exit`` (the exit code) and ``persist/oom``; ``runtime.log`` and
``monitor.log`` (the two programs' error messages).

Lifecycle: :meth:`Monitor.create` starts conmon, which runs the runtime's ``create`` and reports
the container's pid through a pipe; the container then waits for ``OCIRuntime.start``.  When its
process ends, conmon writes the exit code and ends too: :func:`wait` sees that from any process.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import overload

from jupyter_containers.errors import ContainersError, OCIRuntimeError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import json, subprocess
from jupyter_containers.runtime.failures import log_error, program_of, runtime_error
from jupyter_containers.runtime.oci_runtime import OCIRuntime, program_environment
from jupyter_containers.runtime.process import ProcessIdentity, kill_processes, wait_readable

_CREATE_TIMEOUT = 60.0
_EXIT_POLL = 0.001
_STALE = ("conmon.pid", "container.pid", "attach", "ctl", "winsz", "runtime.log", "monitor.log")


@dataclass(frozen=True, slots=True)
class MonitorState:
    """The two processes of a created container; None for one that has already ended."""

    conmon: ProcessIdentity | None
    container: ProcessIdentity | None
    container_pid: int


@dataclass(frozen=True, slots=True)
class ExitStatus:
    """How a container ended; ``code`` is None if the monitor died before writing it."""

    code: int | None
    oom_killed: bool


class Monitor:
    """conmon of this host, with one runtime; stateless, usable from any thread."""

    def __init__(self, conmon: str, runtime: OCIRuntime) -> None:
        self._conmon = conmon
        self._runtime = runtime

    def create(
        self,
        container_id: str,
        bundle: Path,
        *,
        terminal: bool = False,
        interactive: bool = False,
        keep_stdin_open: bool = False,
        log_max_bytes: int = 0,
        log_driver: str = "",
        exit_command: Sequence[str] = (),
        pass_fds: Sequence[int] = (),
    ) -> MonitorState:
        """Create the container of ``bundle`` under a new monitor; its process waits for start.

        Call it inside the private mount namespace with the root file system. ``interactive`` gives
        the container a standard input, closed when the first attached client closes its side unless
        ``keep_stdin_open``.  ``log_max_bytes`` 0 means no limit; ``log_driver`` ``none`` keeps no
        log. ``exit_command`` is run by conmon after the container has ended; conmon holds
        ``pass_fds`` open until then (reserved ports).  Raises :class:`OCIRuntimeError`
        (``exit_code`` 125, 126 or 127) with nothing left behind.
        """
        clear(bundle)
        argv = self._argv(container_id, bundle, log_driver)
        argv += ["--terminal"] if terminal else []
        argv += ["--stdin"] if interactive else []
        argv += ["--leave-stdin-open"] if interactive and keep_stdin_open else []
        argv += ["--log-size-max", str(log_max_bytes)] if log_max_bytes else []
        argv += _exit_arguments(exit_command)
        try:
            return self._launch(argv, bundle, pass_fds)
        except BaseException:
            with suppress(ContainersError):
                self._runtime.delete(container_id, force=True)
            raise

    def abandon(self, container_id: str) -> None:
        """Kill the monitor of a container, and the runtime if it is still creating it.

        For a container whose starter died before its program began.  The processes are found by
        their arguments, because neither may have written its pid yet.
        """
        monitor, wanted = os.fsencode(self._conmon), os.fsencode(container_id)

        def watches(words: Sequence[bytes]) -> bool:
            place = words.index(b"--cid") if b"--cid" in words else len(words)
            return words[0] == monitor and list(words[place + 1 : place + 2]) == [wanted]

        kill_processes(watches)
        self._runtime.abandon(container_id)

    def execute(
        self,
        container_id: str,
        folder: Path,
        specification: Path,
        *,
        terminal: bool = False,
        exit_command: Sequence[str] = (),
        connect: Callable[[], None] | None = None,
    ) -> MonitorState:
        """Start a further process in a container, with its own monitor.

        ``folder`` has the role of a container's bundle for the process.  ``connect`` is called
        before the process begins, for attaching; without it the output is discarded.  conmon runs
        the ``exit_command`` when the process has ended; the exit code is then in the folder
        (:func:`read_exit`).
        """
        argv = [*self._program(container_id, folder), "--bundle", str(folder)]
        argv += ["--exec", "--exec-process-spec", str(specification), "--log-path", "none"]
        argv += ["--terminal"] if terminal else []
        argv += ["--exec-attach"] if connect is not None else []
        if exit_command or connect is not None:
            persist = folder / "persist"
            persist.mkdir(mode=0o700)
            argv += ["--persist-dir", str(persist), *_exit_arguments(exit_command)]
        return self._launch(argv, folder, operation="exec", connect=connect)

    def _program(self, container_id: str, folder: Path) -> list[str]:
        argv = [self._conmon, "--api-version", "1", "--cid", container_id, "--cuuid", container_id]
        argv += ["--name", container_id, "--runtime", self._runtime.program(container_id)]
        argv += ["--container-pidfile", str(folder / "container.pid")]
        argv += ["--conmon-pidfile", str(folder / "conmon.pid"), "--full-attach"]
        for argument in self._runtime.global_arguments(folder / "runtime.log"):
            argv += ["--runtime-arg", argument]
        return argv

    def _argv(self, container_id: str, bundle: Path, log_driver: str) -> list[str]:
        argv = [*self._program(container_id, bundle), "--bundle", str(bundle)]
        log = "none" if log_driver == "none" else f"k8s-file:{bundle / 'container.log'}"
        argv += ["--log-path", log]
        # Only a power failure could lose unsynced log lines; syncing costs milliseconds at every
        # end of a container.
        return [*argv, "--persist-dir", str(bundle / "persist"), "--no-sync-log"]

    def _launch(
        self,
        argv: list[str],
        bundle: Path,
        pass_fds: Sequence[int] = (),
        *,
        operation: str = "create the container",
        connect: Callable[[], None] | None = None,
    ) -> MonitorState:
        """Start conmon; return the processes once it has reported the container's."""
        with ExitStack() as pipes:
            sync = pipes.enter_context(_Pipe("_OCI_SYNCPIPE"))
            given = [sync]
            if connect is not None:
                ready = pipes.enter_context(_Pipe("_OCI_ATTACHPIPE"))
                gate = pipes.enter_context(_Pipe("_OCI_STARTPIPE", into_conmon=True))
                given += [ready, gate]
            child = _start_program(argv, bundle, given, pass_fds)
            try:
                if connect is not None:
                    with suppress(BrokenPipeError):  # it failed, and the report contains the reason
                        # Once for conmon to begin, once for the process when the client is
                        # connected.
                        os.write(gate.ours, b"0")
                        if _read_report(ready.ours):
                            connect()
                        os.write(gate.ours, b"0")
                report = _read_report(sync.ours)
            finally:
                # The started process forks the real monitor and ends at once.
                _reap(child)
        pid = _reported_pid(report, argv, bundle, operation)
        conmon = ProcessIdentity.of(read_number(bundle / "conmon.pid") or 0)
        return MonitorState(conmon, ProcessIdentity.of(pid), pid)


class _Pipe:
    """A pipe; conmon inherits ``theirs`` and finds its number in an environment variable."""

    def __init__(self, variable: str, *, into_conmon: bool = False) -> None:
        self.variable = variable
        reading, writing = os.pipe()
        self.ours, self.theirs = (writing, reading) if into_conmon else (reading, writing)
        self._open = {self.ours, self.theirs}

    def __enter__(self) -> _Pipe:
        return self

    def __exit__(self, *_: object) -> None:
        for end in self._open:
            os.close(end)

    def hand_over(self) -> None:
        """Close the other end here: the reader sees its end when conmon's copy is closed too."""
        os.close(self.theirs)
        self._open.discard(self.theirs)


def _start_program(
    argv: list[str], bundle: Path, pipes: Sequence[_Pipe], pass_fds: Sequence[int]
) -> subprocess.Popen[bytes]:
    try:
        with open(bundle / "monitor.log", "ab") as log:
            child = subprocess.Popen(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                cwd=bundle,
                env={**program_environment(), **{one.variable: str(one.theirs) for one in pipes}},
                pass_fds=[*(one.theirs for one in pipes), *pass_fds],
                start_new_session=True,
            )
    except OSError as error:
        raise OCIRuntimeError(f"cannot start {argv[0]}: {error.strerror}", argv=argv) from error
    for one in pipes:
        one.hand_over()
    return child


def _exit_arguments(command: Sequence[str]) -> list[str]:
    found: list[str] = []
    for number, word in enumerate(command):
        found += ["--exit-command-arg" if number else "--exit-command", word]
    return found


def clear(bundle: Path) -> None:
    """Remove the files of an earlier run of the same container, its exit status included."""
    persist = bundle / "persist"
    try:
        persist.mkdir(mode=0o700)
    except FileExistsError:  # otherwise this is the first run, and there are none
        for path in [*(bundle / name for name in _STALE), persist / "exit", persist / "oom"]:
            path.unlink(missing_ok=True)


@overload
def wait(
    bundle: Path,
    state: MonitorState | None = None,
    *,
    timeout: None = None,
    cancel: CancelToken | None = None,
) -> ExitStatus: ...


@overload
def wait(
    bundle: Path,
    state: MonitorState | None = None,
    *,
    timeout: float | None,
    cancel: CancelToken | None = None,
) -> ExitStatus | None: ...


def wait(
    bundle: Path,
    state: MonitorState | None = None,
    *,
    timeout: float | None = None,
    cancel: CancelToken | None = None,
) -> ExitStatus | None:
    """Return how the container of ``bundle`` ended, or None after ``timeout`` seconds.

    Works from any process and after any crash: if the monitor was killed, it waits for the
    container's own process and returns a status without a code.  ``state`` protects against reused
    pids; without it the pid files are trusted.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    if state is None:
        container_pid = read_number(bundle / "container.pid") or 0
        conmon = ProcessIdentity.of(read_number(bundle / "conmon.pid") or 0)
        state = MonitorState(conmon, ProcessIdentity.of(container_pid), container_pid)
    if state.container is not None and not state.container.wait(timeout=timeout, cancel=cancel):
        return None
    # The monitor writes the code once it has all output, and may stay alive for its exit command.
    while (code := read_exit(bundle)) is None:
        if state.conmon is None or state.conmon.wait(timeout=_EXIT_POLL, cancel=cancel):
            code = read_exit(bundle)
            break
        if deadline is not None and time.monotonic() > deadline:
            return None
    return ExitStatus(code, (bundle / "persist" / "oom").exists())


def read_exit(bundle: Path) -> int | None:
    """Return the exit code that the monitor wrote, or None if there is none (yet)."""
    return read_number(bundle / "persist" / "exit")


def resize(bundle: Path, rows: int, columns: int) -> None:
    """Set the size of the container's terminal; do nothing for a container that has ended."""
    with suppress(OSError):
        descriptor = os.open(bundle / "ctl", os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            os.write(descriptor, b"1 %d %d\n" % (rows, columns))
        finally:
            os.close(descriptor)


def read_number(path: Path) -> int | None:
    """Return the decimal number in a small file, or None."""
    try:
        return int(path.read_bytes())
    except (OSError, ValueError):
        return None


def _read_report(reader: int) -> bytes:
    data = b""
    deadline = time.monotonic() + _CREATE_TIMEOUT
    while b"\n" not in data and wait_readable(
        reader, timeout=max(0.0, deadline - time.monotonic())
    ):
        chunk = os.read(reader, 65536)
        if not chunk:
            break
        data += chunk
    # An exec whose process ends at once has its exit code reported right after its pid.
    return data.partition(b"\n")[0]


def _reap(child: subprocess.Popen[bytes]) -> None:
    try:
        child.wait(timeout=5)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _reported_pid(report: bytes, argv: Sequence[str], bundle: Path, operation: str) -> int:
    try:
        value = json.loads(report)
        pid = int(value.get("data", value.get("pid", -1)))
        message = str(value.get("message", ""))
    except (ValueError, AttributeError, TypeError):
        pid, message = -1, ""
    if pid > 0:
        return pid
    said = ""
    with suppress(OSError):
        said = (bundle / "monitor.log").read_text(errors="replace")[-2000:]
    text = log_error(bundle / "runtime.log") or message or said
    raise runtime_error(
        text,
        operation=operation,
        argv=argv,
        stderr=message or said,
        program=program_of(bundle),
    )
