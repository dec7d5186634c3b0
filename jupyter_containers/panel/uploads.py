"""Uploads from a page in parts, since a server's websocket accepts messages of up to 10 MiB.

An upload has a token chosen by its page.  Parts are sent in order, each after the answer to the
previous one; unfinished uploads are discarded at the end of the connection.
"""

from __future__ import annotations

import tempfile
import threading
from typing import IO

from jupyter_containers.errors import InvalidArgumentError

_IN_MEMORY = 1024 * 1024


class Uploads:
    """The unfinished uploads of one connection."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: dict[str, IO[bytes]] = {}

    def add(self, token: str, offset: int, data: bytes) -> IO[bytes]:
        """Add a part; return the file so far; raise if a part is missing."""
        with self._lock:
            if offset == 0 and token not in self._open:
                self._open[token] = tempfile.SpooledTemporaryFile(_IN_MEMORY)  # noqa: SIM115  # kept open between parts
            file = self._open.get(token)
            if file is None or file.tell() != offset:
                raise InvalidArgumentError("a part of the upload is missing", hint="upload again")
            file.write(data)
            return file

    def forget(self, token: str) -> None:
        """Discard an upload, finished or not."""
        with self._lock:
            file = self._open.pop(token, None)
        if file is not None:
            file.close()

    def close(self) -> None:
        """Discard all uploads."""
        for token in list(self._open):
            self.forget(token)
