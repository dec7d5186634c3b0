"""Verified bytes: an OCI image layout in which every blob has the digest in its name.

Layout (OCI Image Specification 1.1, image-layout.md)::

    oci-layout   index.json   blobs/<algorithm>/<hex>

The life of a blob: ``ingest`` (digest known before: a download, resumable) or ``writer`` (digest
known after: a new blob) → verify → fsync → rename into ``blobs`` → fsync the folder. A file under
``blobs`` is never half written and never changed.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.errors import (
    BlobNotFoundError,
    DigestMismatchError,
    StorageError,
    VerificationError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import (
    MAX_MANIFEST_BYTES,
    Descriptor,
    digest_of,
    encode_json,
    is_digest,
    validate_digest,
)
from jupyter_containers.oci.image import new_index
from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.ingest import BlobWriter, Ingest, move_into_place
from jupyter_containers.store.leases import Lease
from jupyter_containers.store.locks import Locks
from jupyter_containers.store.staging import Staging

REF_NAME = "org.opencontainers.image.ref.name"
PARTIAL_DAYS = 7
LAYOUT = b'{"imageLayoutVersion":"1.0.0"}'
EMPTY_INDEX = (
    b'{"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json","manifests":[]}'
)


class ContentStore:
    """The blobs of a store; thread-safe and shared between processes.

    Blobs of the layouts in the folders ``additional`` can be read as if they were here.
    """

    def __init__(
        self,
        root: Path,
        partials: Path,
        staging: Staging,
        locks: Locks,
        additional: Sequence[Path] = (),
    ) -> None:
        self.root = root
        self._additional = additional
        self._partials = partials
        self._staging = staging
        self._locks = locks
        with storage_errors("create the content store"):
            for folder in (root, partials, root / "blobs" / "sha256"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        for name, data in (("oci-layout", LAYOUT), ("index.json", EMPTY_INDEX)):
            if not (root / name).exists():
                self._write_file(name, data)

    def path(self, digest: str) -> Path:
        """Return the path of the blob, whether or not it exists."""
        own = _blob(self.root, digest)
        if self._additional and not own.is_file():
            for root in self._additional:
                other = _blob(root, digest)
                if other.is_file():
                    return other
        return own

    def has(self, digest: str) -> bool:
        """Return whether the blob is complete and verified."""
        return self.path(digest).is_file()

    def size(self, digest: str) -> int:
        """Return the blob's size in bytes; raise :class:`BlobNotFoundError`."""
        try:
            return self.path(digest).stat().st_size
        except FileNotFoundError as error:
            raise _missing(digest) from error

    def open(self, digest: str) -> BinaryIO:
        """Open a blob for reading; raise :class:`BlobNotFoundError`."""
        with storage_errors(f"read blob {digest}"):
            try:
                return self.path(digest).open("rb")
            except FileNotFoundError as error:
                raise _missing(digest) from error

    def read(self, digest: str, limit: int = MAX_MANIFEST_BYTES) -> bytes:
        """Return a small blob (a manifest, a configuration), verified again.

        Raises :class:`BlobNotFoundError`, :class:`VerificationError` for a blob over ``limit``
        bytes, and :class:`DigestMismatchError` if the disk damaged it.
        """
        with self.open(digest) as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise VerificationError(f"blob {digest} is over the limit of {limit} bytes")
        if digest.startswith("sha256:") and digest_of(data) != digest:
            raise DigestMismatchError(
                f"blob {digest} is damaged on disk", hint="remove the image and pull it again"
            )
        return data

    def put(self, data: bytes, media_type: str, lease: Lease | None = None) -> Descriptor:
        """Store ``data`` and return its descriptor; ``lease`` protects it before it appears."""
        descriptor = Descriptor(media_type, digest_of(data), len(data))
        if lease is not None:
            lease.add(descriptor.digest)
        if not self.has(descriptor.digest):
            with self.writer() as writer:
                writer.write(data)
                writer.commit(media_type)
        return descriptor

    @contextmanager
    def ingest(self, descriptor: Descriptor, cancel: CancelToken | None = None) -> Iterator[Ingest]:
        """Receive a blob whose digest and size are known; see :class:`.ingest.Ingest`.

        One ingest of a digest at a time: a second caller, in any process, waits (checking
        ``cancel``) and then finds ``present`` True.  Without ``commit`` the received bytes are
        kept, and a later ingest resumes there.
        """
        descriptor.checked()
        target = self.path(descriptor.digest)
        if target.is_file():
            yield Ingest(descriptor, target, None)
            return
        name = descriptor.digest.replace(":", "-")
        with self._locks.hold(f"ingest-{name}", cancel):
            partial = None if target.is_file() else self._partials / name
            ingest = Ingest(descriptor, target, partial, cancel)
            try:
                yield ingest
            finally:
                ingest.close()

    @contextmanager
    def writer(self) -> Iterator[BlobWriter]:
        """Write a blob whose digest is known only at its end; it is dropped without a commit."""
        writer = BlobWriter(self._staging.name(), self.path)
        try:
            yield writer
        finally:
            writer.close()

    def delete(self, digest: str) -> bool:
        """Remove a blob; return False if it does not exist."""
        with storage_errors(f"remove blob {digest}"):
            try:
                _blob(self.root, digest).unlink()
            except FileNotFoundError:
                return False
        return True

    def digests(self) -> list[str]:
        """Return the digests of all blobs; ignore files with other names."""
        names = (
            f"{folder.name}:{entry.name}"
            for folder in sorted((self.root / "blobs").iterdir())
            if folder.is_dir()
            for entry in os.scandir(folder)
        )
        return [name for name in names if is_digest(name)]

    def set_index(self, entries: Iterable[tuple[str, Descriptor]]) -> None:
        """Write ``index.json``: names and the manifests or indexes they refer to.

        The records are authoritative; this file lets other tools read the layout.
        """
        self._write_file("index.json", index_document(entries))

    def index(self) -> bytes:
        """Return the entries of ``index.json``; none if it does not exist."""
        with storage_errors("read index.json"):
            try:
                return (self.root / "index.json").read_bytes()
            except FileNotFoundError:
                return b""

    def sweep(self, now: float | None = None) -> int:
        """Remove partial downloads that were not touched for a week; return how many."""
        oldest = (time.time() if now is None else now) - PARTIAL_DAYS * 24 * 3600
        removed = 0
        for name in os.listdir(self._partials):
            partial = self._partials / name
            with suppress(FileNotFoundError):  # another process has just finished its download
                if partial.lstat().st_mtime < oldest:
                    with self._locks.hold(f"ingest-{name}"):
                        partial.unlink()
                    removed += 1
        return removed

    def partial_bytes(self) -> int:
        """Return the bytes of interrupted downloads."""
        found = 0
        for entry in os.scandir(self._partials):
            with suppress(OSError):
                found += entry.stat(follow_symlinks=False).st_size
        return found

    def drop_partials(self) -> int:
        """Remove interrupted downloads that are not being resumed; return their bytes."""
        return drop_partials(self._partials, self._locks)

    def _write_file(self, name: str, data: bytes) -> None:
        staged = self._staging.name()
        with storage_errors(f"write {name}"):
            try:
                staged.write_bytes(data)
                move_into_place(staged, self.root / name)
            finally:
                staged.unlink(missing_ok=True)


def drop_partials(folder: Path, locks: Locks) -> int:
    """Remove a folder's partial downloads that are not being resumed; return their bytes.

    A download stays if it cannot be locked (it is in use, or the disk has no inode for the lock).
    """
    freed = 0
    for name in os.listdir(folder):
        with suppress(FileNotFoundError, StorageError), locks.attempt(f"ingest-{name}") as free:
            if free:
                size = (folder / name).lstat().st_size
                (folder / name).unlink()
                freed += size
    return freed


def index_document(entries: Iterable[tuple[str, Descriptor]]) -> bytes:
    """Return the layout's index of names and what they refer to."""
    named = tuple(
        Descriptor(
            media_type=target.media_type,
            digest=target.digest,
            size=target.size,
            annotations={**target.annotations, REF_NAME: name},
            platform=target.platform,
        )
        for name, target in entries
    )
    return encode_json(new_index(named)) if named else EMPTY_INDEX


def _blob(root: Path, digest: str) -> Path:
    algorithm, _, name = validate_digest(digest).partition(":")
    return root / "blobs" / algorithm / name


def _missing(digest: str) -> BlobNotFoundError:
    return BlobNotFoundError(f"blob {digest} is not in the store", hint="pull the image again")
