"""A test that hangs: it fails, and says where every thread and every process was."""

from __future__ import annotations

import faulthandler
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import NoReturn

import pytest

_TEST_SECONDS = 300.0  # beside others the longest takes a fifth of it
_END_SECONDS = 120.0  # for the teardown of its fixtures


@contextmanager
def watched() -> Iterator[None]:
    """Fail a test that does not end in time; end the process if that does not help.

    To be used by the main thread, which gets the signal.  No thread watches: tests may fork.
    """
    before = signal.signal(signal.SIGALRM, _fail)
    signal.setitimer(signal.ITIMER_REAL, _TEST_SECONDS)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _fail(_number: int, _frame: FrameType | None) -> NoReturn:
    # The next signal ends the process.
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, _END_SECONDS)
    with tempfile.TemporaryFile("w+") as file:
        faulthandler.dump_traceback(file=file)
        file.seek(0)
        threads = file.read()
    processes = subprocess.run(
        ["ps", "--ppid=2", "--deselect", "--forest", "-ww", "-o", "pid,stat,etimes,wchan:20,args"],
        check=False,
        capture_output=True,
        text=True,
    ).stdout
    pytest.fail(f"no end within {_TEST_SECONDS:g} s\n{threads}\n{processes}")
