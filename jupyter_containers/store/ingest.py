"""Writing of blobs: :class:`Ingest` for downloads, :class:`BlobWriter` for new blobs.

Both hash while they write, and create the blob by one rename after an fsync.
"""

from __future__ import annotations

import io
import os
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.errors import (
    DigestMismatchError,
    OperationCancelledError,
    SizeMismatchError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.oci.descriptor import Descriptor
from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.leases import Lease
from jupyter_containers.store.linux import start_writeback

_CHUNK = 1024 * 1024
_WRITEBACK = 8 * _CHUNK
_READ_ONLY = 0o444
_POLL_SECONDS = 0.05


class Ingest:
    """A download that becomes a blob only with exactly the expected bytes.

    ``present`` is True if the blob exists already: nothing may be written then. ``offset`` is the
    number of bytes received; the next :meth:`write` appends to them.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        target: Path,
        partial: Path | None,
        cancel: CancelToken | None = None,
    ) -> None:
        self.descriptor = descriptor
        self.present = partial is None
        self.offset = descriptor.size if partial is None else 0
        self._target = target
        self._partial = partial
        self._file = -1
        self._flushed = 0
        self._hash = hashlib.new(descriptor.digest.partition(":")[0])
        self._moved = threading.Condition()
        self._cancel = cancel or CancelToken()
        if partial is not None:
            self._resume(partial, self._cancel)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes.

        Raises :class:`SizeMismatchError`, and drops everything, as soon as there are more bytes
        than expected; :class:`~jupyter_containers.errors.StorageError` for a full disk (the
        received bytes stay, for a later ingest).
        """
        view = memoryview(chunk)
        if self.offset + len(view) > self.descriptor.size:
            self._drop()
            raise SizeMismatchError(
                f"blob {self.descriptor.digest} is longer than the"
                f" {self.descriptor.size} bytes that its descriptor says"
            )
        with storage_errors(f"store blob {self.descriptor.digest}"):
            while view:
                count = os.write(self._file, view)
                self._hash.update(view[:count])
                self.offset += count
                view = view[count:]
        with self._moved:
            self._moved.notify_all()
        if self.offset - self._flushed >= _WRITEBACK:
            start_writeback(self._file, self._flushed, self.offset - self._flushed)
            self._flushed = self.offset

    def follow(self) -> BinaryIO:
        """Return a reader of the blob, for another thread, while it is still being downloaded.

        The reader ends when the blob is committed, and raises :class:`OperationCancelledError` if
        the ingest ends without a commit.  Not to be used across a :meth:`restart`.
        """
        assert self._partial is not None
        # It was completed a moment ago and has its final name.
        for path in (self._partial, self._target):
            with storage_errors(f"read blob {self.descriptor.digest}"), suppress(FileNotFoundError):
                return Growing(path, self._wait_beyond)  # type: ignore[return-value]  # it can do what readers need
        raise OperationCancelledError("the download ended early")

    def _wait_beyond(self, position: int) -> int:
        with self._moved:
            while self.offset <= position:
                if self.present:
                    return 0
                if self._file < 0:
                    raise OperationCancelledError("the download ended early")
                self._cancel.check()
                self._moved.wait(_POLL_SECONDS)
            return self.offset - position

    def restart(self) -> None:
        """Drop the received bytes and begin at offset 0."""
        with storage_errors(f"store blob {self.descriptor.digest}"):
            os.ftruncate(self._file, 0)
            os.lseek(self._file, 0, os.SEEK_SET)
        self._hash = hashlib.new(self._hash.name)
        self.offset = self._flushed = 0

    def commit(self) -> None:
        """Verify size and digest and create the blob.

        Raises :class:`SizeMismatchError` or :class:`DigestMismatchError`, and drops the received
        bytes, because no continuation could make them right.
        """
        if self.present:
            return
        expected = self.descriptor
        if self.offset != expected.size:
            received = self.offset
            self._drop()
            raise SizeMismatchError(
                f"blob {expected.digest}: received {received} of {expected.size} bytes"
            )
        actual = f"{self._hash.name}:{self._hash.hexdigest()}"
        if actual != expected.digest:
            self._drop()
            raise DigestMismatchError(f"blob {expected.digest}: the content's digest is {actual}")
        assert self._partial is not None
        with storage_errors(f"store blob {expected.digest}"):
            move_into_place(self._partial, self._target, self._file)
            # Not before: a partial file must stay writable after a kill.
            os.fchmod(self._file, _READ_ONLY)
        with self._moved:
            self.present = True
            self._moved.notify_all()

    def close(self) -> None:
        """Close the file; a partial download stays on disk."""
        if self._file >= 0:
            with self._moved:
                descriptor, self._file = self._file, -1
                self._moved.notify_all()
            os.close(descriptor)

    def _resume(self, partial: Path, cancel: CancelToken) -> None:
        with storage_errors(f"store blob {self.descriptor.digest}"):
            self._file = os.open(partial, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                while chunk := os.read(self._file, _CHUNK):
                    cancel.check()
                    self._hash.update(chunk)
                    self.offset += len(chunk)
                if self.offset > self.descriptor.size:
                    self.restart()
            except BaseException:
                self.close()
                raise
        self._flushed = self.offset

    def _drop(self) -> None:
        if self._partial is not None:
            self._partial.unlink(missing_ok=True)
        self.close()


class Growing(io.RawIOBase):
    """A file that one thread reads while another writes it, up to its verified end.

    ``wait_beyond(position)`` returns how many bytes follow ``position``: 0 once the file is
    complete and verified.  It raises if the file cannot become complete.
    """

    def __init__(self, path: Path, wait_beyond: Callable[[int], int]) -> None:
        super().__init__()
        # io calls close() on every object that is deleted, even if it was never opened.
        self._descriptor = -1
        self._guard = threading.Lock()
        self._wait = wait_beyond
        self._at = 0
        self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)

    def readable(self) -> bool:
        """Return True."""
        return True

    def read(self, size: int = -1) -> bytes:
        """Return up to ``size`` bytes as soon as there are any, ``b""`` at the verified end."""
        there = self._wait(self._at)
        with self._guard:
            if self._descriptor < 0:
                return b""
            data = os.pread(self._descriptor, there if size < 0 else min(size, there), self._at)
        self._at += len(data)
        return data

    def close(self) -> None:
        """Close this reader's own descriptor; a waiting read ends at its next byte."""
        with self._guard:
            if self._descriptor >= 0:
                descriptor, self._descriptor = self._descriptor, -1
                os.close(descriptor)
        super().close()


class BlobWriter:
    """A blob being written; its digest is known when it is complete."""

    def __init__(self, staged: Path, place: Callable[[str], Path]) -> None:
        self._staged = staged
        self._place = place
        self._hash = hashlib.sha256()
        self._flushed = 0
        self.size = 0
        with storage_errors("create a blob"):
            self._file = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def write(self, chunk: bytes | memoryview) -> None:
        """Append bytes; raise :class:`~jupyter_containers.errors.StorageError` on failure."""
        view = memoryview(chunk)
        with storage_errors("write a blob"):
            self._hash.update(view)
            while view:
                count = os.write(self._file, view)
                self.size += count
                view = view[count:]
        if self.size - self._flushed >= _WRITEBACK:
            start_writeback(self._file, self._flushed, self.size - self._flushed)
            self._flushed = self.size

    @property
    def digest(self) -> str:
        """The digest of the bytes written so far."""
        return "sha256:" + self._hash.hexdigest()

    def commit(self, media_type: str, lease: Lease | None = None) -> Descriptor:
        """Create the blob and return its descriptor; ``lease`` protects it before it appears."""
        digest = self.digest
        if lease is not None:
            lease.add(digest)
        target = self._place(digest)
        with storage_errors(f"store blob {digest}"):
            if not target.is_file():
                move_into_place(self._staged, target, self._file)
                os.fchmod(self._file, _READ_ONLY)
        return Descriptor(media_type, digest, self.size)

    def close(self) -> None:
        """Drop uncommitted bytes."""
        if self._file >= 0:
            descriptor, self._file = self._file, -1
            os.close(descriptor)
            self._staged.unlink(missing_ok=True)


def move_into_place(staged: Path, target: Path, descriptor: int = -1) -> None:
    """Make a complete file durable under its final name: fsync, rename, fsync the folder."""
    if descriptor >= 0:
        os.fsync(descriptor)
    else:
        opened = os.open(staged, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(opened)
        finally:
            os.close(opened)
    target.parent.mkdir(mode=0o700, exist_ok=True)
    os.rename(staged, target)
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
