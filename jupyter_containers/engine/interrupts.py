"""Clean-up that an impatient second interrupt cannot break, and what it says of its work.

Whoever cleans up adds a note to the interrupt (``error.add_note``): what was kept, in a few words.
"""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def deferred() -> Iterator[None]:
    """Keep SIGINT back until the block is done, then deliver it once.

    Only the main thread receives interrupts; in any other this does nothing.
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
        if arrived and callable(previous):
            previous(*arrived[0])


def notes_of(error: BaseException | None) -> list[str]:
    """Return what was noted on an interrupt, or on one before that it came upon."""
    notes: list[str] = []
    while error is not None and not notes:
        notes = list(getattr(error, "__notes__", ()))
        error = error.__context__
    return notes
