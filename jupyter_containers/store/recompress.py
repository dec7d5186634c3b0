"""Writes a layer's tar as a gzip blob: both digests in one pass, on two threads."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import ExitStack

from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.oci.descriptor import LAYER_GZIP, Descriptor
from jupyter_containers.store.compression import GzipWriter
from jupyter_containers.store.content import ContentStore
from jupyter_containers.store.leases import Lease
from jupyter_containers.store.pipeline import Stage


class LayerWriter:
    """Takes the chunks of an uncompressed tar; a context manager that drops uncommitted data.

    One thread hashes the tar, another compresses, hashes and stores.  If the tar's source hashes it
    anyway, ``diff_id`` returns that digest once everything is written.
    """

    def __init__(self, content: ContentStore, diff_id: Callable[[], str] | None = None) -> None:
        self._content = content
        self._stack = ExitStack()
        self._diff_id = diff_id
        self._hash = hashlib.sha256()

    def __enter__(self) -> LayerWriter:
        with ExitStack() as stack:
            self._blob = stack.enter_context(self._content.writer())
            self._gzip = GzipWriter(self._blob.write)
            self._hashing: Stage | None = None
            if self._diff_id is None:
                self._hashing = Stage("hash", self._hash.update)
                stack.callback(self._hashing.abandon)
            self._deflating = Stage("deflate", self._gzip.write)
            stack.callback(self._deflating.abandon)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def write(self, chunk: bytes) -> None:
        """Add uncompressed bytes."""
        self._deflating.put(chunk)
        if self._hashing is not None:
            self._hashing.put(chunk)

    def commit(self, media_type: str, lease: Lease | None = None) -> tuple[Descriptor, str]:
        """Complete the blob; return its descriptor and the diff_id."""
        self._finish()
        diff_id = self._diff_id() if self._diff_id else f"sha256:{self._hash.hexdigest()}"
        return self._blob.commit(media_type, lease), diff_id

    def commit_as(self, digest: str) -> bool:
        """Complete the blob if it has this digest; otherwise drop it and return False."""
        self._finish()
        if self._blob.digest != digest:
            return False
        self._blob.commit(LAYER_GZIP)
        return True

    def _finish(self) -> None:
        self._deflating.finish()
        if self._hashing is not None:
            self._hashing.finish()
        self._gzip.finish()
