"""A further process in a running container.

Lifecycle: :func:`execute` runs one to its end with pipes; :func:`open_terminal` starts one on a
pseudo-terminal and returns a handle; :func:`start_detached` leaves it to itself.  The process is
described by ``spec.exec_process``.  Scratch files lie in the container's bundle and are removed.
"""

from __future__ import annotations

import json
import os
import select
import shutil
import signal
import struct
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from jupyter_containers.events import CancelToken
from jupyter_containers.runtime.failures import log_error, runtime_error
from jupyter_containers.runtime.keys import DetachedError, DetachKeys
from jupyter_containers.runtime.monitor import Monitor, read_number
from jupyter_containers.runtime.oci_runtime import OCIRuntime, spawn
from jupyter_containers.runtime.process import POLL_SECONDS, ProcessIdentity
from jupyter_containers.runtime.pump import OutputSink, StreamName, exit_status

_CHUNK = 65536
_BEGUN_SECONDS = 10.0
_END_OF_FILE = b"\x04"


class _Call:
    """One ``exec`` of the runtime: its argument vector and its scratch folder."""

    def __init__(
        self,
        runtime: OCIRuntime,
        container_id: str,
        bundle: Path,
        process: Mapping[str, Any],
        *flags: str,
    ) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="exec-", dir=bundle))
        self._log = self._folder / "runtime.log"
        self._pid_file = self._folder / "pid"
        specification = self._folder / "process.json"
        specification.write_text(json.dumps(process), encoding="utf-8")
        self.argv = [runtime.path, *runtime.global_arguments(self._log), "exec", *flags]
        self.argv += ["--process", str(specification), "--pid-file", str(self._pid_file)]
        self.argv += [container_id]

    @property
    def begun(self) -> bool:
        """True once the runtime needs nothing of the scratch folder any more."""
        return bool(read_number(self._pid_file))

    def kill(self) -> None:
        """Kill the process in the container; the runtime's own process ends with it."""
        deadline = time.monotonic() + 2
        # A pid file that is not there yet means that the runtime is still at work.
        while time.monotonic() < deadline:
            pid = read_number(self._pid_file)
            if pid:
                identity = ProcessIdentity.of(pid)
                if identity is not None:
                    identity.signal(signal.SIGKILL)
                return
            time.sleep(0.01)

    def check(self, code: int) -> None:
        """Raise what the runtime logged, when it was the runtime that failed."""
        if code != 0 and (message := log_error(self._log)):
            raise runtime_error(message, operation="exec", argv=self.argv)

    def close(self) -> None:
        """Remove the scratch folder."""
        shutil.rmtree(self._folder, ignore_errors=True)


class _Held:
    """Passes output on, but for a runtime's own first words: they are in its log and told there."""

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

    def release(self) -> None:
        """Pass on what a program has written, after all."""
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
) -> int:
    """Return the exit code of ``process``, run to its end in the container.

    ``stdin`` is data, a descriptor, or None for an empty input.  Raises ``OCIRuntimeError``
    (``exit_code`` 126 or 127 for a program that cannot run); on cancellation the process is
    killed and the container goes on.
    """
    call, held = _Call(runtime, container_id, bundle, process), _Held(on_output)
    try:
        code = runtime.communicate(
            call.argv, on_output=held, stdin=stdin, cancel=cancel, on_cancel=call.kill
        )
        call.check(code)
        held.release()
        return code
    finally:
        call.close()


def start_detached(
    monitor: Monitor,
    container_id: str,
    bundle: Path,
    process: Mapping[str, Any],
    *,
    exit_command: Sequence[str] = (),
) -> int:
    """Return the pid (as the host sees it) of ``process``, started and left to itself.

    A monitor of its own stays with it and reaps it: left to the host's first process, which may
    be a notebook server that reaps nothing, it could keep the whole container from ending.
    ``exit_command`` is run at the end with one more word: the folder in which
    ``monitor.read_exit`` finds the exit code, and which it removes.
    """
    folder = Path(tempfile.mkdtemp(prefix="exec-", dir=bundle))
    kept = False
    try:
        specification = folder / "process.json"
        specification.write_text(json.dumps(process), encoding="utf-8")
        pid = monitor.execute(
            container_id,
            folder,
            specification,
            terminal=bool(process.get("terminal")),
            exit_command=(*exit_command, str(folder)) if exit_command else (),
        )
        kept = bool(exit_command)
        return pid
    finally:
        if not kept:
            shutil.rmtree(folder, ignore_errors=True)


