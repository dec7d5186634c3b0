"""The records beside the blobs: images, their names, build cache, sources of blobs.

An *image* is recorded under the digest of its manifest; its *ID* is the digest of its
configuration.  A *name* is a complete reference (``docker.io/library/x:tag``) to a manifest and to
the *target*: the object that was pulled under that name, an index or that same manifest. The
records of unpacked layers belong to :mod:`.snapshots`, those of leases to :mod:`.leases`.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable
from typing import Any, TypeVar

import msgspec

from jupyter_containers.errors import ImageNotFoundError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.descriptor import Descriptor, Platform, validate_digest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store.collection import Collection
from jupyter_containers.store.database import Database

T = TypeVar("T", bound=msgspec.Struct)
_IMAGE = "manifest_digest, config_digest, value"
_LATEST = 1e11
_PREFIX = pattern(r"(?:sha256:|sha512:)?[0-9a-f]+")


class ImageRecord(msgspec.Struct, frozen=True, omit_defaults=True):
    """An image whose manifest, configuration and layers are in the content store.

    ``size`` is the sum of the uncompressed layers in bytes; ``created`` is the configuration's
    text; ``index_digest`` names the index from which the image was selected, or is empty;
    ``parent`` is the ID of the image that a committed container had.
    """

    manifest: Descriptor
    config_digest: str
    platform: Platform
    created: str = ""
    size: int = 0
    diff_ids: tuple[str, ...] = ()
    chain_ids: tuple[str, ...] = ()
    index_digest: str = ""
    labels: dict[str, str] = {}
    parent: str = ""

    @property
    def chain_id(self) -> str:
        """The chain ID of all layers; empty for an image without layers."""
        return self.chain_ids[-1] if self.chain_ids else ""

    def has_id(self, text: str) -> bool:
        """Return whether ``text`` is this image's ID or the beginning of it."""
        digest = self.config_digest
        return bool(text) and (digest.startswith(text) or digest[7:].startswith(text))


_DECODER = msgspec.json.Decoder(ImageRecord)


@dataclass(frozen=True, slots=True)
class NameRecord:
    """A name, its manifest and its target."""

    name: str
    manifest_digest: str
    target_digest: str


@dataclass(frozen=True, slots=True)
class CacheEntry:
    """A cached build step; ``used`` and ``created`` are seconds since the epoch."""

    key: str
    value: bytes
    chain_id: str
    created: float
    used: float


