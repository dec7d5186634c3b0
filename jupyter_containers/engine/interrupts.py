"""Clean-up that an impatient second interrupt cannot break, and what it says of its work.

Whoever cleans up adds a note to the interrupt (``error.add_note``): what was kept, in a few words.
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
    """Keep SIGINT back until the block is done, then deliver it once.

    Where the block answers an interrupt (``answering``), one more of them is the same wish, and
    not delivered.  Only the main thread receives interrupts; in any other this does nothing.
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
    """Work was stopped by its person and has cleaned up; a notebook's cell shows it as one line."""

    def _render_traceback_(self) -> list[str]:
        return [f"KeyboardInterrupt: {self}"]


def answered(text: str) -> Interrupted:
    """Return the error to raise for an interrupt that was answered.

    Presses of the next moment are the same wish.  A kernel that is interrupted while it sends the
    cell's outcome would lose it: the cell would seem to run for ever.
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
    """Return what was noted on an interrupt, or on one before that it came upon."""
    notes: list[str] = []
    while error is not None and not notes:
        notes = list(getattr(error, "__notes__", ()))
        error = error.__context__
    return notes
