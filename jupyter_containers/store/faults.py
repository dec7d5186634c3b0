"""Converts the operating system's errors to :class:`StorageError`."""

from __future__ import annotations

import errno
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_containers.errors import (
    DiskFullError,
    ReadOnlyStoreError,
    StorageError,
    UnreadableRecordsError,
)

_REASONS = {
    errno.ENOSPC: ("disk full", "free space, or remove what is unused with prune"),
    errno.EDQUOT: ("disk quota used up", "free space, or remove what is unused with prune"),
    errno.EROFS: ("file system is read-only", "point the engine's root at a writable folder"),
    errno.EACCES: ("permission denied", "the engine's root must belong to you"),
    errno.EPERM: ("operation not permitted", ""),
    errno.EMFILE: ("too many open files", "raise the limit: ulimit -n"),
    errno.EIO: ("the disk reports an error", "check the disk and the kernel log"),
}


_CLASSES: dict[int, type[StorageError]] = {
    errno.ENOSPC: DiskFullError,
    errno.EDQUOT: DiskFullError,
    errno.EROFS: ReadOnlyStoreError,
}
_PAGES = 64 * 1024


def storage_error(what: str, error: OSError) -> StorageError:
    """Return the typed error for an ``OSError`` of the disk: ``cannot <what>: <reason>``."""
    number = error.errno or 0
    reason, hint = _REASONS.get(number, (error.strerror or str(error), ""))
    return _CLASSES.get(number, StorageError)(f"cannot {what}: {reason}", hint=hint)


def database_error(what: str, error: sqlite3.Error, path: Path | None = None) -> StorageError:
    """Return the error to raise for a refusal of the record database.

    ``path`` is the database: SQLite reports an I/O error if its shared memory finds no room.
    """
    code = getattr(error, "sqlite_errorname", "") or ""
    room = code.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN")) and path is not None
    if code.startswith("SQLITE_FULL") or (room and path is not None and is_full(path.parent)):
        return DiskFullError(f"cannot {what}: disk full", hint=_REASONS[errno.ENOSPC][1])
    if code.startswith("SQLITE_READONLY") or (room and path is not None and is_read_only(path)):
        reason, hint = _REASONS[errno.EROFS]
        return ReadOnlyStoreError(f"cannot {what}: {reason}", hint=hint)
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) and path is not None:
        return UnreadableRecordsError(
            f"cannot {what}: {path} is damaged ({error})",
            hint="system check --repair makes new records from the existing images and volumes,"
            " without containers; system reset --force removes everything",
            path=str(path),
        )
    if code.startswith("SQLITE_BUSY"):
        return StorageError(
            f"cannot {what}: another process holds the records", hint="try again in a moment"
        )
    return StorageError(f"cannot {what}: {error}")


def is_full(folder: Path) -> bool:
    """Return whether a file system has no free block or inode for this process."""
    try:
        state = os.statvfs(folder)
    except OSError:
        return False
    # A page of the database's shared memory needs the most room.
    return state.f_bavail * state.f_frsize < _PAGES or (state.f_files > 0 and state.f_favail == 0)


def is_read_only(path: Path) -> bool:
    """Return whether the file system of a path is mounted read-only."""
    try:
        return bool(os.statvfs(path.parent).f_flag & os.ST_RDONLY)
    except OSError:
        return False


_PATIENCE_SECONDS = 0.5


@contextmanager
def finishing(clean_up: Callable[[], object]) -> Iterator[None]:
    """Call ``clean_up`` after the block, whether or not it raises.

    If the block failed, a :class:`StorageError` of the clean-up (a full disk often causes both)
    does not replace the block's error: the sweep finishes the clean-up later.  The clean-up is
    retried for half a second, because the kernel frees the room of a mount a moment later.
    """
    try:
        yield
    except BaseException:
        with suppress(StorageError):
            _retry(clean_up)
        raise
    clean_up()


def _retry(clean_up: Callable[[], object]) -> None:
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            clean_up()
            return
        except StorageError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)


@contextmanager
def tolerated() -> Iterator[None]:
    """Postpone housekeeping if the disk is full or read-only: no user requested it now."""
    with suppress(DiskFullError, ReadOnlyStoreError):
        yield


@contextmanager
def storage_errors(what: str) -> Iterator[None]:
    """Raise an :class:`OSError` of the block as ``StorageError("cannot <what>: …")``."""
    try:
        yield
    except OSError as error:
        raise storage_error(what, error) from error