class Records:
    """Typed access to the record database; every method is one transaction."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def put_image(
        self, record: ImageRecord, names: Iterable[str] = (), target_digest: str = ""
    ) -> bool:
        """Record an image with its names, replacing an earlier record of the same manifest.

        One transaction: a prune in between would remove an image without a name. Returns False if
        no name changed; ``target_digest`` as for :meth:`set_name`.
        """
        validate_digest(record.manifest.digest)
        validate_digest(record.config_digest)
        row = (record.manifest.digest, record.config_digest, msgspec.json.encode(record))
        with self._database.transaction("record an image") as connection:
            known = connection.execute(
                "SELECT * FROM main.images WHERE manifest_digest = ?", row[:1]
            )
            if known.fetchone() != row:
                connection.execute("INSERT OR REPLACE INTO main.images VALUES (?, ?, ?)", row)
            changed = [self.set_name(name, row[0], target_digest) for name in names]
            return any(changed)

    def get_image(self, manifest_digest: str) -> ImageRecord | None:
        """Return the image of a manifest, or None."""
        rows = self._database.query(
            f"SELECT {_IMAGE} FROM images WHERE manifest_digest = ?",  # noqa: S608  # literals
            (manifest_digest,),
        )
        return self._image(rows[0]) if rows else None

    def is_own(self, manifest_digest: str) -> bool:
        """Return whether an image is recorded here, and not only in an additional store."""
        rows = self._database.query(
            "SELECT 1 FROM main.images WHERE manifest_digest = ?", (manifest_digest,)
        )
        return bool(rows)

    def images(self) -> list[ImageRecord]:
        """Return all images."""
        rows = self._database.query(f"SELECT {_IMAGE} FROM images")  # noqa: S608  # literals
        found = (self._image(row) for row in rows)
        return [record for record in found if record is not None]

    def damaged_images(self) -> list[tuple[str, str]]:
        """Return manifest and configuration digest of the images with damaged records."""
        rows = self._database.query(f"SELECT {_IMAGE} FROM main.images")  # noqa: S608  # literals
        return [(str(row[0]), str(row[1])) for row in rows if self._image(row) is None]

    def find_images(self, id_prefix: str) -> list[ImageRecord]:
        """Return the images whose ID or manifest digest begins with a text (``sha256:`` or not)."""
        if not _PREFIX.fullmatch(id_prefix):
            return []
        prefixes = [id_prefix] if ":" in id_prefix else [f"sha256:{id_prefix}"]
        found: dict[str, ImageRecord] = {}
        for prefix in prefixes:
            bounds = (prefix, prefix + "g")
            for column in ("config_digest", "manifest_digest"):
                rows = self._database.query(
                    f"SELECT {_IMAGE} FROM images WHERE {column} >= ? AND {column} < ?",  # noqa: S608  # literal
                    bounds,
                )
                for row in rows:
                    record = self._image(row)
                    if record is not None:
                        found[record.manifest.digest] = record
        return list(found.values())

    def delete_image(self, manifest_digest: str) -> bool:
        """Delete an image and its names; return False if it was not recorded."""
        with self._database.transaction("delete an image") as connection:
            connection.execute(
                "DELETE FROM main.names WHERE manifest_digest = ?", (manifest_digest,)
            )
            cursor = connection.execute(
                "DELETE FROM main.images WHERE manifest_digest = ?", (manifest_digest,)
            )
            _names_changed(connection)
            return cursor.rowcount > 0

    def own_names(self) -> list[NameRecord]:
        """Return the names of this store, without additional ones, in order."""
        return self._names(self._database.query("SELECT * FROM main.names ORDER BY name"))

    def names(self, manifest_digest: str | None = None) -> list[NameRecord]:
        """Return all names in order, or those of one manifest."""
        if manifest_digest is None:
            rows = self._database.query("SELECT * FROM names ORDER BY name")
        else:
            rows = self._database.query(
                "SELECT * FROM names WHERE manifest_digest = ? ORDER BY name", (manifest_digest,)
            )
        return self._names(rows)

    def get_name(self, name: str) -> NameRecord | None:
        """Return the record of a name, or None."""
        rows = self._database.query("SELECT * FROM names WHERE name = ?", (name,))
        return next(iter(self._names(rows)), None)

    def set_name(self, name: str, manifest_digest: str, target_digest: str = "") -> bool:
        """Point a name at a recorded image, replacing its earlier target.

        An empty ``target_digest`` means the manifest itself.  Returns False if nothing changed.
        Raises :class:`ImageNotFoundError` for a manifest that is not recorded.
        """
        entry = (name, manifest_digest, target_digest or manifest_digest)
        with self._database.transaction(f"record the name {name}") as connection:
            known = connection.execute(
                "SELECT 1 FROM images WHERE manifest_digest = ?", (manifest_digest,)
            ).fetchone()
            if known is None:
                raise ImageNotFoundError(f"no image {manifest_digest} to give the name {name}")
            # An image of an additional store is recorded here too: its new name outlives the other
            # store.
            connection.execute(
                "INSERT OR IGNORE INTO main.images SELECT * FROM images WHERE manifest_digest = ?",
                (manifest_digest,),
            )
            row = connection.execute("SELECT * FROM main.names WHERE name = ?", (name,)).fetchone()
            if row == entry:
                return False
            connection.execute("INSERT OR REPLACE INTO main.names VALUES (?, ?, ?)", entry)
            _names_changed(connection)
            return True

    def restore_name(self, name: str, manifest_digest: str) -> None:
        """Restore a name from the layout's index, which then need not be written again."""
        with self._database.transaction(f"restore the name {name}") as connection:
            entry = (name, manifest_digest, manifest_digest)
            connection.execute("INSERT OR IGNORE INTO main.names VALUES (?, ?, ?)", entry)

    def remove_name(self, name: str) -> bool:
        """Delete a name; return False if it does not exist."""
        with self._database.transaction(f"remove the name {name}") as connection:
            _names_changed(connection)
            return connection.execute("DELETE FROM main.names WHERE name = ?", (name,)).rowcount > 0

    def name_changes(self) -> int:
        """Return 0 while the layout's index is up to date, else a number that grows."""
        rows = self._database.query("SELECT value FROM counters WHERE name = 'name changes'")
        # A damaged number is replaced at the next change, or when the index is written.
        return (rows[0][0] if isinstance(rows[0][0], int) else 1) if rows else 0

    def index_written(self, changes: int) -> None:
        """Record that the layout's index includes this number of changes."""
        with self._database.transaction("note that the index is written") as connection:
            connection.execute(
                "DELETE FROM counters WHERE name = 'name changes'"
                " AND (value = ? OR typeof(value) <> 'integer')",
                (changes,),
            )

    def collection(self, name: str, kind: type[T]) -> Collection[T]:
        """Return the collection of documents of one kind; nothing is created."""
        return Collection(self._database, name, kind)

    def cache_get(self, key: str) -> bytes | None:
        """Return a cached build step and record its use, or None."""
        rows = self._database.query("SELECT value FROM cache WHERE key = ?", (key,))
        if not rows or not isinstance(rows[0][0], bytes):
            return None
        with self._database.transaction("note the use of a build step") as connection:
            connection.execute("UPDATE cache SET used = ? WHERE key = ?", (time.time(), key))
        return bytes(rows[0][0])

    def cache_put(self, key: str, value: bytes, chain_id: str = "") -> None:
        """Cache a build step and the layers of its result."""
        now = time.time()
        with self._database.transaction("remember a build step") as connection:
            connection.execute(
                "INSERT OR REPLACE INTO cache VALUES (?, ?, ?, ?, ?)",
                (key, value, chain_id, now, now),
            )

    def cache_use(self, key: str, value: bytes) -> None:
        """Record the use of an entry without layers; it is created on first use."""
        if self.cache_get(key) is None:
            self.cache_put(key, value)

    def cache_entries(self) -> list[CacheEntry]:
        """Return all cached build steps, the least recently used first."""
        rows = self._database.query(
            "SELECT key, value, chain_id, created, used FROM cache ORDER BY used"
        )
        found = []
        for row in rows:
            try:
                found.append(cache_entry(row))
            except ValueError as error:
                self._database.set_aside.note("cache", row[0], error)
        return found

    def cache_delete(self, key: str) -> bool:
        """Delete a cached build step; return False if it does not exist."""
        with self._database.transaction("forget a build step") as connection:
            return connection.execute("DELETE FROM cache WHERE key = ?", (key,)).rowcount > 0

    def remember_blob_source(self, digest: str, registry: str, repository: str) -> None:
        """Record that a repository has a blob, so that a push can mount it from there."""
        with self._database.transaction("remember where a blob came from") as connection:
            connection.execute(
                "INSERT OR IGNORE INTO blob_sources VALUES (?, ?, ?)",
                (digest, registry, repository),
            )

    def blob_sources(self, digest: str) -> list[tuple[str, str]]:
        """Return the (registry, repository) pairs known to have a blob."""
        rows = self._database.query(
            "SELECT registry, repository FROM blob_sources WHERE digest = ?"
            " ORDER BY registry, repository",
            (digest,),
        )
        return [(row[0], row[1]) for row in rows if _texts(row)]

    def _image(self, row: tuple[Any, ...]) -> ImageRecord | None:
        try:
            return image_of(row)
        except (*DECODE_ERRORS, TypeError) as error:
            self._database.set_aside.note("images", row[0], error)
            return None

    def _names(self, rows: Iterable[tuple[Any, ...]]) -> list[NameRecord]:
        found = []
        for row in rows:
            try:
                found.append(name_of(row))
            except ValueError as error:
                self._database.set_aside.note("names", row[0], error)
        return found


