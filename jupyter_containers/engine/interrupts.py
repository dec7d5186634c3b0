"""Clean-up that a second interrupt cannot break, and the notes it leaves.

Code that cleans up after an interrupt adds a short note to it (``error.add_note``): what was kept.
"""

from __future__ import annotations

import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SAME_WISH_SECONDS = 0.5


@contextmanager
def deferred(answering: BaseException | None = None) -> Iterator[None]:
    """Block SIGINT during the block, then deliver it once.

    If the block handles an interrupt (``answering``), another one repeats the same request and is
    dropped.  Only the main thread receives interrupts; in any other thread this does nothing.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[tuple[int, FrameType | None]] = []
    previous = signal.signal(signal.SIGINT, lambda number, frame: arrived.append((number, frame)))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)
        if arrived and callable(previous) and not isinstance(answering, KeyboardInterrupt):
            previous(*arrived[0])


class Interrupted(KeyboardInterrupt):
    """An interrupt by the user, after clean-up; a notebook shows it as one line."""

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


def answered(text: str) -> Interrupted:
    """Return the error to raise after an interrupt has been handled.

    Further interrupts within the next half second are ignored as repetitions: a kernel that is
    interrupted while it sends the cell's outcome would lose it, and the cell would appear to run
    for ever.
    """
    previous = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is threading.main_thread() and callable(previous):
        until = time.monotonic() + _SAME_WISH_SECONDS

        def handle(number: int, frame: FrameType | None) -> None:
            if time.monotonic() > until:
                signal.signal(signal.SIGINT, previous)
                previous(number, frame)

        signal.signal(signal.SIGINT, handle)
    return Interrupted(text)


def notes_of(error: BaseException | None) -> list[str]:
    """Return the notes on an interrupt, or on an earlier one in its context."""
    notes: list[str] = []
    while error is not None and not notes:
        notes = list(getattr(error, "__notes__", ()))
        error = error.__context__
    return notes
