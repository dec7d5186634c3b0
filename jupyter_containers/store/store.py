"""The store as one object: it opens and closes the parts, and sweeps the remains of dead processes.

On disk, under one root of mode 0700::

    content/    an OCI image layout, index included ingest/   partial downloads
    layers/     unpacked layers                     uppers/   writable layers of containers
    staging/    unfinished work, by owner           locks/    lock files
    reserve/    room that is given up on a full disk (:mod:`.reserve`)
    records.db  images, names, documents, layers, leases, build cache, journal (and its bell)
    shared.db   what other users see of it, if it is published (:mod:`.additional`)

Locks live here and not in the run root: processes that share the root must share the locks.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.errors import StorageError
from jupyter_containers.filesystems import check_contents, check_place, close_empty
from jupyter_containers.layout import StoreLayout
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.oci.descriptor import Descriptor
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store.additional import (
    AdditionalStore,
    close_layers,
    link_layers,
)
from jupyter_containers.store.content import ContentStore, drop_partials, index_document
from jupyter_containers.store.database import Database, damage_of
from jupyter_containers.store.faults import storage_errors, tolerated
from jupyter_containers.store.gc import Collector
from jupyter_containers.store.ingest import move_into_place
from jupyter_containers.store.journal import JournalTable
from jupyter_containers.store.layers import Layers
from jupyter_containers.store.leases import Leases
from jupyter_containers.store.linux import spread_children
from jupyter_containers.store.locks import Locks
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.records import ImageRecord, Records
from jupyter_containers.store.reserve import Reserve
from jupyter_containers.store.rows import DamagedRow, damaged_rows, forget_row
from jupyter_containers.store.snapshots import SnapshotStore, plain_overlay
from jupyter_containers.store.staging import Staging

_HINT = (
    "give it to this user alone (chown, chmod go-w), or choose another with JUPYTER_CONTAINERS_ROOT"
)


@dataclass(frozen=True, slots=True)
class SweepReport:
    """The number of objects of dead processes that a sweep removed."""

    leases: int = 0
    staged: int = 0
    layers: int = 0
    partials: int = 0
    locks: int = 0


class Store:
    """Everything that an engine keeps on disk; thread-safe, shared between processes."""

    def __init__(
        self, root: Path, database: Database, driver: Callable[[], str] = plain_overlay
    ) -> None:
        self.root = root
        self.additional = database.additional
        self._database = database
        self.layout = layout = StoreLayout(root)
        self._staging = Staging(layout.staging)
        self.locks = Locks(layout.locks)
        self.records = Records(database)
        self.journal = JournalTable(database)
        self.leases = Leases(database)
        self.content = ContentStore(
            layout.content,
            layout.ingest,
            self._staging,
            self.locks,
            [store.content for store in self.additional],
        )
        self.snapshots = SnapshotStore(
            layout.layers,
            Layers(database),
            self.content,
            self._staging,
            self.locks,
            self.leases,
            privileges=Privileges.current(shared=self.published),
            driver=driver,
        )
        link_layers(layout.layers, self.additional)
        self.collector = Collector(self.content, self.records, self.snapshots, self.leases)

    @classmethod
    def open(
        cls,
        root: Path,
        additional: Sequence[AdditionalStore] = (),
        driver: Callable[[], str] = plain_overlay,
    ) -> Store:
        """Return the store under ``root``, created if it is missing, above ``additional`` ones.

        ``driver`` is that of :class:`.snapshots.SnapshotStore`.  Raises
        :class:`~jupyter_containers.errors.StorageError`.
        """
        layout = StoreLayout(root)
        locks = Locks(layout.locks)

        def more() -> bool:
            return layout.ingest.is_dir() and drop_partials(layout.ingest, locks) > 0

        reserve = Reserve(layout.reserve, more)
        with storage_errors(f"open the store in {root}"):
            if not root.is_dir():
                check_place(root, "a store", _HINT, way_only=True)
                root.mkdir(mode=0o700, parents=True, exist_ok=True)
            close_empty(root)
            check_place(root, "a store", _HINT)
            check_contents(root, "a store", _HINT)
            reserve.ensure()
            if root.stat().st_mode & 0o077 and not layout.published.exists():
                root.chmod(0o700)
            for folder in (layout.staging, layout.locks):
                folder.mkdir(mode=0o700, exist_ok=True)
            spread_children(layout.staging)
            if layout.published.exists():
                close_layers(root)  # an older version left them open
            reserve.keep()
        database = Database(layout.records, additional, reserve)
        try:
            return cls(root, database, driver)
        except BaseException:
            database.close()
            raise

    @property
    def published(self) -> bool:
        """Whether other users can see this store's images."""
        return self.layout.published.exists()

    @classmethod
    def publish(cls, root: Path) -> None:
        """Let every user of the machine read this store's images, now and after each change.

        Raises :class:`~jupyter_containers.errors.StorageError` for a store that already has layers:
        they are not made for the mounts of other users.  Other users can read ``content`` and the
        published database; everything else (layers, records, uppers, unfinished work) stays
        private.
        """
        with cls.open(root) as store, storage_errors(f"publish the store in {root}"):
            if store.published:
                return
            if store.snapshots.layers.all():
                raise StorageError(
                    f"{root} holds images that are not shared",
                    hint="choose an empty folder for shared images",
                )
            store.write_published()
            for folder in ("content", "content/blobs", "content/blobs/sha256"):
                (root / folder).chmod(0o755)
            # Last: this opens the store to others.
            root.chmod(0o755)

    def write_published(self) -> None:
        """Write the database that readers of a shared store look at."""
        with self.scratch() as staged:
            staged.touch(mode=0o644)
            self._database.publish(staged)
            staged.chmod(0o644)
            move_into_place(staged, self.layout.published)

    def put_image(
        self, record: ImageRecord, names: Iterable[str] = (), target_digest: str = ""
    ) -> None:
        """Record an image with its names; see :meth:`.records.Records.put_image`."""
        if self.records.put_image(record, names, target_digest):
            self._mirror_names()

    def set_name(self, name: str, manifest_digest: str, target_digest: str = "") -> None:
        """Point a name at an image; see :meth:`.records.Records.set_name`."""
        if self.records.set_name(name, manifest_digest, target_digest):
            self._mirror_names()

    def remove_name(self, name: str) -> bool:
        """Delete a name; return False if it does not exist."""
        removed = self.records.remove_name(name)
        if removed:
            self._mirror_names()
        return removed

    def delete_image(self, manifest_digest: str) -> bool:
        """Delete an image with its names; its blobs and layers stay until garbage collection."""
        deleted = self.records.delete_image(manifest_digest)
        if deleted:
            self._mirror_names()
        return deleted

    def delete_images(self, choose: Callable[[frozenset[str]], Iterable[str]]) -> None:
        """Delete the images that ``choose`` returns (digests of manifests), with their names.

        It is called with the resources of live leases; no record changes during the call.
        """
        with self.snapshots.layers.deletion():
            chosen = list(choose(self.leases.protected()))
            for digest in chosen:
                self.records.delete_image(digest)
        if chosen:
            self._mirror_names()

    def _mirror_names(self) -> None:
        """Write the index now, or at a later sweep if the disk has no room for it."""
        with tolerated():
            self.write_index()

    def write_index(self) -> None:
        """Write the layout's index after names changed, so that other tools find the images."""
        # Read and written under one lock: the last writer has seen every earlier change.
        with self.locks.hold("index"):
            changes = self.records.name_changes()
            self.content.set_index(self._index())
            if self.published:
                self.write_published()
            self.records.index_written(changes)

    def index_differs(self) -> bool:
        """Return whether the layout's index differs from the records."""
        with self.locks.hold("index"):
            return self.content.index() != index_document(self._index())

    def _index(self) -> list[tuple[str, Descriptor]]:
        images = {record.manifest.digest: record.manifest for record in self.records.images()}
        return [
            (Reference.parse(entry.name).familiar, images[entry.manifest_digest])
            for entry in self.records.own_names()
            if entry.manifest_digest in images
        ]

    def damage(self) -> list[str]:
        """Return the damage that SQLite finds in the record database; nothing if it is sound."""
        return damage_of(self._database.path)

    def rebuild_records(self) -> None:
        """Rewrite the record database from its tables."""
        self._database.rebuild_indexes()

    def start_over(self) -> None:
        """Begin with empty records; a repair restores them from blobs, index and volumes."""
        self._database.start_over()

    def damaged_rows(self) -> list[DamagedRow]:
        """Return the damaged records, except documents."""
        return damaged_rows(self._database)

    def forget_row(self, row: DamagedRow) -> None:
        """Delete a damaged record."""
        forget_row(self._database, row)

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield a path for unfinished work in the store's file system, removed afterwards."""
        path = self._staging.name()
        try:
            yield path
        finally:
            self._staging.remove(path)

    def remove_tree(self, path: Path, *, soon: bool = False) -> None:
        """Remove a file or tree below the root in one step, even if killed in between.

        ``soon`` does not wait until the files are deleted.
        """
        (self._staging.remove_soon if soon else self._staging.remove)(path)

    def close(self) -> None:
        """Close the database; a second call does nothing."""
        self._staging.finish()
        self._database.close()

    def __enter__(self) -> Store:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def sweep(self) -> SweepReport:
        """Remove the remains of dead processes; safe at any time, beside working processes.

        Partial downloads are kept for a week, so that they can be resumed.  Work that fails on a
        full or read-only disk is left to a later sweep.
        """
        report = SweepReport()
        with tolerated():
            if self.records.name_changes():
                self.write_index()
        for part, sweep in (
            ("leases", self.leases.sweep),
            ("layers", self.snapshots.sweep),
            ("staged", self._staging.sweep),
            ("partials", self.content.sweep),
            ("locks", self.locks.sweep),
        ):
            with tolerated():
                report = replace(report, **{part: sweep()})
        return report
