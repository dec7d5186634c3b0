"""Compression of layers, detected from the content: media types are often wrong.

gzip uses isal (several members are fine), zstd the standard library or its backport, bzip2 and xz
the standard library.  Decompression always happens in process.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from jupyter_containers.errors import ArchiveError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import LAYER_GZIP

GZIP_LEVEL = 1
_GZIP_BLOCK = 256 * 1024
COMMIT_MEDIA_TYPE = LAYER_GZIP
_GIB = 1024**3
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\x00", "xz"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of an archive.

    ``bytes`` limits the uncompressed stream and each file.  The expansion ``ratio`` counts only
    beyond ``ratio_floor`` bytes, because small archives of empty files compress very well.
    """

    entries: int = 1_000_000
    bytes: int = 256 * _GIB
    ratio: int = 500
    ratio_floor: int = _GIB
    header_bytes: int = 1024 * 1024


class CountingReader(io.RawIOBase):
    """A reader that counts the bytes read from another file; it never closes that file."""

    def __init__(self, raw: BinaryIO) -> None:
        super().__init__()
        self._raw = raw
        self._front = b""
        self.count = 0

    def readable(self) -> bool:
        """Return True."""
        return True

    def peek_front(self, size: int) -> bytes:
        """Return the first bytes without consuming them; only before the first read."""
        while len(self._front) < size and (data := self._raw.read(size - len(self._front))):
            self._front += data
        return self._front

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes, ``b""`` at the end."""
        if self._front and size != 0:
            limit = len(self._front) if size < 0 else size
            data, self._front = self._front[:limit], self._front[limit:]
            if size < 0:
                data += self._raw.read()
        else:
            data = self._raw.read(size)
        self.count += len(data)
        return data

    def readinto(self, buffer: object) -> int:
        """Fill ``buffer`` and return the number of bytes."""
        view = memoryview(buffer)  # type: ignore[arg-type]  # Buffer is of 3.12
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)


def compression_of(front: bytes) -> str:
    """Return ``gzip``, ``zstd``, ``bzip2`` or ``xz`` from the first bytes, or ``""``."""
    return next((name for magic, name in _MAGIC if front.startswith(magic)), "")


@contextmanager
def decompressed(raw: CountingReader, label: str) -> Iterator[BinaryIO]:
    """Return the uncompressed stream; errors of the format are raised as :class:`ArchiveError`."""
    kind = compression_of(raw.peek_front(6))
    stream, failures = _OPENERS[kind](raw)
    try:
        yield stream
    except EOFError as error:
        raise ArchiveError(f"{label}: the {kind} data ends too early") from error
    except failures as error:
        raise ArchiveError(f"{label}: the {kind} data is damaged: {error}") from error


_Opened = tuple[BinaryIO, tuple[type[Exception], ...]]


def _open_plain(raw: CountingReader) -> _Opened:
    return raw, ()  # type: ignore[return-value]  # it reads, and no more is asked


def _open_gzip(raw: CountingReader) -> _Opened:
    import zlib

    from isal import igzip, isal_zlib

    failures: tuple[Any, ...] = (igzip.BadGzipFile, isal_zlib.error, zlib.error)
    opened: Any = igzip.IGzipFile  # the package has no annotations
    return opened(fileobj=raw, mode="rb"), failures


def zstd_module() -> Any:
    """Return Python's own zstd module, or its backport before 3.14."""
    if sys.version_info >= (3, 14):
        from compression import zstd
    else:
        from backports import zstd
    return zstd


def _open_zstd(raw: CountingReader) -> _Opened:
    zstd = zstd_module()
    return zstd.ZstdFile(raw, "rb"), (zstd.ZstdError,)


def _open_bzip2(raw: CountingReader) -> _Opened:
    import bz2

    return bz2.BZ2File(raw, "rb"), (OSError, ValueError)  # type: ignore[return-value]  # no BinaryIO


def _open_xz(raw: CountingReader) -> _Opened:
    import lzma

    opened: Any = lzma.LZMAFile  # neither its reader nor itself is a BinaryIO by name
    return opened(raw, "rb"), (lzma.LZMAError,)


_OPENERS: dict[str, Callable[[CountingReader], _Opened]] = {
    "": _open_plain,
    "gzip": _open_gzip,
    "zstd": _open_zstd,
    "bzip2": _open_bzip2,
    "xz": _open_xz,
}


class GzipWriter:
    """A gzip stream of one member, without a time stamp: the same input gives the same bytes.

    ``level`` None is the fast one; 0 to 9 are zlib's.  The output depends on how the input is
    divided, so it is always divided into blocks of the same size.
    """

    def __init__(self, write: Callable[[bytes], object], level: int | None = None) -> None:
        import zlib

        from isal import isal_zlib

        self._write = write
        self._deflate: Any = (
            isal_zlib.compressobj(GZIP_LEVEL, isal_zlib.DEFLATED, 31)
            if level is None
            else zlib.compressobj(level, zlib.DEFLATED, 31)
        )
        self._begun = bytearray()

    def write(self, chunk: bytes) -> None:
        """Compress a chunk and write the complete part."""
        left = memoryview(chunk)
        if self._begun:
            missing = _GZIP_BLOCK - len(self._begun)
            self._begun += left[:missing]
            left = left[missing:]
            if len(self._begun) == _GZIP_BLOCK:
                self._compress(self._begun)
                self._begun = bytearray()
        while len(left) >= _GZIP_BLOCK:
            self._compress(left[:_GZIP_BLOCK])
            left = left[_GZIP_BLOCK:]
        self._begun += left

    def finish(self) -> None:
        """Write the end of the stream."""
        self._compress(self._begun)
        self._write(self._deflate.flush())

    def _compress(self, block: bytearray | memoryview) -> None:
        if data := self._deflate.compress(block):
            self._write(data)


def decompressed_stream(file: BinaryIO, label: str) -> Iterator[bytes]:
    """Yield the uncompressed bytes of a whole file in chunks of 1 MiB."""
    with decompressed(CountingReader(file), label) as stream:
        while chunk := stream.read(1024 * 1024):
            yield chunk


@contextmanager
def compressed(
    write: Callable[[bytes], object], kind: str, level: int | None = None
) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that compresses chunks into ``write``: gzip, zstd or none."""
    if kind == "gzip":
        gzip = GzipWriter(write, level)
        yield gzip.write
        gzip.finish()
    elif kind == "zstd":
        zstd = zstd_module().ZstdCompressor(level=level)

        def put(chunk: bytes) -> None:
            if data := zstd.compress(chunk):
                write(data)

        yield put
        write(zstd.flush())
    else:
        yield write
