"""Past terminal output, kept up to a limit for views that are opened later."""

from __future__ import annotations

import re

from jupyter_containers.lazy_patterns import pattern

_LIMIT = 512 * 1024
# Switching to the second screen of full-screen programs and back (xterm's private modes).
_SCREENS = pattern(rb"\x1b\[\?(?:1049|1047|47)([hl])")
_FULL_SCREEN = pattern(r"\x1b\[\?(?:1049|1047|47)h.*?(?:\x1b\[\?(?:1049|1047|47)l|$)", re.DOTALL)


class Scrollback:
    """The last bytes sent to a terminal; not thread-safe."""

    def __init__(self, limit: int = _LIMIT) -> None:
        self._limit = limit
        self._kept = bytearray()
        self._edge = b""
        self.full_screen = False

    def add(self, data: bytes) -> None:
        """Append output."""
        # A sequence may be split between two reads.
        for match in _SCREENS.finditer(self._edge + data):
            self.full_screen = match[1] == b"h"
        self._edge = (self._edge + data)[-8:]
        self._kept += data
        if len(self._kept) > 2 * self._limit:
            # Cut after a line feed: not inside a character or an escape sequence.
            cut = self._kept.find(b"\n", len(self._kept) - self._limit)
            del self._kept[: cut + 1 if cut >= 0 else len(self._kept) - self._limit]

    def replay(self, lines: int | None = None) -> bytes:
        """Return the bytes that bring a new terminal to the same state, or its last lines."""
        kept = bytes(self._kept)
        if lines is not None:
            kept = b"".join(kept.splitlines(keepends=True)[-lines:])
        switches = _SCREENS.findall(kept)
        entered = bool(switches) and switches[-1] == b"h"
        return b"\x1b[?1049h" + kept if self.full_screen and not entered else kept

    @property
    def text(self) -> str:
        """The contents of the first screen, with colours; without full-screen programs."""
        return _FULL_SCREEN.sub("", self._kept.decode("utf-8", "replace"))
