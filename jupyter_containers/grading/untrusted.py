"""Reads files and logs of a student's containers: no links, no waiting, bounded memory."""

from __future__ import annotations

import io
import os
import stat
import tarfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import IO

from jupyter_containers.errors import StorageError
from jupyter_containers.trees.rooted import Root

_CHUNK = 1 << 20


@contextmanager
def regular_file(folder: str, path: str) -> Iterator[IO[bytes]]:
    """Yield a regular file below a folder, open for reading; links are followed inside the folder.

    Raises :class:`OSError` for any other kind, including a FIFO.
    """
    with Root(folder) as root:
        descriptor = root.open_path(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY)
    with os.fdopen(descriptor, "rb") as file:
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            raise OSError(f"not a regular file: {path}")
        yield file


def contains(pieces: Iterable[bytes], wanted: Sequence[bytes]) -> bool:
    """Return whether one of the texts is in the pieces, even across two of them."""
    overlap = max(len(text) for text in wanted) - 1
    kept = b""
    for piece in pieces:
        whole = kept + piece
        if any(text in whole for text in wanted):
            return True
        kept = whole[-overlap:] if overlap > 0 else b""
    return any(not text for text in wanted)


def pieces(file: IO[bytes], most: int) -> Iterator[bytes]:
    """Yield the contents of a file, up to the first ``most`` bytes."""
    while most > 0 and (piece := file.read(min(most, _CHUNK))):
        most -= len(piece)
        yield piece


def first(items: Iterable[bytes], most: int) -> Iterator[bytes]:
    """Yield items until they have ``most`` bytes in total."""
    for item in items:
        yield item
        most -= len(item)
        if most <= 0:
            return


class SmallArchive(io.RawIOBase):
    """A tar written to memory, of at most ``most`` bytes."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._data = bytearray()

    def writable(self) -> bool:
        """Return True."""
        return True

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are enough here
        """Append to it; raise :class:`StorageError` if it becomes too large."""
        self._data += data
        if len(self._data) > self._most:
            raise StorageError("a file that should be small is not")
        return len(data)

    def only_file(self) -> bytes | None:
        """Return the contents of the first entry if that is a regular file."""
        with suppress(tarfile.TarError), tarfile.open(fileobj=io.BytesIO(self._data)) as archive:
            entry = archive.next()
            file = archive.extractfile(entry) if entry is not None and entry.isreg() else None
            return None if file is None else file.read(self._most)
        return None
