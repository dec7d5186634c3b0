"""Containers in the foreground: run, attach, terminals.

The process that runs a container in the foreground *attends* it: it records the end.  On detaching
(by keys, or on an interrupt that is not forwarded) it leaves the container to its exit command,
like a detached one.  Attaching to a container that another process started never ends it.
"""

from __future__ import annotations

import select
import signal
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext, suppress
from functools import partial
from typing import BinaryIO, Protocol

from jupyter_containers.engine.containers.exit_command import leave
from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.containers.streams import (
    Capture,
    OutputSink,
    SignalSource,
    StreamName,
)
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.engine.results import RunResult
from jupyter_containers.errors import ContainerFailedError, ContainersError, OCIRuntimeError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.oci.state import require
from jupyter_containers.runtime import execute, monitor
from jupyter_containers.runtime.attach import Attachment
from jupyter_containers.runtime.keys import DetachedError, DetachKeys

Stdin = bytes | int | BinaryIO | None
TerminalSize = Callable[[], tuple[int, int]]  # rows and columns
_INTERRUPT_GRACE_SECONDS = 0.1
# Exit codes of a shell (POSIX, "Exit Status for Commands").
_EXIT_HINTS = {
    126: "the command was found but could not be executed",
    127: "the command was not found in the image",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Streams:
    """The caller's streams for a container.

    ``terminal_size`` returns the size of the caller's terminal; it is called before the first
    instruction and repeatedly from then on, and the container's terminal follows.  ``keys`` detach
    if there is a terminal and an input.  ``sig_proxy`` forwards an interrupt; as a source it
    forwards all its signals, which then do not end the call.  ``attach`` names the requested
    outputs, none meaning both; an input is always forwarded, as with Docker.  ``cancel`` is an
    interrupt from any thread.
    """

    on_output: OutputSink | None = None
    stdin: Stdin = None
    terminal_size: TerminalSize | None = None
    keys: DetachKeys | None = None
    sig_proxy: bool | SignalSource = True
    attach: tuple[str, ...] = ()
    cancel: CancelToken | None = None

    def wants(self, stream: str) -> bool:
        """Return whether an output is requested."""
        return not self.attach or stream in self.attach


class Foreground:
    """Runs containers in the foreground and attaches to those that run."""

    def __init__(self, context: EngineContext, lifecycle: Lifecycle) -> None:
        self._context, self._lifecycle = context, lifecycle

    def run(self, record: ContainerRecord, streams: Streams, *, check: bool) -> RunResult:
        """Start a container with its streams attached and wait for its end.

        An interrupt is forwarded to the container, which is killed if it does not end promptly;
        then it is cleaned up as after any end.
        """
        folder = self._lifecycle.bundle(record.id).folder
        resizing = Resizing(streams.terminal_size, partial(monitor.resize, folder))
        try:
            record, attachment = self._lifecycle.start(
                record,
                attach=True,
                hold_stdin=record.options.interactive,
                before_start=resizing.look,
            )
        except BaseException:
            if record.options.rm:
                with deferred():
                    self._lifecycle.remove(record, force=True, volumes=True)
            raise
        assert attachment is not None  # start refuses a container that already runs
        return self._serve(record, attachment, streams, resizing, self._end, check=check)

    def attach(self, record: ContainerRecord, streams: Streams, *, check: bool) -> RunResult:
        """Attach to a running container until it ends or the caller detaches."""
        require(record.name, record.state.status, "attach")
        folder = self._lifecycle.bundle(record.id).folder
        resizing = Resizing(streams.terminal_size, partial(monitor.resize, folder))
        attachment = Attachment(folder)
        self._lifecycle.note(record, "attach")
        resizing.look()
        return self._serve(record, attachment, streams, resizing, self._forward, check=check)

    def _serve(
        self,
        record: ContainerRecord,
        attachment: Attachment,
        streams: Streams,
        resizing: Resizing,
        interrupted: Callable[[ContainerRecord, BaseException], None],
        *,
        check: bool,
    ) -> RunResult:
        capture = Capture(streams.on_output)

        def deliver(stream: StreamName, data: bytes) -> None:
            if streams.wants(stream):
                capture(stream, data)

        # As with Docker, without a terminal the sequence is ordinary data.
        keys = streams.keys if record.options.tty else None
        with attachment:
            try:
                stdin = source_of(streams.stdin)
                with self._signals(record, streams.sig_proxy):
                    attachment.pump(
                        deliver,
                        stdin=stdin,
                        keys=keys,
                        cancel=streams.cancel,
                        on_tick=resizing.look,
                    )
                    if record.state.process is not None:
                        record.state.process.wait()
                ended = self._lifecycle.end(record.id)
            except DetachedError:
                self.leave(record)
                self._lifecycle.note(record, "detach")
                return replace(self._result(0, capture, record, False), detached=True)
            except BaseException as error:
                with deferred(error):
                    # The monitor waits for every attached client to read before it writes the exit
                    # code.
                    attachment.close()
                    if streams.sig_proxy:
                        interrupted(record, error)
                    else:
                        self.leave(record)
                    error.add_note(self._outcome(record))
                raise
        result = self._result(ended.exit_code, capture, record, ended.oom_killed)
        if result.exit_code != 0 and check:
            raise self._failure(record, result, capture)
        return result

    def _result(self, code: int, capture: Capture, record: ContainerRecord, oom: bool) -> RunResult:
        out, err = capture.value("stdout"), capture.value("stderr")
        return RunResult(code, out, err, record.id, oom, capture.truncated)

    def _signals(
        self, record: ContainerRecord, proxy: bool | SignalSource
    ) -> AbstractContextManager[None]:
        """Forward a source's signals to the container, only while waiting for its end.

        Recording the end is not included: a handler must not interrupt an open transaction.
        """
        if isinstance(proxy, bool):
            return nullcontext()

        def send(number: int, caught: bool) -> bool:
            process = record.state.process
            if process is None:
                return False
            self._context.runtime.await_program(process)
            if caught and not process.catches(number):
                return False
            with suppress(ContainersError):  # it has ended, and the caller is waiting for that
                self._lifecycle.signal(record, number)
            return True

        return proxy.passed_to(send)

    def leave(self, record: ContainerRecord) -> None:
        """Stop attending a container."""
        leave(self._lifecycle.bundle(record.id).folder)
        # Its exit command may have run before the container was left.
        self._lifecycle.look(record)

    def _outcome(self, record: ContainerRecord) -> str:
        """Return a note on the state of a container after an interrupt."""
        current = self._context.containers.get(record.id)
        if current is None:
            return f"container {record.name} was removed"
        outcome = "keeps running" if current.state.status.up else "was kept"
        return f"container {record.name} {outcome}"

    def _end(self, record: ContainerRecord, error: BaseException) -> None:
        """Stop a foreground container whose caller was interrupted."""
        process, number = record.state.process, _signal_of(error)
        # Without a handler the kernel drops a signal to a container's first process.
        if process is not None and self._context.runtime.signal(process, number, caught=True):
            process.wait(timeout=_INTERRUPT_GRACE_SECONDS)
        self._context.runtime.kill_all(record.id)
        self._lifecycle.end(record.id)

    def _forward(self, record: ContainerRecord, error: BaseException) -> None:
        """Forward an interrupt to a container that this process must not end."""
        process = record.state.process
        if process is not None and isinstance(error, KeyboardInterrupt) and not record.options.tty:
            self._context.runtime.signal(process, _signal_of(error))
            error.add_note("the interrupt was passed on")
            # Most programs that end on an interrupt do so promptly.
            process.wait(timeout=_INTERRUPT_GRACE_SECONDS)
            self._lifecycle.look(record)

    def _failure(
        self, record: ContainerRecord, result: RunResult, capture: Capture
    ) -> ContainerFailedError:
        code, name = result.exit_code, record.name
        if result.oom_killed:
            limit = record.options.memory // 2**20
            return ContainerFailedError(
                f"container {name} was killed: out of memory (exit code {code})",
                exit_code=code,
                oom_killed=True,
                log_tail=capture.tail(),
                hint=f"its limit was {limit} MiB: raise it with --memory" if limit else "",
            )
        hint = _EXIT_HINTS.get(code, "")
        if code > 128:
            try:
                hint = f"ended by {signal.Signals(code - 128).name}"
            except ValueError:
                hint = ""
        return ContainerFailedError(
            f"container {name} ended with exit code {code}",
            exit_code=code,
            log_tail=capture.tail(),
            hint=hint,
        )

    def open_terminal(self, record: ContainerRecord, rows: int, columns: int) -> ContainerSession:
        """Attach to a container's terminal; start the container if it does not run."""
        folder = self._lifecycle.bundle(record.id).folder
        if record.state.status.alive:
            require(record.name, record.state.status, "attach")
            monitor.resize(folder, rows, columns)
            return ContainerSession(record, Attachment(folder), self)
        started, attachment = self._lifecycle.start(
            record,
            attach=True,
            hold_stdin=True,
            before_start=partial(monitor.resize, folder, rows, columns),
        )
        assert attachment is not None  # attach=True returns one
        return ContainerSession(started, attachment, self)

    def resize(self, record: ContainerRecord, rows: int, columns: int) -> None:
        """Set the size of a container's terminal."""
        monitor.resize(self._lifecycle.bundle(record.id).folder, rows, columns)

    def await_end(self, record: ContainerRecord, timeout: float | None) -> int | None:
        """Return the exit code, or None if the container still runs after ``timeout`` seconds."""
        process = record.state.process
        if process is not None and not process.wait(timeout=timeout):
            return None
        return self._lifecycle.end(record.id).exit_code


class TerminalSession(Protocol):
    """An open terminal of a container; usable from one thread at a time.

    ``descriptor`` becomes readable when :meth:`read` has output.  Closing ends the process of an
    ``exec``; it only detaches from a container's own process.
    """

    container_id: str

    @property
    def descriptor(self) -> int:
        """The descriptor to poll for reading."""

    def read(self, timeout: float | None = None) -> bytes | None:
        """Return output, ``b""`` at its end, None after ``timeout`` seconds without any."""

    def write(self, data: bytes) -> None:
        """Write keys; after the end they are dropped."""

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size and notify the process."""

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, or None if the process still runs after ``timeout`` seconds."""

    def close(self) -> None:
        """Close the terminal; a second call does nothing."""


class ContainerSession:
    """The terminal of a container's own process (``run -it``, ``attach``)."""

    def __init__(
        self, record: ContainerRecord, attachment: Attachment, foreground: Foreground
    ) -> None:
        self._record, self._attachment, self._foreground = record, attachment, foreground
        self._closed = False
        self.container_id = record.id

    @property
    def descriptor(self) -> int:
        """The descriptor to poll for reading."""
        return self._attachment.descriptor

    def read(self, timeout: float | None = None) -> bytes | None:
        """Return output, ``b""`` at its end, None after ``timeout`` seconds without any."""
        if not _readable(self.descriptor, timeout):
            return None
        piece = self._attachment.receive()
        return b"" if piece is None else piece[1]

    def write(self, data: bytes) -> None:
        """Write keys; after the end they are dropped."""
        self._attachment.send(data)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size and notify the process."""
        self._foreground.resize(self._record, rows, columns)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, or None if the container still runs after ``timeout`` seconds."""
        return self._foreground.await_end(self._record, timeout)

    def close(self) -> None:
        """Detach; the container keeps running.  A second call does nothing."""
        if not self._closed:
            self._closed = True
            self._attachment.close()
            self._foreground.leave(self._record)


class ExecSession:
    """The terminal of an additional process in a container (``exec -it``)."""

    def __init__(
        self, container_id: str, session: execute.TerminalSession, on_end: Callable[[int], None]
    ) -> None:
        self.container_id = container_id
        self._session = session
        self._on_end: Callable[[int], None] | None = on_end

    @property
    def descriptor(self) -> int:
        """The descriptor to poll for reading."""
        return self._session.descriptor

    def read(self, timeout: float | None = None) -> bytes | None:
        """Return output, ``b""`` at its end, None after ``timeout`` seconds without any."""
        return self._session.read() if _readable(self.descriptor, timeout) else None

    def write(self, data: bytes) -> None:
        """Write keys; after the end they are dropped."""
        self._session.write(data)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size and notify the process."""
        self._session.resize(rows, columns)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, or None if the process still runs after ``timeout`` seconds."""
        return self._note_end(self._session.wait(timeout))

    def close(self) -> None:
        """End the process if it still runs; a second call does nothing."""
        self._note_end(self._session.close())

    def _note_end(self, code: int | None) -> int | None:
        if code is not None and self._on_end is not None:
            on_end, self._on_end = self._on_end, None
            on_end(code)
        return code


class Resizing:
    """Applies the size of one terminal to another whenever it has changed."""

    def __init__(self, size: TerminalSize | None, resize: Callable[[int, int], None]) -> None:
        self._size, self._resize = size, resize
        self._known: tuple[int, int] | None = None

    def look(self) -> None:
        """Check the size; called before the start and every 50 ms from then on."""
        size = self._size() if self._size is not None else None
        if size is not None and size != self._known:
            self._known = size
            self._resize(*size)


def source_of(stdin: Stdin) -> bytes | int | None:
    """Return an input as data or a descriptor."""
    return stdin if stdin is None or isinstance(stdin, (bytes, int)) else stdin.fileno()


def _signal_of(error: BaseException) -> int:
    """Return the signal of an interrupt (a front end's error may carry its number)."""
    return int(getattr(error, "number", signal.SIGINT))


def _readable(descriptor: int, timeout: float | None) -> bool:
    if descriptor < 0:
        raise OCIRuntimeError("the terminal is closed")
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    return bool(poller.poll(None if timeout is None else max(0, timeout * 1000)))