class TerminalSession:
    """A process on a pseudo-terminal; ``descriptor`` is our side, to read and write.

    Reading raises OSError (EIO) once the process has ended.  Close it, or use ``with``.
    """

    def __init__(self, call: _Call, child: subprocess.Popen[bytes], descriptor: int) -> None:
        self._call = call
        self._child = child
        self.descriptor = descriptor
        self.left = False

    def __enter__(self) -> TerminalSession:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size and tell the process."""
        _set_size(self.descriptor, rows, columns)
        if self._child.poll() is None:
            # The runtime is in no foreground group of this terminal, so it hears of it from us.
            self._child.send_signal(signal.SIGWINCH)

    def communicate(
        self,
        on_output: OutputSink,
        *,
        stdin: bytes | int | None = None,
        keys: DetachKeys | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> int:
        """Return the exit code, after all output was delivered as stdout.

        Raises :class:`~jupyter_containers.runtime.keys.DetachedError` when ``keys`` were typed;
        the process goes on, and :meth:`leave` lets it.

        ``stdin`` is data, followed by an end of file (Ctrl-D), or a descriptor to copy from.
        ``on_tick`` is called at least every 50 ms.
        """
        os.set_blocking(self.descriptor, False)
        pending = stdin + _END_OF_FILE if isinstance(stdin, bytes) else b""
        source = stdin if isinstance(stdin, int) else None
        while True:
            if on_tick is not None:
                on_tick()
            poller = select.poll()
            poller.register(self.descriptor, select.POLLIN | (select.POLLOUT if pending else 0))
            if source is not None and not pending:
                poller.register(source, select.POLLIN)
            ready = dict(poller.poll(POLL_SECONDS * 1000))
            mine = ready.get(self.descriptor, 0)
            if mine & (select.POLLIN | select.POLLHUP | select.POLLERR):
                if not self._deliver(on_output):
                    break
            elif self._child.poll() is not None:
                break  # a process that was left behind holds the terminal
            if pending and mine & select.POLLOUT:
                pending = self._feed(pending)
            if source is not None and source in ready:
                pending = _typed(source)
                source = source if pending else None
                if keys is not None:
                    pending = self._watched(keys, pending)
        code = self.wait()
        assert code is not None  # without a timeout it waits to the end
        return code

    def _watched(self, keys: DetachKeys, data: bytes) -> bytes:
        try:
            return keys.feed(data)
        except DetachedError as detached:
            self._feed(detached.typed)
            raise

    def leave(self, on_end: Callable[[int], None]) -> None:
        """Release the terminal and let the process go on, with nobody at its terminal.

        ``on_end`` gets its exit code, if this process still lives then.
        """
        if self.descriptor < 0:
            return
        os.set_blocking(self.descriptor, True)
        # Somebody must hold our side: with the last holder the process would be hung up on.
        holder = subprocess.Popen(
            # A shell gives what it leaves behind an empty input; descriptor 3 it leaves alone.
            ["/bin/sh", "-c", "exec 3<&0; cat <&3 >/dev/null & exit"],
            stdin=self.descriptor,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(self.descriptor)
        self.descriptor, self.left = -1, True
        holder.wait()
        # What the process wrote may be here before the runtime has written its pid file; a runtime
        # that cannot do that ends the process.
        deadline = time.monotonic() + _BEGUN_SECONDS
        while not self._call.begun and self._child.poll() is None and time.monotonic() < deadline:
            time.sleep(0.005)
        self._call.close()

        def reap() -> None:
            # Nobody else does while this process lives.
            on_end(exit_status(self._child.wait()))

        threading.Thread(target=reap, name="left-exec", daemon=True).start()

    def _deliver(self, on_output: OutputSink) -> bool:
        try:
            data = os.read(self.descriptor, _CHUNK)
        except BlockingIOError:
            return True
        except OSError:
            return False  # EIO: the last process has closed the terminal
        if data:
            on_output("stdout", data)
        return bool(data)

    def _feed(self, pending: bytes) -> bytes:
        try:
            return pending[os.write(self.descriptor, pending) :]
        except BlockingIOError:
            return pending
        except OSError:
            return b""

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, or None when the process still runs after ``timeout`` seconds."""
        try:
            code = exit_status(self._child.wait(timeout))
        except subprocess.TimeoutExpired:
            return None
        self._call.check(code)
        return code

    def close(self) -> None:
        """End the process if it still runs and was not left, and release the terminal."""
        if self.left:
            return
        if self._child.poll() is None:
            self._call.kill()
            try:
                self._child.wait(timeout=5)
            except subprocess.TimeoutExpired:
                self._child.kill()
                self._child.wait()
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1
        self._call.close()


def open_terminal(
    runtime: OCIRuntime,
    container_id: str,
    bundle: Path,
    process: Mapping[str, Any],
    *,
    rows: int = 24,
    columns: int = 80,
) -> TerminalSession:
    """Return a session with ``process`` running on a new terminal of the given size."""
    import pty
    import tty

    # The runtime passes our terminal's size on only after the process has begun to run.
    size = {"height": rows, "width": columns}
    process = {**process, "terminal": True, "consoleSize": size}
    call = _Call(runtime, container_id, bundle, process, "--tty")
    ours, theirs = pty.openpty()
    try:
        os.set_inheritable(ours, False)
        # Echo and line editing are the work of the container's own terminal, not of this one.
        tty.setraw(theirs)
        _set_size(ours, rows, columns)
        child = spawn(call.argv, stdin=theirs, stdout=theirs, stderr=theirs)
    except BaseException:
        os.close(ours)
        call.close()
        raise
    finally:
        os.close(theirs)
    return TerminalSession(call, child, ours)


def _typed(source: int) -> bytes:
    try:
        return os.read(source, _CHUNK)
    except BlockingIOError:
        return b""
    except OSError:
        return b""  # the person's terminal has gone


def _set_size(descriptor: int, rows: int, columns: int) -> None:
    import fcntl
    import termios

    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
