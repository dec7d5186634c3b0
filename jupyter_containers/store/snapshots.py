"""Unpacked layers: directories that overlay mounts use as lowers.

A layer is named by its chain ID and lives in ``layers/<10 characters>``.  Its life::

    record "incomplete" → stage → verify diff_id → syncfs → rename → record "ready"
    … → record "incomplete" → rename to staging → delete → forget the record

One lock for each layer: two processes that need the same layer unpack it once.  A directory without
a ready record is never used, and a record without its directory counts as absent.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.errors import DigestMismatchError, InUseError, NotFoundError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import Descriptor, chain_id, short_id, validate_digest
from jupyter_containers.oci.mount import Mount
from jupyter_containers.store import copies, lowers
from jupyter_containers.store.archive import Applied, Applier
from jupyter_containers.store.compression import COMMIT_MEDIA_TYPE, Limits
from jupyter_containers.store.content import ContentStore
from jupyter_containers.store.differ import Differ, Written
from jupyter_containers.store.faults import storage_error, storage_errors
from jupyter_containers.store.layers import LayerRecord, Layers
from jupyter_containers.store.leases import Lease, Leases
from jupyter_containers.store.linux import spread_children, syncfs
from jupyter_containers.store.locks import Locks
from jupyter_containers.store.lowers import Attributes
from jupyter_containers.store.owner import Owner
from jupyter_containers.store.pipeline import TarSource
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.recompress import LayerWriter
from jupyter_containers.store.staging import Staging
from jupyter_containers.store.tarread import ByteStream, TarReader
from jupyter_containers.store.tarwrite import ChunkedOutput
from jupyter_containers.store.uppers import Uppers, tree_size

Progress = Callable[[int], object]
_SCRATCH = "scratch"


def plain_overlay() -> str:
    """Return the driver of stores that mount nothing, and of most others."""
    return "overlay"


class SnapshotStore:
    """The unpacked layers and the writable uppers of a store; thread-safe.

    ``driver`` returns, on demand, how layers become one file system: ``overlay``,
    ``fuse-overlayfs``, or ``vfs`` where nothing can be mounted: new uppers are copies then.
    """

    def __init__(
        self,
        root: Path,
        layers: Layers,
        content: ContentStore,
        staging: Staging,
        locks: Locks,
        leases: Leases,
        *,
        limits: Limits | None = None,
        privileges: Privileges | None = None,
        driver: Callable[[], str] = plain_overlay,
    ) -> None:
        self.root = root
        self._driver = driver
        self.layers = layers
        self._content = content
        self._staging = staging
        self._locks = locks
        self._leases = leases
        self._limits = limits or Limits()
        self._privileges = privileges or Privileges.current()
        self.uppers = Uppers(root.parent / "uppers", staging, self._privileges)
        with storage_errors("create the snapshot store"):
            for folder in (root, root.parent / "uppers"):
                folder.mkdir(mode=0o700, exist_ok=True)
                spread_children(folder)
            # The lower of a container FROM scratch: overlayfs needs at least one.
            (root / _SCRATCH).mkdir(mode=0o755, exist_ok=True)

    # -- reading ----------------------------------------------------------------------------------

    def has(self, chain_id: str) -> bool:
        """Return whether the layer is unpacked and complete (those below it may not be)."""
        return self.get(chain_id) is not None

    def get(self, chain_id: str) -> LayerRecord | None:
        """Return the layer's record if it is unpacked and complete, else None."""
        record = self.layers.ready(chain_id)
        return record if record and (self.root / record.directory).is_dir() else None

    def usage(self, chain_id: str) -> int:
        """Return the bytes of the layer's own files; raise :class:`NotFoundError`."""
        record = self.get(chain_id) or self.layers.offered(chain_id)
        if record is None:
            raise _not_unpacked(chain_id)
        return record.size

    def lower_folders(self, chain_id: str) -> tuple[Path, ...]:
        """Return the directories of the layer and of all below it, topmost first.

        Raises :class:`NotFoundError` if one of them is not unpacked.
        """
        if not chain_id:
            return ()
        folders = self._stack(chain_id)
        if not folders:
            self.take_offered(chain_id)
            folders = self._stack(chain_id)
        if not folders:
            raise _not_unpacked(chain_id)
        return folders

    def _stack(self, chain_id: str) -> tuple[Path, ...]:
        """Return the directories as :meth:`lower_folders`; an empty list if one is missing."""
        folders = tuple(self.root / name for name in self.layers.stack(chain_id))
        return folders if all(folder.is_dir() for folder in folders) else ()

    def take_offered(
        self,
        chain_id: str,
        cancel: CancelToken | None = None,
        progress: Callable[[LayerRecord], Progress] | None = None,
    ) -> None:
        """Unpack the layers of a stack that an additional store has and this process cannot mount.

        ``progress`` returns, for each layer to unpack, the function that receives its bytes.
        """
        if not self.layers.additional:
            return
        missing: list[LayerRecord] = []
        while chain_id:
            layer = self.get(chain_id)
            if layer is None:
                layer = self.layers.offered(chain_id)
                if layer is None:
                    return  # not of such a store, or incomplete: the caller finds out
                missing.append(layer)
            chain_id = layer.parent_chain_id
        for layer in reversed(missing):
            self.unpack(
                layer.parent_chain_id,
                layer.diff_id,
                layer.blob,
                cancel=cancel,
                progress=progress(layer) if progress is not None else None,
            )

    def mount(self, chain_id: str, upper_key: str | None = None) -> Mount:
        """Return how to mount the layers, under the key's upper if one is given.

        An empty ``chain_id`` means an image without layers.  Raises :class:`NotFoundError`.
        """
        folders = self.lower_folders(chain_id)
        names = tuple(str(folder.relative_to(self.root)) for folder in folders) or (_SCRATCH,)
        fuse = self._driver() == "fuse-overlayfs"
        if upper_key is None:
            return Mount(self.root, names, fuse=fuse)
        upper = self.uppers.path(upper_key)
        if self.uppers.is_copy(upper_key):
            names = ()
        return Mount(self.root, names, upper, upper.parent / "work", fuse)

    @property
    def copying(self) -> bool:
        """Whether new uppers are copies of all files."""
        return self._driver() == "vfs"

    # -- uppers -----------------------------------------------------------------------------------

    def prepare(
        self, key: str, chain_id: str = "", *, transient: bool = False, copy: bool = False
    ) -> Path:
        """Create the key's upper and work directories and return the upper.

        Owner and mode of ``/`` are those of the topmost layer.  A ``transient`` upper ends with
        this process at the latest (build steps); the others stay until :meth:`discard`.  With
        ``copy`` the upper holds all files, even where layers can be mounted.
        """
        folders = self.lower_folders(chain_id)
        root = lowers.attributes(folders, ()) or Attributes()
        fill = self._copier(folders) if copy or self.copying else None
        return self.uppers.prepare(key, root, transient=transient, fill=fill)

    def prepare_over(self, folder: Path, key: str) -> Mount:
        """Return how to mount a folder of the host so that changes to it are discarded.

        The key is transient.
        """
        fill = self._copier((folder,)) if self.copying else None
        upper = self.uppers.prepare(key, Attributes(), transient=True, fill=fill)
        names = () if fill else (folder.name,)
        fuse = self._driver() == "fuse-overlayfs"
        return Mount(folder.parent, names, upper, upper.parent / "work", fuse)

    def _copier(self, folders: tuple[Path, ...]) -> Callable[[Path], copies.Note]:
        return lambda upper: copies.make(folders, upper, self._privileges, CancelToken())

    def discard(self, key: str, *, soon: bool = False) -> None:
        """Remove the key's upper and work directories; do nothing for a missing key.

        ``soon`` does not wait until the files are deleted.
        """
        self.uppers.discard(key, soon=soon)

    def size_rw(self, key: str) -> int:
        """Return the bytes of the files in the key's upper; 0 for a missing key."""
        return self.uppers.size(key)

    # -- making layers ----------------------------------------------------------------------------

    def unpack(
        self,
        parent_chain_id: str,
        diff_id: str,
        blob: Descriptor,
        open_blob: Callable[[], BinaryIO] | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
        settled: Callable[[], Descriptor] | None = None,
    ) -> LayerRecord:
        """Unpack a layer archive on top of its parent; return the layer, also if it existed.

        ``open_blob`` may return bytes that are still arriving; ``settled`` then waits until the
        blob is in the store and returns its final descriptor, before the layer is marked ready.
        ``progress`` is called with the compressed bytes consumed so far.  Raises
        :class:`~jupyter_containers.errors.ArchiveError`, :class:`DigestMismatchError` if the
        uncompressed bytes are not ``diff_id``, :class:`NotFoundError` if the parent is not
        unpacked, and :class:`~jupyter_containers.errors.StorageError`.
        """
        validate_digest(diff_id)
        chain = _chain(parent_chain_id, diff_id)
        token = cancel or CancelToken()
        with self._locks.hold(_lock_name(chain), token):
            existing = self.get(chain)
            if existing is not None:
                return existing
            below = self.lower_folders(parent_chain_id)
            label = f"layer {short_id(blob.digest)}"
            name = self._begin(chain, parent_chain_id, diff_id, blob)
            staged = self._staging.new_folder()
            try:
                raw = open_blob() if open_blob else self._content.open(blob.digest)
                with raw, TarSource(raw, self._limits, token, label=label) as source:
                    applied = self._apply(source, staged, below, label, progress)
                if source.diff_id != diff_id:
                    raise DigestMismatchError(
                        f"{label}: the uncompressed content's digest is {source.diff_id},"
                        f" the image's configuration says {diff_id}"
                    )
                return self._finish(
                    chain, name, staged, applied, settled() if settled is not None else blob
                )
            finally:
                self._clean_up(chain, staged)

    def commit(
        self,
        upper: str | Path,
        parent_chain_id: str,
        *,
        consume: bool = True,
        source_date_epoch: int | None = None,
        skip: frozenset[bytes] = frozenset(),
        lease: Lease | None = None,
        cancel: CancelToken | None = None,
    ) -> LayerRecord:
        """Write an upper (a key, or a path) as a compressed layer and return its record.

        With ``consume`` the upper directory itself becomes the unpacked layer and the key is gone;
        nothing may be mounted on it.  Otherwise the upper stays as it is (``commit`` of a
        container) and the layer is unpacked from the new blob.  ``entries == 0`` means that nothing
        changed.  ``source_date_epoch`` (seconds) is the upper limit of all times. ``lease``
        protects blob and layer before they appear.  ``skip`` are paths left out of a layer that is
        not consumed.
        """
        token = cancel or CancelToken()
        key = upper if isinstance(upper, str) else ""
        if key and self.uppers.is_copy(key):
            upper = self.uppers.difference(key)
        path = self.uppers.path(key) if isinstance(upper, str) else upper
        below = self.lower_folders(parent_chain_id)
        latest = None if source_date_epoch is None else source_date_epoch * 10**9
        with LayerWriter(self._content) as writer:
            output = ChunkedOutput(writer.write)
            differ = Differ(
                path,
                output,
                lower_folders=below,
                privileges=self._privileges,
                latest_ns=latest,
                settle=consume,
                skip=skip,
                cancel=token,
            )
            with storage_errors("write the layer"):
                written = differ.write()
            blob, diff_id = writer.commit(COMMIT_MEDIA_TYPE, lease)
        chain = _chain(parent_chain_id, diff_id)
        if lease is not None:
            lease.add(chain)
        if not consume:
            if key and path != self.uppers.path(key):
                self._staging.remove(path)
            return self.unpack(parent_chain_id, diff_id, blob, cancel=token)
        with self._locks.hold(_lock_name(chain), token):
            record = self.get(chain) or self._adopt(
                path, chain, parent_chain_id, diff_id, blob, written
            )
        self._staging.remove(path)
        if key:
            self.uppers.discard(key)
        return record

    def import_tar(
        self,
        stream: BinaryIO,
        *,
        lease: Lease | None = None,
        cancel: CancelToken | None = None,
        progress: Progress | None = None,
    ) -> LayerRecord:
        """Create a base layer from the tar of a root file system, compressed or not, read once.

        The uncompressed bytes are kept exactly; the blob is gzip.
        """
        token = cancel or CancelToken()
        staged = self._staging.new_folder()
        try:
            with (
                TarSource(stream, self._limits, token, label="archive") as source,
                LayerWriter(self._content, lambda: source.diff_id) as writer,
            ):
                applied = self._apply(source, staged, (), "archive", progress, writer.write)
                blob, diff_id = writer.commit(COMMIT_MEDIA_TYPE, lease)
            if lease is not None:
                lease.add(diff_id)
            with self._locks.hold(_lock_name(diff_id), token):
                existing = self.get(diff_id)
                if existing is not None:
                    return existing
                name = self._begin(diff_id, "", diff_id, blob)
                try:
                    return self._finish(diff_id, name, staged, applied, blob)
                finally:
                    self._clean_up(diff_id, staged)
        finally:
            self._staging.remove(staged)

    # -- checking and repairing -------------------------------------------------------------------

    @property
    def scratch(self) -> Path:
        """The empty directory for images without layers."""
        return self.root / _SCRATCH

    def measure(self, record: LayerRecord, cancel: CancelToken) -> int:
        """Return the bytes of the files in a layer's archive, by unpacking it again."""
        staged = self._staging.new_folder()
        label = f"layer {short_id(record.blob.digest)}"
        try:
            with (
                self._content.open(record.blob.digest) as raw,
                TarSource(raw, self._limits, cancel, label=label, hashed=False) as source,
            ):
                below = self.lower_folders(record.parent_chain_id)
                self._apply(source, staged, below, label, None)
            return tree_size(staged)
        finally:
            self._staging.remove(staged)

    def restore(self, record: LayerRecord, cancel: CancelToken) -> LayerRecord:
        """Unpack a layer again, replacing a missing or changed directory.

        Nothing may be mounted on it.  Raises :class:`BlobNotFoundError` without its archive.
        """
        self._content.size(record.blob.digest)
        with self._locks.hold(_lock_name(record.chain_id), cancel):
            self.layers.mark_incomplete(record.chain_id)
            self._delete(record.chain_id, record.directory)
        return self.unpack(record.parent_chain_id, record.diff_id, record.blob, cancel=cancel)

    def rebuild_blob(self, record: LayerRecord, cancel: CancelToken) -> bool:
        """Rewrite a layer's archive from its directory; return False if the bytes differ.

        Archives written by this engine can be reproduced; others rarely can.
        """
        with LayerWriter(self._content) as writer:
            differ = Differ(
                self.root / record.directory,
                ChunkedOutput(writer.write),
                lower_folders=self.lower_folders(record.parent_chain_id),
                privileges=self._privileges,
                cancel=cancel,
            )
            with storage_errors("write the layer"):
                differ.write()
            return writer.commit_as(record.blob.digest)

    # -- removing ---------------------------------------------------------------------------------

    def remove(self, chain_id: str) -> bool:
        """Delete an unpacked layer; return False if it does not exist or a live lease names it.

        Raises :class:`InUseError` if a layer above it exists.
        """
        with self._locks.hold(_lock_name(chain_id)):
            return self._remove(chain_id)

    def _remove(self, chain: str) -> bool:
        record = self.layers.ready(chain)
        if record is None:
            return False
        with self.layers.deletion():
            if self._leases.holds(chain):
                return False
            if self.layers.children(chain):
                raise InUseError(f"layer {short_id(chain)} has layers above it")
            self.layers.mark_incomplete(chain)
        self._delete(chain, record.directory)
        return True

    def finish_removal(self, chain_id: str, directory: str) -> bool:
        """Delete a layer that was marked incomplete; return False if it is ready again."""
        with self._locks.hold(_lock_name(chain_id)):
            if self.layers.ready(chain_id) is not None:
                return False
            self._delete(chain_id, directory)
            return True

    def _delete(self, chain: str, directory: str) -> None:
        self._staging.remove(self.root / directory)
        self.layers.forget(chain)

    def sweep(self) -> int:
        """Remove layers that a dead process left incomplete; return how many."""
        removed = 0
        for chain, directory, text in self.layers.incomplete():
            owner = Owner.parse(text)
            if owner is not None and owner.alive:
                continue
            removed += self.finish_removal(chain, directory)
        # Folders are created after their records, so a folder without one belongs to a lost record.
        on_disk = {name for name in os.listdir(self.root) if not name.startswith("@")} - {_SCRATCH}
        for name in on_disk - self.layers.directories():
            self._staging.remove(self.root / name)
            removed += 1
        return removed

    # -- steps ------------------------------------------------------------------------------------

    def _apply(
        self,
        source: TarSource,
        staged: Path,
        below: tuple[Path, ...],
        label: str,
        progress: Progress | None,
        tee: Callable[[bytes], object] | None = None,
    ) -> Applied:
        def next_chunk() -> bytes:
            chunk = source.next_chunk()
            if tee is not None and chunk:
                tee(chunk)
            if progress is not None:
                progress(source.consumed)
            return chunk

        with Applier(
            staged,
            lower_folders=below,
            limits=self._limits,
            privileges=self._privileges,
            label=label,
        ) as applier:
            if not below:
                staged.chmod(0o755)
            return applier.apply(TarReader(ByteStream(next_chunk), self._limits))

    def _begin(self, chain: str, parent: str, diff_id: str, blob: Descriptor) -> str:
        """Record the layer as incomplete and remove the remains of an earlier attempt."""
        name = self.layers.begin(chain, parent, diff_id, blob)
        self._staging.remove(self.root / name)
        return name

    def _finish(
        self, chain: str, name: str, staged: Path, applied: Applied, blob: Descriptor
    ) -> LayerRecord:
        target = self.root / name
        try:
            descriptor = os.open(staged, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                # One call for thousands of files; before the rename, so that a layer in its final
                # place is complete even after a power cut.
                syncfs(descriptor)
            finally:
                os.close(descriptor)
            os.rename(staged, target)
        except OSError as error:
            raise storage_error(f"store layer {short_id(chain)}", error) from error
        self.layers.complete(chain, applied.size, applied.entries, blob)
        record = self.layers.ready(chain)
        assert record is not None
        return record

    def _adopt(
        self,
        upper: Path,
        chain: str,
        parent: str,
        diff_id: str,
        blob: Descriptor,
        written: Written,
    ) -> LayerRecord:
        """Turn an upper into the unpacked form of the layer that was just written from it."""
        with storage_errors("store the layer"):
            for path in written.sockets:
                os.unlink(os.fsencode(upper) + b"/" + path)
        name = self._begin(chain, parent, diff_id, blob)
        try:
            applied = Applied(written.entries, written.size)
            return self._finish(chain, name, upper, applied, blob)
        finally:
            self._clean_up(chain, None)

    def _clean_up(self, chain: str, staged: Path | None) -> None:
        """Clean up after a failure; after success there is nothing to do."""
        if self.layers.ready(chain) is not None:
            return
        if staged is not None:
            self._staging.remove(staged)
        self.layers.forget(chain)


def _chain(parent: str, diff_id: str) -> str:
    return chain_id([parent, diff_id]) if parent else diff_id


def _lock_name(chain: str) -> str:
    return "layer-" + validate_digest(chain).replace(":", "-")


def _not_unpacked(chain: str) -> NotFoundError:
    return NotFoundError(
        f"layer {short_id(chain)} is not unpacked here", hint="pull or load the image again"
    )
