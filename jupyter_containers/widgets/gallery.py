"""The widgets that live in this kernel, by the cell that made them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from typing import Any, Protocol

# Takes a widget's message and its buffers to a page.
SendMessage = Callable[[dict[str, Any], Sequence[bytes]], None]


class Closable(Protocol):
    """What a gallery keeps."""

    def close(self) -> None:
        """End it; a second time does nothing."""


class Gallery:
    """Knows which cell made which widget, and closes those of a cell that is run again.

    With ``send`` the widgets have no comm each: their messages go there.
    ``terminal_size`` is the size (rows, columns) that a terminal had last: the best guess for the
    next one before its view has said its own.
    """

    def __init__(self, send: SendMessage | None = None) -> None:
        self.send = send
        self._lock = threading.Lock()
        self._cell: str | None = None
        self._made: dict[Closable, str | None] = {}
        self.terminal_size = (24, 80)

    def begin(self, cell: str | None) -> None:
        """A cell begins to run; what its earlier runs made is closed."""
        with self._lock:
            self._cell = cell
            old = [made for made, where in self._made.items() if where == cell and where]
        self._close(old)

    def add(self, made: Closable) -> None:
        """Keep what the present cell has made."""
        with self._lock:
            self._made[made] = self._cell

    def forget(self, made: Closable) -> None:
        """Let go of what was closed; nothing happens when it is not kept."""
        with self._lock:
            self._made.pop(made, None)

    def close(self) -> None:
        """Close everything."""
        with self._lock:
            everything = list(self._made)
        self._close(everything)

    def __len__(self) -> int:
        return len(self._made)

    def _close(self, items: list[Closable]) -> None:
        for item in items:
            self.forget(item)
            item.close()
