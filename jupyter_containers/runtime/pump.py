"""Copies bytes between a child process's pipes and its caller, until its end or a cancellation.

Lifecycle: the caller starts the child with pipes and passes it to :func:`communicate`, which calls
``on_output`` for every chunk in order of arrival, writes ``stdin``, checks the cancel token every
50 ms and always reaps the child.
"""

from __future__ import annotations

import fcntl
import os
import termios
import time
from array import array
from collections.abc import Callable
from contextlib import suppress
from typing import IO, Literal

from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import selectors, subprocess
from jupyter_containers.runtime.process import POLL_SECONDS

StreamName = Literal["stdout", "stderr"]
OutputSink = Callable[[StreamName, bytes], None]

_CHUNK = 65536
_GRACE_SECONDS = 10.0


def communicate(
    child: subprocess.Popen[bytes],
    *,
    on_output: OutputSink,
    stdin: bytes = b"",
    cancel: CancelToken | None = None,
    on_cancel: Callable[[], None],
) -> int:
    """Deliver the child's output; return its exit status (128+n when signal n killed it).

    If the token is cancelled, the caller is interrupted or ``on_output`` raises, ``on_cancel`` is
    called to end the work, the child is reaped and the exception propagates.
    """
    try:
        _pump(child, on_output, stdin, cancel)
    except BaseException:
        _end(child, on_cancel)
        raise
    finally:
        for pipe in (child.stdin, child.stdout, child.stderr):
            if pipe is not None:
                with suppress(OSError):
                    pipe.close()
    return exit_status(child.returncode)


def exit_status(returncode: int) -> int:
    """Return a status as in a shell: 128+n for a process that was killed by signal n."""
    return 128 - returncode if returncode < 0 else returncode


def _pump(
    child: subprocess.Popen[bytes],
    on_output: OutputSink,
    stdin: bytes,
    cancel: CancelToken | None,
) -> None:
    outputs: list[tuple[IO[bytes] | None, StreamName]] = [
        (child.stdout, "stdout"),
        (child.stderr, "stderr"),
    ]
    ended = os.pidfd_open(child.pid)
    try:
        with selectors.DefaultSelector() as selector:
            selector.register(ended, selectors.EVENT_READ, "ended")
            for pipe, name in outputs:
                if pipe is not None:
                    os.set_blocking(pipe.fileno(), False)
                    selector.register(pipe, selectors.EVENT_READ, name)
            feeder = _Feeder(child.stdin, stdin, selector)
            while child.poll() is None:
                if cancel is not None:
                    cancel.check()
                for key, _ in selector.select(POLL_SECONDS):
                    if key.data == "stdin":
                        feeder.feed()
                    elif key.data != "ended" and not _deliver(key.fd, key.data, on_output):
                        selector.unregister(key.fileobj)
        # A process that the child left behind may keep the pipes open and keep writing.
        for pipe, name in outputs:
            if pipe is not None:
                _drain(pipe.fileno(), name, on_output)
    finally:
        os.close(ended)


def _deliver(descriptor: int, name: StreamName, on_output: OutputSink) -> bool:
    """Deliver one chunk; return False at the end of file."""
    try:
        data = os.read(descriptor, _CHUNK)
    except BlockingIOError:
        return True
    if data:
        on_output(name, data)
    return bool(data)


def _drain(descriptor: int, name: StreamName, on_output: OutputSink) -> None:
    """Deliver the data that is in a pipe at this moment."""
    [left] = array("i", fcntl.ioctl(descriptor, termios.FIONREAD, bytes(4)))
    while left > 0 and (data := os.read(descriptor, min(left, _CHUNK))):
        on_output(name, data)
        left -= len(data)


class _Feeder:
    """The child's standard input: written as fast as the child reads, then closed."""

    def __init__(
        self, pipe: IO[bytes] | None, data: bytes, selector: selectors.BaseSelector
    ) -> None:
        self._pipe = pipe
        self._rest = memoryview(data)
        self._selector = selector
        if pipe is None:
            return
        os.set_blocking(pipe.fileno(), False)
        selector.register(pipe, selectors.EVENT_WRITE, "stdin")

    def feed(self) -> None:
        """Write as much as fits; close the pipe after the last byte or if nobody reads it."""
        assert self._pipe is not None
        with suppress(BlockingIOError):
            try:
                self._rest = self._rest[os.write(self._pipe.fileno(), self._rest) :]
            except BrokenPipeError:
                self._rest = self._rest[:0]
        if not self._rest:
            self._selector.unregister(self._pipe)
            self._pipe.close()


def _end(child: subprocess.Popen[bytes], on_cancel: Callable[[], None]) -> None:
    while True:
        try:
            with suppress(Exception):
                on_cancel()
            break
        except KeyboardInterrupt:
            continue  # another interrupt: continue ending the work
    deadline = time.monotonic() + _GRACE_SECONDS
    # The child must not stay blocked on a full pipe that nobody reads any more.
    for pipe in (child.stdout, child.stderr):
        if pipe is not None:
            with suppress(OSError):
                pipe.close()
    while child.poll() is None:
        try:
            child.wait(timeout=max(0.05, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            child.kill()
        except KeyboardInterrupt:
            # A second interrupt must not leave the child behind; the first is being raised already.
            deadline = time.monotonic()
