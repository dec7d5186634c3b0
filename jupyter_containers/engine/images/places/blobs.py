"""The bytes of blobs: read from files, and verified."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import BinaryIO

from jupyter_containers.engine.images.places.base import (
    Destination,
    Pieces,
    Source,
    Transfer,
    ignore_progress,
)
from jupyter_containers.errors import DigestMismatchError, SizeMismatchError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.oci.descriptor import Descriptor

_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FilePieces:
    """The bytes of an open file, always from the beginning: reading a disk again is cheap."""

    file: BinaryIO
    cancel: CancelToken

    @property
    def offset(self) -> int:
        """The position of the first byte: always 0."""
        return 0

    def __iter__(self) -> Iterator[bytes]:
        while chunk := self.file.read(_CHUNK):
            self.cancel.check()
            yield chunk


@contextmanager
def file_pieces(file: BinaryIO, cancel: CancelToken) -> Iterator[Pieces]:
    """Yield the bytes of a file, and close it."""
    with closing(file):
        yield FilePieces(file, cancel)


def write_in_order(
    destination: Destination, blobs: Sequence[Descriptor], source: Source, transfer: Transfer
) -> None:
    """Write blobs one after the other, without reporting each one."""
    for blob in blobs:
        transfer.cancel.check()
        destination.write(blob, source, ignore_progress)


def checked_pieces(source: Source, blob: Descriptor) -> Iterator[bytes]:
    """Yield a blob's bytes; raise at the end if they do not match its digest.

    Raises :class:`SizeMismatchError` before yielding more bytes than its size, and
    :class:`DigestMismatchError`.
    """
    algorithm = blob.checked().digest.partition(":")[0]
    hashed = None if source.facts.verified else hashlib.new(algorithm)
    done = 0
    with source.open(blob) as pieces:
        for piece in pieces:
            done += len(piece)
            if done > blob.size:
                raise SizeMismatchError(
                    f"blob {blob.digest} is longer than the {blob.size} bytes in its descriptor"
                )
            if hashed is not None:
                hashed.update(piece)
            yield piece
    if done != blob.size:
        raise SizeMismatchError(f"blob {blob.digest}: received {done} of {blob.size} bytes")
    if hashed is not None and f"{algorithm}:{hashed.hexdigest()}" != blob.digest:
        raise DigestMismatchError(
            f"blob {blob.digest}: the content's digest is {algorithm}:{hashed.hexdigest()}"
        )
