"""Runs a further process in a running container (``exec``).

Lifecycle: :func:`execute` runs one to its end with pipes; :func:`open_terminal` starts one on a
pseudo-terminal and returns a handle; :func:`start_detached` starts one in the background.  The
process is described by ``spec.exec_process``.  Scratch files are created in the container's bundle
and removed.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any

from jupyter_containers.errors import OCIRuntimeError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import json, shutil, tempfile
from jupyter_containers.runtime.attach import Attachment
from jupyter_containers.runtime.failures import log_error, program_of, runtime_error
from jupyter_containers.runtime.keys import DetachKeys
from jupyter_containers.runtime.monitor import Monitor, MonitorState, read_number, resize, wait
from jupyter_containers.runtime.oci_runtime import OCIRuntime
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.runtime.pump import OutputSink, StreamName

_DYING_SECONDS = 5.0
_READING_SECONDS = 60.0  # between the end of a process and the reading of its exit code
_PREFIX = "exec-"
_END_OF_FILE = b"\x04"


def _scratch(bundle: Path) -> Path:
    """Return a new folder in the bundle; its name identifies the process that created it."""
    me = ProcessIdentity.of(os.getpid())
    assert me is not None  # this process is running
    return Path(tempfile.mkdtemp(prefix=f"{_PREFIX}{me.pid}-{me.start_time}-", dir=bundle))


def sweep_scratch(bundle: Path) -> None:
    """Remove unused scratch folders of a bundle.

    Their creators and the monitors of their background processes are dead; a folder younger than a
    minute may still be read for the exit code.
    """
    with suppress(FileNotFoundError):  # the container was removed
        for name in os.listdir(bundle):
            if name.startswith(_PREFIX) and _is_abandoned(bundle / name):
                shutil.rmtree(bundle / name, ignore_errors=True)


def _is_abandoned(folder: Path) -> bool:
    try:
        pid, start_time, _ = folder.name.removeprefix(_PREFIX).split("-", 2)
        maker = ProcessIdentity(int(pid), int(start_time))
    except ValueError:
        return False
    conmon = ProcessIdentity.of(read_number(folder / "conmon.pid") or 0)
    try:
        young = time.time() - folder.stat().st_mtime < _READING_SECONDS
    except FileNotFoundError:
        return False
    return not maker.alive and conmon is None and not young


class _Call:
    """One ``exec`` of the runtime: its argument vector and its scratch folder."""

    def __init__(
        self,
        runtime: OCIRuntime,
        container_id: str,
        bundle: Path,
        process: Mapping[str, Any],
    ) -> None:
        self._folder = _scratch(bundle)
        self._log = self._folder / "runtime.log"
        self._pid_file = self._folder / "pid"
        specification = self._folder / "process.json"
        specification.write_text(json.dumps(process), encoding="utf-8")
        self.argv = [runtime.program(container_id), *runtime.global_arguments(self._log), "exec"]
        self.argv += ["--process", str(specification), "--pid-file", str(self._pid_file)]
        self.argv += [container_id]

    def kill(self) -> None:
        """Kill the process in the container; the runtime's own process ends with it."""
        deadline = time.monotonic() + 2
        # A missing pid file means that the runtime is still at work.
        while time.monotonic() < deadline:
            pid = read_number(self._pid_file)
            if pid:
                identity = ProcessIdentity.of(pid)
                if identity is not None:
                    identity.signal(signal.SIGKILL)
                return
            time.sleep(0.01)

    def process_id(self) -> int:
        """Return the process's number on the host; 0 while or if it has none."""
        return read_number(self._pid_file) or 0

    def check(self, code: int) -> None:
        """Raise the runtime's logged error, if the runtime failed."""
        if code != 0 and (message := log_error(self._log)):
            program = program_of(self._folder)
            raise runtime_error(message, operation="exec", argv=self.argv, program=program)

    def close(self) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


# Receives a function that returns a process's number on the host, 0 before it has one.
OnProcess = Callable[[Callable[[], int]], None]


class _Held:
    """Passes output on, except a runtime's own first messages, which are in its log too."""

    def __init__(self, on_output: OutputSink) -> None:
        self._on_output = on_output
        self._began = False
        self._words = b""

    def __call__(self, stream: StreamName, data: bytes) -> None:
        if not self._began and stream == "stderr" and data.startswith(b"exec failed: "):
            self._words = data
        else:
            self.release()
            self._on_output(stream, data)
        self._began = True

    def drop(self) -> None:
        """Drop the held output: it was the runtime's."""
        self._words = b""

    def release(self) -> None:
        """Pass the held output on: it was the program's."""
        words, self._words = self._words, b""
        if words:
            self._on_output("stderr", words)


def execute(
    runtime: OCIRuntime,
    container_id: str,
    bundle: Path,
    process: Mapping[str, Any],
    *,
    on_output: OutputSink,
    stdin: bytes | int | None = None,
    cancel: CancelToken | None = None,
    on_process: OnProcess | None = None,
) -> int:
    """Run ``process`` in the container to its end; return its exit code.

    ``stdin`` is data, a descriptor, or None for an empty input.  Raises ``OCIRuntimeError``
    (``exit_code`` 126 or 127 for a program that cannot run); on cancellation the process is killed
    and the container keeps running.
    """
    call, held = _Call(runtime, container_id, bundle, process), _Held(on_output)
    if on_process is not None:
        on_process(call.process_id)
    try:
        code = runtime.communicate(
            call.argv, on_output=held, stdin=stdin, cancel=cancel, on_cancel=call.kill
        )
        call.check(code)
        return code
    except OCIRuntimeError:
        held.drop()
        raise
    finally:
        held.release()
        call.close()


