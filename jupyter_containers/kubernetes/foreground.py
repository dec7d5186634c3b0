"""Streams of a caller and a container in a cluster: run, attach, exec, terminals.

A program in the foreground waits until its output is read (the *gate* of :mod:`.translation`): the
cluster cannot attach before the start, and its log does not distinguish standard output and error.
An image without ``sh`` runs without a gate, and both outputs come from the log as one.

Standard input goes through a channel of its own, because closing the channel is the only way to end
an input before Kubernetes 1.30.  The input of ``exec`` has no such way there: a shell in the
container reads it by length.
"""

from __future__ import annotations

import os
import select
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import TYPE_CHECKING

from jupyter_containers.engine.containers.foreground import Resizing, Streams, source_of
from jupyter_containers.engine.containers.streams import Capture, SignalSource, StreamName
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.results import RunResult
from jupyter_containers.errors import (
    ClusterUnreachableError,
    ContainerFailedError,
    ContainersError,
    OCIRuntimeError,
    OperationCancelledError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.client import Patience, ending
from jupyter_containers.kubernetes.pods import Found, Pods
from jupyter_containers.kubernetes.streams import (
    ERROR,
    STDERR,
    STDIN,
    Channel,
    exit_status,
)
from jupyter_containers.kubernetes.translation import MAIN
from jupyter_containers.options import ExecOptions
from jupyter_containers.runtime.keys import DetachedError, DetachKeys

if TYPE_CHECKING:
    from jupyter_containers.engine.records import ContainerRecord

_TICK = 0.05
_CHUNK = 32768
_INTERRUPT_GRACE_SECONDS = 0.5
_NOT_CAUGHT = 93
# The kernel's mask of handled signals, of which the last 8 digits are those up to 32.
_CATCHES = (
    "set -- $(grep ^SigCgt /proc/1/status);"
    f" [ $(( 0x${{2#????????}} >> NUMBER & 1 )) = 1 ] || exit {_NOT_CAUGHT}; "
)
# Reads an input of known length, for protocols that cannot end one.
_BY_LENGTH = 'n=$1; shift; head -c "$n" | "$@"'


class Foreground:
    """Connects callers to containers."""

    def __init__(self, pods: Pods, kill: Callable[[Found], object]) -> None:
        self._pods, self._cluster = pods, pods.cluster
        self._kill = kill

    # -- the container's own process -------------------------------------------------------------

    def run(self, found: Found, streams: Streams, *, gated: bool, check: bool) -> RunResult:
        """Serve the streams of a container that this caller started, until its end."""
        options = found.record.options
        capture = Capture(streams.on_output)
        try:
            if gated:
                self._serve(found, streams, capture, opens_gate=True)
            else:
                self._follow_log(found, streams, capture)
            ended = self._pods.await_end(found, streams.cancel)
        except DetachedError:
            return self._result(found, capture, detached=True)
        except BaseException as error:
            with deferred(error):
                if streams.sig_proxy:
                    self._interrupted(found, error)
                error.add_note(
                    f"container {found.record.name} was "
                    + (
                        "removed"
                        if options.rm
                        else "stopped"
                        if streams.sig_proxy
                        else "left running"
                    )
                )
            raise
        return self._outcome(ended, capture, check=check)

    def attach(self, found: Found, streams: Streams, *, check: bool) -> RunResult:
        """Attach to a running container until it ends or the caller detaches."""
        capture = Capture(streams.on_output)
        try:
            self._serve(found, streams, capture, opens_gate=False)
            ended = self._pods.await_end(found, streams.cancel)
        except DetachedError:
            return self._result(found, capture, detached=True)
        except KeyboardInterrupt as error:
            with deferred(error):
                if streams.sig_proxy and not found.record.options.tty:
                    with suppress(ContainersError):
                        self.signal(found, signal.SIGINT)
                error.add_note(f"container {found.record.name} keeps running")
            raise
        return self._outcome(ended, capture, check=check)

    def _serve(self, found: Found, streams: Streams, capture: Capture, *, opens_gate: bool) -> None:
        """Copy between the caller and an attached container, until its streams end."""
        options = found.record.options

        def deliver(stream: StreamName, data: bytes) -> None:
            if streams.wants(stream):
                capture(stream, data)

        # Asked for only the output, a node ends the input of stdinOnce at once (seen with 1.20).
        output = self._attachment(found, stdin=options.interactive or opens_gate)
        with output, self._cancelling(output, streams.cancel), self._signals(found, streams):
            source = source_of(streams.stdin) if options.interactive else None
            size = streams.terminal_size or (lambda: (24, 80))
            on_tick = Resizing(size, output.resize).look if options.tty else None
            pump = Pump(output, deliver, on_tick)
            if options.tty:
                status = pump.run(output, source, streams.keys)
            else:
                with self._feeding(found, source, opens_gate=opens_gate) as feed:
                    status = pump.run(feed, source, None)
        while status is None:
            if streams.cancel is not None:
                streams.cancel.check()
            again = self._reattached(found)
            if again is None:
                return
            with again, self._cancelling(again, streams.cancel), self._signals(found, streams):
                on_tick = Resizing(size, again.resize).look if options.tty else None
                keys = streams.keys if options.tty else None
                typed = source if options.tty and isinstance(source, int) else None
                status = Pump(again, deliver, on_tick).run(again, typed, keys)

    @contextmanager
    def _feeding(
        self, found: Found, source: bytes | int | None, *, opens_gate: bool
    ) -> Iterator[Channel | None]:
        """Yield the channel of a container's input, after opening its gate; None without one."""
        if not opens_gate and source is None:
            yield None
            return
        with self._attachment(found, stdin=True, output=False) as feed:
            if opens_gate:
                feed.send(STDIN, b"\n")
            if source is None and not found.record.options.interactive:
                feed.finish()
            yield feed

    def _reattached(self, found: Found) -> Channel | None:
        """Attach again after the connection was cut; return None if the container has ended."""
        patience = Patience()
        while True:
            try:
                again = self._attachment(found, stdin=found.record.options.interactive)
                break
            except ClusterUnreachableError:
                if not patience.more():
                    raise
            except ContainersError:
                return None
        warnings.warn(
            f"the connection to {found.record.name} was cut and is back; "
            f"logs has the output of the time between",
            stacklevel=2,
        )
        return again

    def _attachment(self, found: Found, *, stdin: bool, output: bool = True) -> Channel:
        tty = found.record.options.tty
        return Channel(
            self._cluster,
            found.object_name,
            "attach",
            container=MAIN,
            stdin=stdin,
            stdout=output,
            stderr=output and not tty,
            tty=tty,
        )

    def _cancelling(
        self, channel: Channel, cancel: CancelToken | None
    ) -> AbstractContextManager[None]:
        return ending(channel.end, cancel)

    def _follow_log(self, found: Found, streams: Streams, capture: Capture) -> None:
        lines = self._cluster.stream(
            self._cluster.pods_path(found.object_name, "log"),
            f"log of {found.record.name}",
            follow=True,
        )
        with lines, ending(lines.end, streams.cancel), self._signals(found, streams):
            for data in lines.pieces():
                capture("stdout", data)
        if streams.cancel is not None:
            streams.cancel.check()

    def _signals(self, found: Found, streams: Streams) -> AbstractContextManager[None]:
        proxy: bool | SignalSource = streams.sig_proxy
        if isinstance(proxy, bool):
            return nullcontext()

        def send(number: int, caught: bool) -> bool:
            try:
                return self.signal(found, number, caught=caught)
            except ContainersError:
                return False

        return proxy.passed_to(send)

    def _interrupted(self, found: Found, error: BaseException) -> None:
        """End a container whose caller was interrupted: by the signal, else by force."""
        number = int(getattr(error, "number", signal.SIGINT))
        with suppress(ContainersError):
            # Most programs that end on an interrupt do so promptly.
            if (
                self.signal(found, number, caught=True)
                and self._ended(found, _INTERRUPT_GRACE_SECONDS) is not None
            ):
                return
            self._kill(found)

    def signal(self, found: Found, number: int, *, caught: bool = False) -> bool:
        """Send a signal to a container's first process, by a shell in the container.

        With ``caught`` only to a program that handles it; return whether it was sent.
        """
        name = signal.Signals(number).name.removeprefix("SIG") if number in _NAMED else str(number)
        check = _CATCHES.replace("NUMBER", str(number - 1)) if caught and number <= 32 else ""
        code, text = self.call(found, ["sh", "-c", f"{check}kill -s {name} 1"])
        if code == _NOT_CAUGHT and check:
            return False
        if code:
            raise OCIRuntimeError(
                f"cannot send {name} to {found.record.name}: {text or f'exit code {code}'}",
                hint="signals are sent by sh in the container, which this image may not have",
            )
        return True

    def call(self, found: Found, command: list[str]) -> tuple[int, str]:
        """Run a short command in a container; return its exit code and its output or failure."""
        text = b""
        with Channel(
            self._cluster, found.object_name, "exec",
            container=MAIN, command=command, stdout=True, stderr=True,
        ) as channel:  # fmt: skip
            while (message := channel.receive()) is not None:
                if message[0] == ERROR:
                    code, problem = exit_status(message[1])
                    return code, problem or text.decode("utf-8", "replace").strip()
                text += message[1]
        return -1, "the connection was cut"

    def log_ends(self, found: Found, cancel: CancelToken) -> bool:
        """Return whether a container's log ends before the token is cancelled."""
        with (
            self._cluster.stream(
                self._cluster.pods_path(found.object_name, "log"),
                f"log of {found.record.name}",
                follow=True,
                tailLines=1,
            ) as lines,
            ending(lines.end, cancel),
        ):
            for _ in lines.pieces():
                continue
        return not cancel.cancelled

    # -- terminals -------------------------------------------------------------------------------

    def open_terminal(self, found: Found, rows: int, columns: int) -> PodTerminal:
        """Return the terminal of a container's own process."""
        channel = self._attachment(found, stdin=True)
        channel.resize(rows, columns)
        return PodTerminal(found.record.id, channel, lambda seconds: self._ended(found, seconds))

    def _ended(self, found: Found, seconds: float | None) -> int | None:
        token = CancelToken()
        timer = threading.Timer(seconds or 0.0, token.cancel)
        timer.daemon = True
        if seconds is not None:
            timer.start()
        try:
            ended = self._pods.await_end(found, token)
        except OperationCancelledError:
            return None
        finally:
            timer.cancel()
        if ended.record.options.rm:
            self._pods.delete(ended)
        return ended.record.state.exit_code

    def exec_terminal(
        self, found: Found, options: ExecOptions, rows: int, columns: int
    ) -> PodTerminal:
        """Return the terminal of an additional process in a container."""
        channel = Channel(
            self._cluster, found.object_name, "exec",
            container=MAIN, command=_surroundings(options, list(options.command)),
            stdin=True, stdout=True, tty=True,
        )  # fmt: skip
        channel.resize(rows, columns)
        return PodTerminal(found.record.id, channel, None)

    # -- results ---------------------------------------------------------------------------------

    def _result(self, found: Found, capture: Capture, *, detached: bool = False) -> RunResult:
        state = found.record.state
        return RunResult(
            0 if detached else state.exit_code,
            capture.value("stdout"),
            capture.value("stderr"),
            found.record.id,
            state.oom_killed,
            capture.truncated,
            detached,
        )

    def _outcome(self, ended: Found, capture: Capture, *, check: bool) -> RunResult:
        result = self._result(ended, capture)
        record = ended.record
        if record.state.error and not result.stdout:
            raise OCIRuntimeError(
                f"container {record.name}: {record.state.error}", exit_code=result.exit_code or 125
            )
        if result.exit_code and check:
            raise failure(record, result.exit_code, capture)
        return result

    # -- exec ------------------------------------------------------------------------------------

    def exec(
        self, found: Found, options: ExecOptions, streams: Streams, *, check: bool
    ) -> RunResult:
        """Run a command in a running container and wait for its end."""
        capture = Capture(streams.on_output)
        source = source_of(streams.stdin)
        if isinstance(source, int) and not options.tty and not self._ends_input:
            source = _whole(source)
        command = list(options.command)
        if isinstance(source, bytes) and not options.tty and not self._ends_input:
            command = ["sh", "-c", _BY_LENGTH, "sh", str(len(source)), *command]
        command = _surroundings(options, command)
        channel = Channel(
            self._cluster, found.object_name, "exec",
            container=MAIN, command=command, stdin=source is not None,
            stdout=True, stderr=not options.tty, tty=options.tty,
        )  # fmt: skip
        with channel, self._cancelling(channel, streams.cancel):
            resizing = Resizing(streams.terminal_size or (lambda: (24, 80)), channel.resize)
            pump = Pump(channel, capture, resizing.look if options.tty else None)
            try:
                status = pump.run(channel, source, streams.keys if options.tty else None)
            except DetachedError:
                return RunResult(0, capture.value("stdout"), b"", found.record.id, detached=True)
        if streams.cancel is not None:
            streams.cancel.check()
        if status is None:
            raise self._cluster.unreachable(ConnectionError("the connection was cut"))
        code, problem = exit_status(status)
        if problem:
            raise exec_problem(found.record.name, problem)
        result = RunResult(
            code, capture.value("stdout"), capture.value("stderr"), found.record.id,
            truncated=capture.truncated,
        )  # fmt: skip
        if code and check:
            raise failure(found.record, code, capture)
        return result

    @property
    def _ends_input(self) -> bool:
        return False  # asked of the server by version when needed


class PodTerminal:
    """An open terminal of a container; see :class:`TerminalSession`."""

    def __init__(
        self,
        container_id: str,
        channel: Channel,
        ended: Callable[[float | None], int | None] | None,
    ) -> None:
        self.container_id = container_id
        self._channel, self._ended = channel, ended
        self._status: bytes | None = None
        self._over = False

    @property
    def descriptor(self) -> int:
        """The descriptor to poll for reading."""
        return self._channel.descriptor

    def read(self, timeout: float | None = None) -> bytes | None:
        """Return output, ``b""`` at its end, None after ``timeout`` seconds without any."""
        if self._over:
            return b""
        if not self._channel.wait(timeout):
            return None
        message = self._channel.receive()
        if message is None or message[0] == ERROR:
            self._status, self._over = message[1] if message else None, True
            return b""
        return message[1]

    def write(self, data: bytes) -> None:
        """Write keys; after the end they are dropped."""
        self._channel.send(STDIN, data)

    def resize(self, rows: int, columns: int) -> None:
        """Set the terminal's size and notify the process."""
        self._channel.resize(rows, columns)

    def wait(self, timeout: float | None = None) -> int | None:
        """Return the exit code, or None if the process still runs after ``timeout`` seconds."""
        if self._ended is not None:
            return self._ended(timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        while not self._over:
            left = None if deadline is None else deadline - time.monotonic()
            if self.read(left) is None:
                return None
        return exit_status(self._status)[0] if self._status is not None else -1

    def close(self) -> None:
        """Close the terminal; a second call does nothing."""
        self._over = True
        self._channel.close()


class Pump:
    """Copies the messages of a channel to the caller, and the caller's input to a channel."""

    def __init__(
        self,
        channel: Channel,
        deliver: Callable[[StreamName, bytes], None],
        on_tick: Callable[[], None] | None,
    ) -> None:
        self._channel, self._deliver, self._on_tick = channel, deliver, on_tick

    def run(
        self, feed: Channel | None, stdin: bytes | int | None, keys: DetachKeys | None
    ) -> bytes | None:
        """Copy until the channel ends; return its status, None if it was cut.

        ``feed`` gets the input; if it is another channel, it is closed after the input's end.
        """
        source = stdin if isinstance(stdin, int) else None
        if isinstance(stdin, bytes) and feed is not None:
            self._feed(feed, stdin)
        while True:
            if self._on_tick is not None:
                self._on_tick()
            poller = select.poll()
            if not self._channel.kept:
                poller.register(self._channel.descriptor, select.POLLIN)
            if source is not None:
                poller.register(source, select.POLLIN)
            events = dict(poller.poll(0 if self._channel.kept else _TICK * 1000))
            if source is not None and source in events:
                data = _read(source)
                if not data:
                    source = None
                if feed is not None:
                    self._typed(feed, data, keys)
                    if source is None:
                        self._fed(feed)
            if self._channel.kept or self._channel.descriptor in events:
                message = self._channel.receive()
                if message is None or message[0] == ERROR:
                    return message[1] if message else None
                self._deliver("stderr" if message[0] == STDERR else "stdout", message[1])

    def _feed(self, feed: Channel, data: bytes) -> None:
        """Send a whole input; a large one beside the output, which may have to be read first."""

        def send() -> None:
            feed.send(STDIN, data)
            self._fed(feed)

        if len(data) <= _CHUNK:
            send()
        else:
            threading.Thread(target=send, name="cluster-input", daemon=True).start()

    def _typed(self, feed: Channel, data: bytes, keys: DetachKeys | None) -> None:
        try:
            data = keys.feed(data) if keys is not None else data
        except DetachedError as detached:
            feed.send(STDIN, detached.typed)
            raise
        feed.send(STDIN, data)

    def _fed(self, feed: Channel) -> None:
        if feed is not self._channel:
            feed.finish()
        elif feed.can_end_input:
            feed.end_input()


_NAMED = frozenset(int(each) for each in signal.Signals)


def failure(record: ContainerRecord, code: int, capture: Capture) -> ContainerFailedError:
    """Return the error of a program that ended with another exit code than 0."""
    state = record.state
    if state.oom_killed:
        limit = record.options.memory // 2**20
        return ContainerFailedError(
            f"container {record.name} was killed: out of memory (exit code {code})",
            exit_code=code,
            oom_killed=True,
            log_tail=capture.tail(),
            hint=f"its limit was {limit} MiB: raise it with --memory" if limit else "",
        )
    return ContainerFailedError(
        f"container {record.name} ended with exit code {code}",
        exit_code=code,
        log_tail=capture.tail(),
        hint=state.error,
    )


def exec_problem(name: str, problem: str) -> OCIRuntimeError:
    """Return the error of a command that could not be started."""
    code = 127 if "not found" in problem or "no such file" in problem else 126
    text = problem.rpartition("exec failed: ")[2]
    return OCIRuntimeError(f"cannot run the command in {name}: {text}", exit_code=code)


def _surroundings(options: ExecOptions, command: list[str]) -> list[str]:
    """Return a command with variables and a working directory, which the cluster cannot set."""
    if options.workdir:
        command = ["sh", "-c", 'cd "$1" && shift && exec "$@"', "sh", options.workdir, *command]
    entries = [entry for entry in options.env if "=" in entry]
    return ["env", *entries, *command] if entries else command


def _whole(descriptor: int) -> bytes:
    """Return an input to its end."""
    return b"".join(iter(lambda: os.read(descriptor, _CHUNK), b""))


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _CHUNK)
    except OSError:
        return b""
