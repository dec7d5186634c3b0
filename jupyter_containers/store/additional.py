"""Read-only image stores below this one: their images can be used here but never changed.

A *published* store has ``shared.db`` beside its content: the images, names and unpacked layers at
the last change of a name, written to a new file that replaces the old one by a rename.  Readers
need no write permission there, take no lock, and see either the old or the new state.  The records
themselves stay private: they hold more than images (the environment of containers, for one).

In the database of the store above, the tables ``images``, ``names`` and ``layers`` are views for
readers: the store's own rows first, then the rows of each additional store that it lacks. Writers
use ``main.``.  Layers are listed only if this process can mount them, as ``@<name>/<directory>``;
the others are *offered*, to be unpacked here (:mod:`.snapshots`).
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing, suppress
from pathlib import Path
from urllib.parse import quote

from jupyter_containers.errors import StorageError
from jupyter_containers.layout import StoreLayout
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store.faults import database_error, storage_errors
from jupyter_containers.store.layers import directory_name

_FORMAT = 1
_COLUMNS = "chain_id, parent, diff_id, {} AS directory, state, owner, size, entries, blob, created"
_TABLES = (
    "CREATE TABLE images (manifest_digest TEXT PRIMARY KEY, config_digest TEXT, value BLOB)",
    "CREATE INDEX images_by_config ON images (config_digest)",
    "CREATE TABLE names (name TEXT PRIMARY KEY, manifest_digest TEXT, target_digest TEXT)",
    "CREATE INDEX names_by_manifest ON names (manifest_digest)",
    "CREATE TABLE layers (chain_id TEXT PRIMARY KEY, parent TEXT, diff_id TEXT, directory TEXT,"
    " state TEXT, owner TEXT, size INTEGER, entries INTEGER, blob BLOB, created REAL)",
)


@dataclass(frozen=True, slots=True)
class AdditionalStore:
    """A store to read from.

    ``layers`` is the folder from which its unpacked layers are mounted: its own, one that shows
    them with the owners that a user's containers need, or None if they cannot be mounted.
    """

    root: Path
    layers: Path | None = None

    @property
    def database(self) -> Path:
        """The published database."""
        return StoreLayout(self.root).published

    @property
    def content(self) -> Path:
        """The OCI image layout."""
        return StoreLayout(self.root).content

    @property
    def link(self) -> str:
        """The name, in the ``layers`` of the store above, of the link to its layers."""
        return views_name(self.layers or self.root)


def views_name(folder: Path) -> str:
    """Return a short name for the views of a folder."""
    return "@" + directory_name(os.fspath(folder))[:5]


def link_layers(folder: Path, stores: Iterable[AdditionalStore]) -> None:
    """Create the links in ``folder`` by which overlay mounts find the layers of other stores."""
    with storage_errors("link the layers of additional stores"):
        for store in stores:
            link = folder / store.link
            if store.layers is not None and not link.is_symlink():
                with suppress(FileExistsError):  # another process created the same link
                    link.symlink_to(store.layers)


def close_layers(root: Path) -> bool:
    """Let only the owner of a shared store enter its unpacked layers; return whether that holds.

    They have the owners, set-user-ID programs and file capabilities of images, which everybody
    could use by their path on the host (the class of CVE-2021-41103).  A user who cannot mount them
    unpacks the archives in ``content`` instead.
    """
    try:
        descriptor = os.open(StoreLayout(root).layers, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return not layers_open(root)
    try:
        if os.fstat(descriptor).st_mode & 0o077:
            os.fchmod(descriptor, 0o700)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def layers_open(root: Path) -> bool:
    """Return whether other users can enter the unpacked layers of a shared store."""
    try:
        return bool(os.lstat(StoreLayout(root).layers).st_mode & 0o077)
    except OSError:
        return False


def fingerprint(stores: Iterable[AdditionalStore]) -> tuple[tuple[int, int], ...]:
    """Return a fingerprint that changes whenever an additional store publishes."""
    found = []
    for store in stores:
        try:
            state = os.stat(store.database)
        except OSError as error:
            raise StorageError(
                f"lost the image store {store.root}: {error.strerror}",
                hint="ask its owner; the setting additional_stores names it",
            ) from error
        found.append((state.st_ino, state.st_mtime_ns))
    return tuple(found)


def attach(connection: sqlite3.Connection, stores: Sequence[AdditionalStore]) -> None:
    """Attach the stores to a connection, in place of those attached before.

    Raises :class:`StorageError` for a store published by another version.
    """
    attached = {row[1] for row in connection.execute("PRAGMA database_list")}
    for table in ("images", "names", "layers", "offered"):
        connection.execute(f"DROP VIEW IF EXISTS temp.{table}")
    for number, store in enumerate(stores):
        if f"s{number}" in attached:
            connection.execute(f"DETACH s{number}")
        # A published file never changes in place, so it needs no lock.
        connection.execute(
            f"ATTACH ? AS s{number}", (f"file:{quote(os.fspath(store.database))}?immutable=1",)
        )
        version = connection.execute(f"PRAGMA s{number}.user_version").fetchone()[0]
        if version != _FORMAT:
            raise StorageError(
                f"the image store {store.root} was published in format {version}",
                hint="share its images again with this version of jupyter-containers-engine",
            )
    for table, key in (("images", "manifest_digest"), ("names", "name")):
        parts = [f"SELECT * FROM main.{table}"]  # noqa: S608  # literals, here and below
        for number in range(len(stores)):
            absent = _absent(key, table, range(number))
            parts.append(f"SELECT * FROM s{number}.{table} WHERE {absent}")  # noqa: S608  # literals
        connection.execute(f"CREATE TEMP VIEW {table} AS {' UNION ALL '.join(parts)}")
    mounted = [number for number, store in enumerate(stores) if store.layers is not None]
    every = "SELECT * FROM main.layers"
    _view_layers(connection, "layers", {number: stores[number].link for number in mounted}, every)
    others = {number: "" for number in range(len(stores)) if number not in mounted}
    _view_layers(connection, "offered", others, f"{every} WHERE 0")


def _view_layers(
    connection: sqlite3.Connection, view: str, numbers: dict[int, str], first: str
) -> None:
    parts = [first]
    for number, link in numbers.items():
        columns = _COLUMNS.format(f"'{link}/' || directory")
        others = [other for other in numbers if other < number]
        above = _absent("chain_id", "layers", others, " WHERE state = 'ready'")
        parts.append(f"SELECT {columns} FROM s{number}.layers WHERE {above}")  # noqa: S608  # literals
    connection.execute(f"CREATE TEMP VIEW {view} AS {' UNION ALL '.join(parts)}")


def _absent(key: str, table: str, above: Iterable[int], condition: str = "") -> str:
    """Return the condition for rows that neither the store itself nor those ``above`` have."""
    names = ["main", *(f"s{number}" for number in above)]
    return " AND ".join(
        f"{key} NOT IN (SELECT {key} FROM {name}.{table}{condition})"  # noqa: S608  # literals
        for name in names
    )


def published_names(root: Path) -> list[str]:
    """Return the names of a store's published images."""
    with closing(
        sqlite3.connect(f"file:{quote(str(StoreLayout(root).published))}?immutable=1", uri=True)
    ) as db:
        return [row[0] for row in db.execute("SELECT name FROM names ORDER BY name")]


def publish(connection: sqlite3.Connection, staged: Path) -> None:
    """Write the images, and no other records, of a store into the new file ``staged``.

    Raises :class:`StorageError`.
    """
    try:
        connection.execute("ATTACH ? AS published", (f"file:{quote(os.fspath(staged))}",))
        try:
            connection.execute("PRAGMA published.journal_mode = OFF")
            for statement in _TABLES:
                connection.execute(
                    statement.replace("TABLE ", "TABLE published.").replace(
                        "INDEX ", "INDEX published."
                    )
                )
            for table, condition in (
                ("images", "1"),
                ("names", "1"),
                ("layers", "state = 'ready'"),
            ):
                connection.execute(
                    f"INSERT INTO published.{table}"  # noqa: S608  # literals
                    f" SELECT * FROM main.{table} WHERE {condition}"
                )
            connection.execute(f"PRAGMA published.user_version = {_FORMAT}")
        finally:
            connection.execute("DETACH published")
    except sqlite3.Error as error:
        raise database_error("publish the images", error) from error