def start_detached(
    monitor: Monitor,
    container_id: str,
    bundle: Path,
    process: Mapping[str, Any],
    *,
    exit_command: Sequence[str] = (),
) -> int:
    """Start ``process`` in the background; return its pid on the host.

    A separate monitor stays with it and reaps it: otherwise it would belong to the host's first
    process, which may be a notebook server that reaps nothing, and could keep the whole container
    from ending. ``exit_command`` is run at the end with one more argument: the folder in which
    ``monitor.read_exit`` finds the exit code, and which it removes.
    """
    folder = _scratch(bundle)
    kept = False
    try:
        specification = folder / "process.json"
        specification.write_text(json.dumps(process), encoding="utf-8")
        state = monitor.execute(
            container_id,
            folder,
            specification,
            terminal=bool(process.get("terminal")),
            exit_command=(*exit_command, str(folder)) if exit_command else (),
        )
        kept = bool(exit_command)
        return state.container_pid
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


class TerminalSession:
    """A process on a terminal in a container, with its own monitor.

    Close it, which ends the process; or leave it; or use ``with``.
    """

    def __init__(self, folder: Path, state: MonitorState, attachment: Attachment) -> None:
        self._folder, self._state, self._attachment = folder, state, attachment
        self._open = True

    def __enter__(self) -> TerminalSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def process_id(self) -> int:
        """Return the process's number on the host."""
        return self._state.container_pid

    @property
    def descriptor(self) -> int:
        """A descriptor that is readable when there is something to :meth:`read`."""
        return self._attachment.descriptor

    def read(self) -> bytes:
        """Return output, waiting for it; ``b""`` at its end."""
        piece = self._attachment.receive()
        return b"" if piece is None else piece[1]

    def write(self, data: bytes) -> None:
        """Write typed keys; after the end they are dropped."""
        self._attachment.send(data)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size and signal the process."""
        resize(self._folder, rows, columns)

    def communicate(
        self,
        on_output: OutputSink,
        *,
        stdin: bytes | int | None = None,
        keys: DetachKeys | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> int:
        """Deliver all output as stdout, then return the exit code.

        Raises :class:`~jupyter_containers.runtime.keys.DetachedError` when ``keys`` are typed; the
        process keeps running, and :meth:`leave` detaches from it.

        ``stdin`` is data, followed by an end of file (Ctrl-D), or a descriptor to copy from.
        ``on_tick`` is called at least every 50 ms.
        """
        source = stdin + _END_OF_FILE if isinstance(stdin, bytes) else stdin
        self._attachment.pump(on_output, stdin=source, keys=keys, on_tick=on_tick)
        code = self.wait()
        assert code is not None  # without a timeout it waits to the end
        return code

    def leave(self, on_end: Callable[[int], None]) -> None:
        """Close the terminal and let the process keep running without it.

        ``on_end`` is called with its exit code, if this Python process is still alive.
        """
        if not self._open:
            return
        self._open = False
        self._attachment.close()

        def await_end() -> None:
            status = wait(self._folder, self._state)
            shutil.rmtree(self._folder, ignore_errors=True)
            if status.code is not None:
                on_end(status.code)

        threading.Thread(target=await_end, name="left-exec", daemon=True).start()

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, or None if the process is still running after ``timeout`` seconds.

        Raises :class:`OCIRuntimeError` if its monitor was killed before writing it.
        """
        status = wait(self._folder, self._state, timeout=timeout)
        if status is not None and status.code is None:
            raise OCIRuntimeError("the exit code is lost: the monitor of the process was killed")
        return None if status is None else status.code

    def close(self) -> int | None:
        """End the process, unless it has ended or was left, and close the terminal.

        Returns the exit code, None if there is none (any more).
        """
        if not self._open:
            return None
        self._open = False
        if self._state.container is not None:
            self._state.container.signal(signal.SIGKILL)
        status = wait(self._folder, self._state, timeout=_DYING_SECONDS)
        self._attachment.close()
        shutil.rmtree(self._folder, ignore_errors=True)
        return None if status is None else status.code


def open_terminal(
    monitor: Monitor,
    container_id: str,
    bundle: Path,
    process: Mapping[str, Any],
    *,
    rows: int = 24,
    columns: int = 80,
) -> TerminalSession:
    """Return a session with ``process`` running on a new terminal of the given size.

    Raises :class:`OCIRuntimeError` (``exit_code`` 126 or 127) for a program that cannot run.
    """
    folder = _scratch(bundle)
    attached: list[Attachment] = []
    try:
        specification = folder / "process.json"
        size = {"height": rows, "width": columns}
        document = {**process, "terminal": True, "consoleSize": size}
        specification.write_text(json.dumps(document), encoding="utf-8")
        state = monitor.execute(
            container_id,
            folder,
            specification,
            terminal=True,
            connect=lambda: attached.append(Attachment(folder)),
        )
        [attachment] = attached
    except BaseException:
        for one in attached:
            one.close()
        # After an interrupt here, the process may have started.
        begun = ProcessIdentity.of(read_number(folder / "container.pid") or 0)
        if begun is not None:
            begun.signal(signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)
        raise
    return TerminalSession(folder, state, attachment)