def image_of(row: tuple[Any, ...]) -> ImageRecord:
    """Return the image of a row (manifest digest, configuration digest, value).

    Raises :class:`ValueError`, :class:`TypeError` or :class:`msgspec.MsgspecError`.
    """
    record = _DECODER.decode(row[2])
    validate_digest(record.manifest.digest)
    for digest in (*record.diff_ids, *record.chain_ids, *filter(None, [record.index_digest])):
        validate_digest(digest)
    if (record.manifest.digest, record.config_digest) != (row[0], validate_digest(row[1])):
        raise ValueError("it is the record of another image")
    return record


def name_of(row: tuple[Any, ...]) -> NameRecord:
    """Return the name of a row; raise :class:`ValueError`."""
    if not _texts(row):
        raise ValueError("it is not a text")
    Reference.parse(row[0])
    for digest in row[1:]:
        validate_digest(digest)
    return NameRecord(*row)


def cache_entry(row: tuple[Any, ...]) -> CacheEntry:
    """Return the build step of a row; raise :class:`ValueError`."""
    key, value, chain_id, created, used = row
    if not _texts((key, chain_id)) or not isinstance(value, bytes):
        raise ValueError("it is not a text")
    if chain_id:
        validate_digest(chain_id)
    for moment in (created, used):
        if not isinstance(moment, (int, float)) or not 0 <= moment < _LATEST:
            raise ValueError(f"{moment!r} is not a time")
    return CacheEntry(*row)


def _texts(row: Iterable[object]) -> bool:
    return all(isinstance(value, str) for value in row)


def _names_changed(connection: sqlite3.Connection) -> None:
    connection.execute(
        "INSERT INTO counters VALUES ('name changes', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1"
    )
