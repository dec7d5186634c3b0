"""Children by ``fork``, made by a process that has no threads.

A child forked beside threads may wait for ever for a lock that one of them held.  A *call* is a
function of a module, or a ``partial`` of one, and its arguments; it runs in a separate child.
"""

from __future__ import annotations

import os
import pickle
import select
import signal
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

_PROJECT = Path(__file__).parents[2]
_READY = b"!"


class Ended(NamedTuple):
    """A child's exit status (as in ``subprocess``) and its function's result, if it returned."""

    returncode: int
    value: Any


# The calls, and how many seconds after they are ready they are killed.
_Calls = list[tuple[Callable[..., object], tuple[object, ...]]]
_Request = tuple[_Calls, float | None]


class Forker:
    """The parent of the children."""

    def __init__(self, requests: IO[bytes], answers: IO[bytes]) -> None:
        self._requests, self._answers = requests, answers

    def run(self, function: Callable[..., object], *arguments: object) -> Ended:
        """Run one call to its end."""
        return self.run_all([(function, arguments)])[0]

    def run_all(self, calls: _Calls) -> list[Ended]:
        """Run several calls at the same time, all to their ends."""
        return self._ask((calls, None))

    def kill(self, seconds: float, function: Callable[..., object], *arguments: object) -> Ended:
        """Run one call, with SIGKILL so long after it is ready.

        ``function`` gets one more argument, the last: it calls that when it is ready.
        """
        return self._ask(([(function, arguments)], seconds))[0]

    def _ask(self, request: _Request) -> list[Ended]:
        pickle.dump(request, self._requests)
        self._requests.flush()
        ended: list[Ended] = pickle.load(self._answers)
        return ended


@contextmanager
def started() -> Iterator[Forker]:
    """Start the process; it ends with the block."""
    with subprocess.Popen(
        [sys.executable, "-c", f"from {__name__} import serve; serve()"],
        cwd=_PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield Forker(process.stdin, process.stdout)
        process.stdin.close()


def serve() -> None:
    """Be that process: take calls from standard input, until its end."""
    requests, answers = sys.stdin.buffer, sys.stdout.buffer
    while True:
        try:
            calls, seconds = pickle.load(requests)
        except EOFError:
            return
        doomed = seconds is not None
        children = [_fork(function, arguments, doomed=doomed) for function, arguments in calls]
        for pid, reader in children if doomed else ():
            # One byte says that it is ready; the end of the pipe, or more, that it has ended.
            if os.read(reader, 1) == _READY and not select.select([reader], [], [], seconds)[0]:
                os.kill(pid, signal.SIGKILL)
        pickle.dump([_await(*child) for child in children], answers)
        answers.flush()


def _fork(
    function: Callable[..., object], arguments: tuple[object, ...], *, doomed: bool
) -> tuple[int, int]:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid:
        os.close(writer)
        return pid, reader
    status = 1
    try:
        os.dup2(2, 1)  # nothing else may write to the pipe of the answers
        if doomed:
            arguments = (*arguments, lambda: os.write(writer, _READY))
        with open(writer, "wb") as pipe:
            pickle.dump(function(*arguments), pipe)
        status = 0
    except BaseException:  # noqa: BLE001  # a forked child must not return
        traceback.print_exc()
    finally:
        os._exit(status)


def _await(pid: int, reader: int) -> Ended:
    with open(reader, "rb") as pipe:
        data = pipe.read()
    code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
    return Ended(code, pickle.loads(data) if code == 0 else None)
