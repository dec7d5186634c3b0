"""Detects the files that ADD unpacks: tar archives, plain or compressed, by content."""

from __future__ import annotations

import lzma
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from jupyter_containers.build.tree import Entry, SourceTree

_BLOCK = 512


@contextmanager
def open_archive(tree: SourceTree, entry: Entry) -> Iterator[BinaryIO | None]:
    """Yield the uncompressed tar in a regular file, or None if it contains none."""
    with os.fdopen(tree.open_regular(entry), "rb") as stream:
        yield decompressed(stream) if is_archive(stream) else None


def is_archive(stream: BinaryIO) -> bool:
    """Return whether a seekable stream is a tar, plain or compressed; rewind it."""
    found = _is_tar_header(_first_block(decompressed(stream)))
    stream.seek(0)
    return found


def decompressed(stream: BinaryIO) -> BinaryIO:
    """Return the uncompressed contents of a seekable stream."""
    magic = stream.read(6)
    stream.seek(0)
    if magic.startswith(b"\x1f\x8b"):
        import gzip

        return cast(BinaryIO, gzip.GzipFile(fileobj=stream))
    if magic.startswith(b"BZh"):
        import bz2

        return cast(BinaryIO, bz2.BZ2File(stream))
    if magic == b"\xfd7zXZ\0":
        return cast(BinaryIO, lzma.LZMAFile(stream))
    if magic.startswith(b"\x28\xb5\x2f\xfd"):
        from jupyter_containers.store.compression import zstd_module

        return cast(BinaryIO, zstd_module().ZstdFile(stream))
    return stream


def _first_block(stream: BinaryIO) -> bytes:
    try:
        return stream.read(_BLOCK)
    except (OSError, EOFError, zlib.error, lzma.LZMAError):
        return b""
    except Exception as error:
        # The zstd module raises its own class, which exists only once it is imported.
        if type(error).__name__ == "ZstdError":
            return b""
        raise


def _is_tar_header(block: bytes) -> bool:
    """Return whether a header's checksum is right (POSIX.1-2017, pax, "ustar Interchange")."""
    if len(block) < _BLOCK or not any(block):
        return False
    digits = block[148:156].strip(b" \0")
    try:
        stated = int(digits or b"x", 8)
    except ValueError:
        return False
    total = sum(block[:148]) + 8 * ord(" ") + sum(block[156:])
    return stated == total
