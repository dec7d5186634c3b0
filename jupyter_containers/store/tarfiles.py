"""The files of an archive by name: an uncompressed tar with random access, or a folder.

A compressed archive, or one from a pipe, is first written uncompressed to a staging file.  Names
are relative (``./a`` is ``a``); links inside the archive are followed there, because older engines
write a layer that several images share as a link.
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Protocol

from jupyter_containers.errors import ArchiveError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import MAX_MANIFEST_BYTES
from jupyter_containers.store.compression import Limits, compression_of
from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.pipeline import TarSource
from jupyter_containers.store.tarread import FILE, HARD_LINK, SYMLINK, ByteStream, TarReader
from jupyter_containers.trees.rooted import Root, split

if TYPE_CHECKING:
    from typing_extensions import Buffer

_CHUNK = 1024 * 1024
_MAX_LINKS = 10


class Files(Protocol):
    """Named files; ``open`` and ``read`` raise :class:`ArchiveError` for a missing one."""

    def has(self, name: str) -> bool:
        """Return whether a regular file of that name exists."""

    def size(self, name: str) -> int:
        """Return the file's size in bytes."""

    def open(self, name: str) -> BinaryIO:
        """Return the file for reading; several may be open at once."""

    def read(self, name: str) -> bytes:
        """Return the contents of a small file (a JSON document of at most 4 MiB)."""


