"""Named locks between processes and threads: one ``flock`` on a file for each name.

The kernel releases a lock with its process, so there is nothing to repair after a SIGKILL.  The
holder unlinks the file before it releases the lock; a process that then locks an unlinked file
notices that and opens the new one.  Locks are not reentrant.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.events import CancelToken
from jupyter_containers.store.faults import storage_errors

_POLL_SECONDS = 0.05


class Locks:
    """The locks in one folder."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @contextmanager
    def hold(self, name: str, cancel: CancelToken | None = None) -> Iterator[bool]:
        """Hold the lock ``name``; yield True if another holder had it before.

        Checks ``cancel`` every 50 ms while it waits.  Raises
        :class:`~jupyter_containers.errors.OperationCancelledError` or
        :class:`~jupyter_containers.errors.StorageError`.
        """
        token = cancel or CancelToken()
        path = self._folder / name
        descriptor, waited = -1, False
        try:
            while descriptor < 0:
                descriptor = self._attempt(path)
                if descriptor < 0:
                    waited = True
                    token.wait(_POLL_SECONDS)
                    token.check()
            yield waited
        finally:
            if descriptor >= 0:
                _release(path, descriptor)

    @contextmanager
    def attempt(self, name: str) -> Iterator[bool]:
        """Hold the lock ``name`` if it is free; yield whether it is held."""
        path = self._folder / name
        descriptor = self._attempt(path)
        try:
            yield descriptor >= 0
        finally:
            if descriptor >= 0:
                _release(path, descriptor)

    def sweep(self) -> int:
        """Remove the files of free locks; return how many."""
        removed = 0
        for name in os.listdir(self._folder):
            descriptor = self._attempt(self._folder / name)
            if descriptor >= 0:
                _release(self._folder / name, descriptor)
                removed += 1
        return removed

    def _attempt(self, path: Path) -> int:
        """Return a locked descriptor, or -1 if the lock is taken."""
        with storage_errors(f"lock {path.name}"):
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            locked = False
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                locked = _same_file(path, descriptor)
            except OSError as error:
                if error.errno not in (errno.EAGAIN, errno.EACCES):
                    raise
            finally:
                if not locked:
                    os.close(descriptor)
            return descriptor if locked else -1


def _release(path: Path, descriptor: int) -> None:
    try:
        if _same_file(path, descriptor):
            path.unlink(missing_ok=True)
    except OSError:
        # A remaining lock file is swept later; the lock itself is released with the descriptor.
        pass
    finally:
        os.close(descriptor)


def _same_file(path: Path, descriptor: int) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
