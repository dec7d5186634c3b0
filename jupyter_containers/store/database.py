"""The record database: one SQLite file, one connection in each process, short transactions.

``records.db`` is in WAL mode with ``synchronous=NORMAL``: a SIGKILL loses nothing that was
committed; a power cut may lose the last commits but never damages the file.  That is enough,
because records only refer to content that was made durable before, and content without a record is
found and removed by garbage collection.  In return a commit costs microseconds instead of a disk
flush.

A forked process opens its own connection on first use; the parent's is never touched.

If the file system is not writable (full, in spite of the :mod:`.reserve`, or read-only), the
records can still be read (:mod:`.readonly`); a transaction raises the reason.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from jupyter_containers.errors import DiskFullError, ReadOnlyStoreError, StorageError
from jupyter_containers.store.damage import SetAside
from jupyter_containers.store.faults import database_error, storage_errors
from jupyter_containers.store.readonly import open_to_read
from jupyter_containers.store.reserve import Reserve

if TYPE_CHECKING:
    from jupyter_containers.store.additional import AdditionalStore

SCHEMA_VERSION = 2
BUSY_SECONDS = 30.0
_RETRY_SECONDS = 0.5

# One entry for each schema version, applied in order from the file's version upwards.
_MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE images (
            manifest_digest TEXT PRIMARY KEY, config_digest TEXT NOT NULL, value BLOB NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX images_by_config ON images (config_digest)",
        """CREATE TABLE names (
            name TEXT PRIMARY KEY, manifest_digest TEXT NOT NULL, target_digest TEXT NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX names_by_manifest ON names (manifest_digest)",
        """CREATE TABLE documents (
            collection TEXT NOT NULL, id TEXT NOT NULL, name TEXT, value BLOB NOT NULL,
            PRIMARY KEY (collection, id)
        )""",
        "CREATE UNIQUE INDEX documents_by_name ON documents (collection, name)",
        """CREATE TABLE cache (
            key TEXT PRIMARY KEY, value BLOB NOT NULL, chain_id TEXT NOT NULL,
            created REAL NOT NULL, used REAL NOT NULL
        ) WITHOUT ROWID""",
        """CREATE TABLE blob_sources (
            digest TEXT NOT NULL, registry TEXT NOT NULL, repository TEXT NOT NULL,
            PRIMARY KEY (digest, registry, repository)
        ) WITHOUT ROWID""",
        """CREATE TABLE layers (
            chain_id TEXT PRIMARY KEY, parent TEXT NOT NULL, diff_id TEXT NOT NULL,
            directory TEXT NOT NULL UNIQUE, state TEXT NOT NULL, owner TEXT NOT NULL,
            size INTEGER NOT NULL, entries INTEGER NOT NULL, blob BLOB NOT NULL,
            created REAL NOT NULL
        ) WITHOUT ROWID""",
        "CREATE INDEX layers_by_parent ON layers (parent)",
        """CREATE TABLE leases (
            lease TEXT NOT NULL, owner TEXT NOT NULL, resource TEXT NOT NULL,
            PRIMARY KEY (lease, resource)
        ) WITHOUT ROWID""",
        "CREATE INDEX leases_by_resource ON leases (resource)",
        "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    ),
    (
        """CREATE TABLE journal (
            sequence INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL, type TEXT NOT NULL,
            action TEXT NOT NULL, id TEXT NOT NULL, attributes BLOB NOT NULL
        )""",
    ),
)


class _Handle:
    """A connection and the lock that its threads share, in the process that opened it."""

    def __init__(self, connection: sqlite3.Connection, refused: StorageError | None = None) -> None:
        self.pid = os.getpid()
        self.lock = threading.RLock()
        self.depth = 0
        self.seen: tuple[tuple[int, int], ...] = ()
        self.connection = connection
        # Why nothing can be written, and when that was found.
        self.refused = refused
        self.opened = time.monotonic()
        # A damaged text must not fail a query of all rows.
        connection.text_factory = partial(str, encoding="utf-8", errors="surrogateescape")


