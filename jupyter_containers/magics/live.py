"""Live output of a container in the cell: bytes are decoded and written immediately.

A notebook keeps every character of every cell, and a page freezes while it lays out a hundred
thousand lines.  So a cell shows the first megabyte of a command's output, twenty thousand lines at
most, and at the end a note about the omitted output and the last lines.
"""

from __future__ import annotations

import codecs
import contextvars
import sys
import threading
from typing import TextIO

SHOWN_CHARACTERS, SHOWN_LINES = 1024 * 1024, 20_000
_LAST_CHARACTERS = 4096


class LiveOutput:
    """Receives (stream, bytes) from any thread and writes text; one object serves one command.

    Bytes that are not UTF-8 are replaced; a character split between two reads is joined again.
    ``limit`` and ``lines`` are the maximum numbers of characters and lines of both streams that are
    written live; without ``limit`` everything is written.
    """

    def __init__(
        self,
        stdout: TextIO | None = None,
        stderr: TextIO | None = None,
        *,
        limit: int | None = SHOWN_CHARACTERS,
        lines: int = SHOWN_LINES,
    ) -> None:
        self._streams = {"stdout": stdout or sys.stdout, "stderr": stderr or sys.stderr}
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: decoder("replace") for name in self._streams}
        # A kernel's stream is sent several times a second, and flushing it waits for that;
        # a terminal's stream would hold back an unfinished line.
        self._flushed = {name for name, stream in self._streams.items() if stream.isatty()}
        self._lock = threading.Lock()
        # The kernel determines the cell of an output from the context of the writer.
        self._context = contextvars.copy_context()
        self._limit, self._count, self._left_out = limit, 0, 0
        self._lines_left = lines
        self._last: dict[str, str] = dict.fromkeys(self._streams, "")
        self.wrote = False

    def __call__(self, stream: str, data: bytes) -> None:
        """Write output of ``stdout`` or ``stderr``."""
        name = stream if stream in self._streams else "stdout"
        with self._lock:
            self._take(name, self._decoders[name].decode(data))

    def close(self, whole: str = "") -> None:
        """Write the rest and flush; ``whole`` tells the user where a long output is complete."""
        with self._lock:
            for name, decoder in self._decoders.items():
                self._take(name, decoder.decode(b"", True))
            if self._left_out:
                self._tell(whole)
            for stream in self._streams.values():
                self._context.run(stream.flush)

    def _take(self, name: str, text: str) -> None:
        room = len(text) if self._limit is None else self._room(text, self._limit - self._count)
        shown, rest = text[:room], text[room:]
        self._count += len(shown)
        self._write(name, shown)
        if rest:
            self._left_out += len(rest)
            self._last[name] = (self._last[name] + rest)[-_LAST_CHARACTERS:]

    def _room(self, text: str, characters: int) -> int:
        """Return the number of the next characters to show."""
        shown = text[: max(0, characters)] if self._lines_left else ""
        lines = shown.split("\n", self._lines_left)
        if len(lines) > self._lines_left:
            shown = shown[: len(shown) - len(lines[-1])]
        self._lines_left = max(0, self._lines_left - len(lines) + 1)
        return len(shown)

    def _tell(self, whole: str) -> None:
        left_out = self._left_out - sum(len(text) for text in self._last.values())
        if left_out > 0:
            where = f" ({whole})" if whole else ""
            size = f"{left_out / 1e6:.1f} MB"
            self._write("stderr", f"\n… {size} of output are left out here{where} …\n")
        for name, text in self._last.items():
            # Starts at the beginning of a line, if there is one.
            start = text.find("\n") + 1 if left_out > 0 else 0
            self._write(name, text[start:])

    def _write(self, name: str, text: str) -> None:
        if text:
            self.wrote = True
            self._context.run(self._streams[name].write, text)
            if name in self._flushed:
                self._context.run(self._streams[name].flush)
