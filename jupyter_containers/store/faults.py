"""The border between the operating system's errors and ours."""

from __future__ import annotations

import errno
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

from jupyter_containers.errors import StorageError

_REASONS = {
    errno.ENOSPC: ("disk full", "free space, or remove what is unused with prune"),
    errno.EDQUOT: ("disk quota used up", "free space, or remove what is unused with prune"),
    errno.EROFS: ("file system is read-only", "point the engine's root at a writable folder"),
    errno.EACCES: ("permission denied", "the engine's root must belong to you"),
    errno.EPERM: ("operation not permitted", ""),
    errno.EMFILE: ("too many open files", "raise the limit: ulimit -n"),
    errno.EIO: ("the disk reports an error", "check the disk and the kernel log"),
}


def storage_error(what: str, error: OSError) -> StorageError:
    """Return the error that tells a person what the disk refused."""
    reason, hint = _REASONS.get(error.errno or 0, (error.strerror or str(error), ""))
    return StorageError(f"cannot {what}: {reason}", hint=hint)


def database_error(what: str, error: sqlite3.Error) -> StorageError:
    """Return the error that tells a person what the record database refused."""
    code = getattr(error, "sqlite_errorname", "") or ""
    if code.startswith("SQLITE_FULL"):
        return StorageError(f"cannot {what}: disk full", hint=_REASONS[errno.ENOSPC][1])
    if code.startswith("SQLITE_BUSY"):
        return StorageError(
            f"cannot {what}: another process holds the records", hint="try again in a moment"
        )
    return StorageError(f"cannot {what}: {error}")


_PATIENCE_SECONDS = 0.5


@contextmanager
def finishing(clean_up: Callable[[], object]) -> Iterator[None]:
    """Call ``clean_up`` after the block, whatever happens in it.

    Where the block failed, a :class:`StorageError` of the clean-up (a full disk often causes both)
    does not take the place of its error: the sweep does later what could not be done now.  It is
    tried for half a second, because the kernel gives back the room of a mount a moment after.
    """
    try:
        yield
    except BaseException:
        with suppress(StorageError):
            _patiently(clean_up)
        raise
    clean_up()


def _patiently(clean_up: Callable[[], object]) -> None:
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
def storage_errors(what: str) -> Iterator[None]:
    """Turn an :class:`OSError` of the block into ``StorageError("cannot <what>: …")``."""
    try:
        yield
    except OSError as error:
        raise storage_error(what, error) from error