class Database:
    """The open record database; thread-safe, usable after a fork.

    ``additional`` are stores whose images can be read too, see :mod:`.additional`. ``reserve`` is
    released when the disk is full.
    """

    def __init__(
        self,
        path: Path,
        additional: Sequence[AdditionalStore] = (),
        reserve: Reserve | None = None,
    ) -> None:
        self.path = path
        self.additional = tuple(additional)
        self.set_aside = SetAside()
        self._reserve = reserve
        self._abandoned: list[_Handle] = []
        self._handle: _Handle | None = self._open()

    def close(self) -> None:
        """Close this process's connection; later use raises :class:`StorageError`."""
        handle, self._handle = self._handle, None
        if handle is not None and handle.pid == os.getpid():
            with handle.lock:
                handle.connection.close()

    @contextmanager
    def transaction(self, what: str) -> Iterator[sqlite3.Connection]:
        """Run the block as one write transaction, begun at once; commit all of it or nothing.

        A nested block of the same thread joins the outer one.  Raises :class:`StorageError`
        (``cannot <what>: …``).
        """
        handle = self._current()
        with handle.lock:
            if handle.depth:
                yield handle.connection
                return
            if handle.refused is not None:
                handle = self._reopen(handle)
            if handle.refused is not None:
                raise type(handle.refused)(handle.refused.message, hint=handle.refused.hint)
            if self._reserve is not None:
                self._reserve.ensure()
            try:
                handle.connection.execute("BEGIN IMMEDIATE")
                handle.depth = 1
                yield handle.connection
                handle.connection.execute("COMMIT")
            except sqlite3.Error as error:
                raise self._transaction_error(what, error) from error
            finally:
                handle.depth = 0
                if handle.connection.in_transaction:
                    handle.connection.execute("ROLLBACK")

    def _transaction_error(self, what: str, error: sqlite3.Error) -> StorageError:
        """Return the error of a transaction; after a full disk, make room for the next one."""
        failure = database_error(what, error, self.path)
        if isinstance(failure, DiskFullError) and self._reserve is not None:
            self._reserve.give_up()
        return failure

    def query(self, statement: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Return all rows of a SELECT."""
        handle = self._current()
        try:
            with handle.lock:
                return handle.connection.execute(statement, values).fetchall()
        except sqlite3.Error as error:
            raise database_error("read the records", error, self.path) from error

    def rebuild_indexes(self) -> None:
        """Rewrite the file from its tables."""
        handle = self._current()
        try:
            with handle.lock:
                handle.connection.execute("REINDEX main")
                handle.connection.execute("VACUUM main")
        except sqlite3.Error as error:
            raise database_error("rebuild the records", error, self.path) from error

    def start_over(self) -> None:
        """Put a damaged file aside and begin with an empty one.

        Raises :class:`StorageError` for a sound file: an additional store may be the damaged one.
        """
        handle = self._current()
        with handle.lock:
            put_aside(self.path)
            handle.connection.close()
            self._handle = self._open()

    def publish(self, staged: Path) -> None:
        """Write the part that other stores may read into the new file ``staged``."""
        from jupyter_containers.store.additional import publish

        handle = self._current()
        with handle.lock:
            publish(handle.connection, staged)

    def _current(self) -> _Handle:
        handle = self._handle
        if handle is None:
            raise StorageError("the store is closed")
        if handle.pid != os.getpid():
            # Closing the parent's connection here would release the parent's file locks.
            self._abandoned.append(handle)
            handle = self._handle = self._open()
        elif handle.refused is not None and time.monotonic() > handle.opened + _RETRY_SECONDS:
            handle = self._reopen(handle)
        if self.additional:
            self._refresh_additional(handle)
        return handle

    def _reopen(self, handle: _Handle) -> _Handle:
        """Reopen a database that could only be read: there may be room now."""
        with handle.lock:
            if self._handle is handle:
                self._handle = self._open()
                # Another thread may be about to read from it; no thread reads from earlier ones.
                ours = [other for other in self._abandoned if other.pid == handle.pid]
                for other in ours:
                    other.connection.close()
                    self._abandoned.remove(other)
                self._abandoned.append(handle)
            return self._handle or handle

    def _refresh_additional(self, handle: _Handle) -> None:
        """Attach the current state of the additional stores if it changed, between transactions."""
        from jupyter_containers.store.additional import attach, fingerprint

        with handle.lock:
            if handle.depth:
                return
            now = fingerprint(self.additional)
            if now != handle.seen:
                try:
                    attach(handle.connection, self.additional)
                except sqlite3.Error as error:
                    raise database_error("read the additional stores", error) from error
                handle.seen = now

    def _open(self) -> _Handle:
        while True:
            try:
                return self._open_writable()
            except DiskFullError as error:
                if self._reserve is None or not self._reserve.give_up():
                    return _Handle(open_to_read(self.path, error), error)
            except ReadOnlyStoreError as error:
                return _Handle(open_to_read(self.path, error), error)

    def _open_writable(self) -> _Handle:
        try:
            connection = sqlite3.connect(
                f"file:{quote(os.fspath(self.path))}",
                timeout=BUSY_SECONDS,
                isolation_level=None,
                check_same_thread=False,
                uri=True,
            )
        except sqlite3.Error as error:
            raise database_error("open the records", error, self.path) from error
        try:
            with storage_errors("open the records"):
                os.chmod(self.path, 0o600)
            connection.execute(f"PRAGMA busy_timeout = {int(BUSY_SECONDS * 1000)}")
            _use_wal(connection)
            connection.execute("PRAGMA synchronous = NORMAL")
            _migrate(connection, self.path)
        except sqlite3.Error as error:
            connection.close()
            raise database_error("open the records", error, self.path) from error
        except BaseException:
            connection.close()
            raise
        return _Handle(connection)


def put_aside(path: Path) -> Path:
    """Rename a damaged database to ``….damaged`` and return its new path.

    Raises :class:`StorageError` for a sound file.
    """
    if not damage_of(path):
        raise StorageError(
            f"{path} is not damaged", hint="an image store named by additional_stores may be"
        )
    damaged = path.with_name(f"{path.name}.damaged")
    with storage_errors(f"put {path.name} aside"):
        for end in ("-wal", "-shm"):
            path.with_name(path.name + end).unlink(missing_ok=True)
        path.rename(damaged)
    return damaged


def damage_of(path: Path) -> list[str]:
    """Return the damage that SQLite finds in a database file; nothing if it is sound."""
    try:
        with closing(sqlite3.connect(f"file:{quote(os.fspath(path))}?mode=rw", uri=True)) as opened:
            rows = opened.execute("PRAGMA quick_check(10)").fetchall()
    except sqlite3.OperationalError:
        return []  # it could not be checked
    except sqlite3.DatabaseError as error:
        return [str(error)]
    return [str(row[0]) for row in rows if row[0] != "ok"]


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL; the switch ignores busy_timeout, so wait for other processes here."""
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL")
        except sqlite3.OperationalError as error:
            code = getattr(error, "sqlite_errorname", "") or ""
            if not code.startswith("SQLITE_BUSY") or time.monotonic() > deadline:
                raise
            time.sleep(0.005)
        else:
            return


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version == SCHEMA_VERSION:
        return
    connection.execute("BEGIN IMMEDIATE")
    try:
        # Another process may have migrated while this one waited for the transaction.
        version = connection.execute("PRAGMA user_version").fetchone()[0]
        if version > SCHEMA_VERSION:
            raise StorageError(
                f"the records in {path.parent} were written by a newer version (schema {version})",
                hint="upgrade jupyter-containers-engine, or use another root",
            )
        for statements in _MIGRATIONS[version:]:
            for statement in statements:
                connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION}")
        connection.execute("COMMIT")
    finally:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