class Section(io.RawIOBase):
    """A part of an open file as a file; it never closes the other."""

    def __init__(self, descriptor: int, start: int, size: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self._start = self._at = start
        self._end = start + size

    def readable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a place in the part, and return it; reading behind the end gives nothing."""
        base = {os.SEEK_SET: self._start, os.SEEK_CUR: self._at, os.SEEK_END: self._end}[whence]
        self._at = max(self._start, base + offset)
        return self._at - self._start

    def readinto(self, buffer: Buffer) -> int:
        """Fill a buffer as far as the part goes; return how many bytes."""
        view = memoryview(buffer)[: max(0, self._end - self._at)]
        count = os.preadv(self._descriptor, [view], self._at)
        self._at += count
        return count

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, ``b""`` at the end of the part."""
        left = max(0, self._end - self._at)
        data = os.pread(self._descriptor, left if size < 0 else min(size, left), self._at)
        self._at += len(data)
        return data


class _FileBytes(ByteStream):
    """Exact reads from a file; skipping is a seek."""

    def __init__(self, descriptor: int) -> None:
        super().__init__(bytes)
        self._descriptor = descriptor
        self.size = os.fstat(descriptor).st_size
        self.at = 0

    def take(self, size: int) -> bytes:
        data = os.pread(self._descriptor, size, self.at)
        if data and len(data) < size:
            raise ArchiveError("the archive ends in the middle of an entry")
        self.at += len(data)
        return data

    def skip(self, size: int) -> None:
        self.at += size
        if self.at > self.size:
            raise ArchiveError("the archive ends in the middle of an entry")

    def drain(self) -> None:
        self.at = self.size


class TarFiles:
    """The regular files of an uncompressed tar; the caller owns the descriptor."""

    def __init__(self, descriptor: int, limits: Limits, cancel: CancelToken) -> None:
        self._descriptor = descriptor
        self._places: dict[str, tuple[int, int]] = {}
        self._links: dict[str, str] = {}
        stream = _FileBytes(descriptor)
        for number, entry in enumerate(TarReader(stream, limits)):
            if number >= limits.entries:
                raise ArchiveError(f"the archive has more than {limits.entries} entries")
            cancel.check()
            name = _plain(entry.name)
            if entry.kind == FILE and entry.sparse is None:
                self._places[name] = (stream.at, entry.size)
            elif entry.kind == HARD_LINK:
                self._links[name] = _plain(entry.target)
            elif entry.kind == SYMLINK:
                self._links[name] = _plain(os.path.dirname(entry.name) + b"/" + entry.target)

    def has(self, name: str) -> bool:
        """Return whether a regular file of that name exists."""
        return self._follow_links(name) in self._places

    def size(self, name: str) -> int:
        """Return the file's size in bytes."""
        return self._place(name)[1]

    def open(self, name: str) -> BinaryIO:
        """Return the file for reading."""
        return Section(self._descriptor, *self._place(name))  # type: ignore[return-value]  # it can do what readers need

    def read(self, name: str) -> bytes:
        """Return the contents of a small file."""
        return _small(self, name)

    def _place(self, name: str) -> tuple[int, int]:
        place = self._places.get(self._follow_links(name))
        if place is None:
            raise ArchiveError(f"the archive has no file {name[:200]!r}")
        return place

    def _follow_links(self, name: str) -> str:
        name = _plain(os.fsencode(name))
        for _ in range(_MAX_LINKS):
            if name not in self._links:
                break
            name = self._links[name]
        return name


class FolderFiles:
    """The regular files below a folder (an OCI image layout) and nothing outside it."""

    def __init__(self, root: Root) -> None:
        self._root = root

    def has(self, name: str) -> bool:
        """Return whether a regular file of that name exists."""
        try:
            self.open(name).close()
        except ArchiveError:
            return False
        return True

    def size(self, name: str) -> int:
        """Return the file's size in bytes."""
        with self.open(name) as file:
            return os.fstat(file.fileno()).st_size

    def open(self, name: str) -> BinaryIO:
        """Return the file for reading."""
        try:
            descriptor = self._root.open_path(name, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise ArchiveError(f"the folder has no file {name[:200]!r}") from error
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            raise ArchiveError(f"the folder has no file {name[:200]!r}")
        return os.fdopen(descriptor, "rb", buffering=0)

    def read(self, name: str) -> bytes:
        """Return the contents of a small file."""
        return _small(self, name)


@contextmanager
def open_files(
    source: BinaryIO | Path, scratch: Path, *, cancel: CancelToken, limits: Limits | None = None
) -> Iterator[Files]:
    """Yield the files of a folder or of an archive, compressed or not, from a file or a pipe.

    ``scratch`` is a path that may be used for the uncompressed archive.  Raises
    :class:`ArchiveError` and :class:`~jupyter_containers.errors.StorageError`.
    """
    if isinstance(source, Path):
        with storage_errors(f"read {source}"):
            root = Root(source)
        with root:
            yield FolderFiles(root)
        return
    bounds = limits or Limits()
    descriptor = _seekable(source)
    if descriptor >= 0:
        yield TarFiles(descriptor, bounds, cancel)
        return
    with storage_errors("unpack the archive"):
        spooled = os.open(scratch, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.unlink(scratch)  # removed with the descriptor in every case
        _spool(source, spooled, bounds, cancel)
        yield TarFiles(spooled, bounds, cancel)
    finally:
        os.close(spooled)


def _seekable(source: BinaryIO) -> int:
    """Return the descriptor of a regular file that holds an uncompressed tar, else -1."""
    try:
        descriptor = source.fileno()
        state = os.fstat(descriptor)
    except (OSError, AttributeError, ValueError):
        return -1
    if not stat.S_ISREG(state.st_mode) or source.tell() != 0:
        return -1
    return -1 if compression_of(os.pread(descriptor, 6, 0)) else descriptor


def _spool(source: BinaryIO, target: int, limits: Limits, cancel: CancelToken) -> None:
    with TarSource(source, limits, cancel, label="archive", hashed=False) as stream:
        while chunk := stream.next_chunk():
            with storage_errors("unpack the archive"):
                view = memoryview(chunk)
                while view:
                    view = view[os.write(target, view) :]


def _small(files: Files, name: str) -> bytes:
    if files.size(name) > MAX_MANIFEST_BYTES:
        raise ArchiveError(f"{name[:200]!r} is over the limit of 4 MiB")
    data = b""
    with files.open(name) as file:
        while chunk := file.read(_CHUNK):
            data += chunk
    return data


def _plain(name: bytes) -> str:
    return os.fsdecode(b"/".join(split(name)))
