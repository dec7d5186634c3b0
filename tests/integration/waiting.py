"""Waits for asynchronous changes by a container, the kernel or another process."""

from __future__ import annotations

import time
from collections.abc import Callable


def until(condition: Callable[[], object], seconds: float = 60) -> None:
    """Return once it is true; fail after so many seconds, which only a broken thing takes.

    The longer it takes, the longer are the pauses: looking costs processor time.
    """
    deadline, pause = time.monotonic() + seconds, 0.01
    while not condition():
        assert time.monotonic() < deadline, "it did not happen"
        time.sleep(pause)
        pause = min(pause * 1.2, 0.1)
