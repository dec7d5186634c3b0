"""Live output of a container in the cell: bytes decoded as they come, written at once."""

from __future__ import annotations

import codecs
import contextvars
import sys
import threading
from typing import TextIO


class LiveOutput:
    """Receives (stream, bytes) from any thread and writes text; one object serves one command.

    Bytes that are not UTF-8 are replaced; a character cut in two by a read is put together again.
    """

    def __init__(self, stdout: TextIO | None = None, stderr: TextIO | None = None) -> None:
        self._streams = {"stdout": stdout or sys.stdout, "stderr": stderr or sys.stderr}
        decoder = codecs.getincrementaldecoder("utf-8")
        self._decoders = {name: decoder("replace") for name in self._streams}
        # A kernel's stream sends itself several times a second, and to flush it waits for the
        # sending; a terminal's stream would hold an unfinished line back.
        self._flushed = {name for name, stream in self._streams.items() if stream.isatty()}
        self._lock = threading.Lock()
        # The kernel finds the cell that an output belongs to in the context of the writer.
        self._context = contextvars.copy_context()
        self.wrote = False

    def __call__(self, stream: str, data: bytes) -> None:
        """Write what came on ``stdout`` or ``stderr``."""
        name = stream if stream in self._streams else "stdout"
        with self._lock:
            self._write(name, self._decoders[name].decode(data))

    def close(self) -> None:
        """Write what an incomplete character left over, and flush."""
        with self._lock:
            for name, decoder in self._decoders.items():
                self._write(name, decoder.decode(b"", True))
                self._context.run(self._streams[name].flush)

    def _write(self, name: str, text: str) -> None:
        if text:
            self.wrote = True
            self._context.run(self._streams[name].write, text)
            if name in self._flushed:
                self._context.run(self._streams[name].flush)
