"""Removes trees of any depth that may change at the same time."""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from pathlib import Path

from jupyter_containers.trees import at
from jupyter_containers.trees.walk import walk

_ATTEMPTS = 4


def remove_tree(directory: int, name: at.Name) -> None:
    """Remove an entry of an open directory and all below it; ignore entries that vanish.

    Raises :class:`OSError`, with ``ENOTEMPTY`` if another process keeps filling the tree.
    """
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            with suppress(FileNotFoundError):
                _remove(directory, name)
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.ENOTDIR) or attempt == _ATTEMPTS:
                raise
        else:
            return


def remove(path: Path | str) -> None:
    """Remove a file or tree by its path, in a folder of the engine's own."""
    folder, name = os.path.split(os.fspath(path))
    with suppress(FileNotFoundError):
        directory = os.open(folder or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            remove_tree(directory, name)
        finally:
            os.close(directory)


def _remove(directory: int, name: at.Name) -> None:
    if not stat.S_ISDIR(at.stat(directory, name).st_mode):
        at.unlink(directory, name)
        return
    _open_up(directory, name)
    with at.folder(directory, name) as top:
        for found in walk(top, _remove_folder):
            with suppress(FileNotFoundError):
                if stat.S_ISDIR(found.status.st_mode):
                    _open_up(found.directory, found.name)
                else:
                    at.unlink(found.directory, found.name)
    at.rmdir(directory, name)


def _remove_folder(parent: int, name: bytes) -> None:
    with suppress(FileNotFoundError):
        at.rmdir(parent, name)


def _open_up(directory: int, name: at.Name) -> None:
    """Give this process access to a folder; root does not need it."""
    if os.geteuid() != 0:
        at.chmod(directory, name, 0o700)
