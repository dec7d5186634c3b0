"""Unfinished work: folders and files that belong to a process until they are renamed.

A name in the staging folder is ``<owner>.<random>`` (see :mod:`.owner`).  Entries of a dead owner
may be removed by anyone at any time.  Removal renames first: a tree disappears for other processes
in one step, however long deleting its files takes, and belongs to the process that deletes it.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress
from pathlib import Path

from jupyter_containers.lazy_modules import secrets
from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.owner import Owner
from jupyter_containers.trees import removal


class Staging:
    """The staging folder of a store; everything in it shares one file system with the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._deleting: list[threading.Thread] = []

    def name(self) -> Path:
        """Return a new path that belongs to this process, without creating it."""
        return self.folder / f"{Owner.current()}.{secrets.token_hex(6)}"

    def new_folder(self) -> Path:
        """Return a new empty folder, mode 0700, that belongs to this process."""
        path = self.name()
        with storage_errors("create a staging folder"):
            path.mkdir(mode=0o700)
        return path

    def owned(self, key: str) -> Path:
        """Return the path of this process's own entry ``key``, without creating it."""
        return self.folder / f"{Owner.current()}.{key}"

    def remove(self, path: Path) -> None:
        """Remove a file or tree of this file system; do nothing if the path does not exist."""
        trash = self._take_away(path)
        if trash is None:
            return
        with storage_errors(f"remove {path.name}"):
            try:
                removal.remove(trash)
            except KeyboardInterrupt:
                # Delete a renamed tree to the end; a sweep would find the rest otherwise.
                removal.remove(trash)
                raise

    def remove_soon(self, path: Path) -> None:
        """Remove a file or tree: hidden at once, deleted while this process continues.

        For small trees whose space is not needed at once.
        """
        trash = self._take_away(path)
        if trash is None:
            return

        def delete() -> None:
            # The sweep of a later process finds the undeletable rest, and reports it.
            with suppress(OSError):
                removal.remove(trash)

        thread = threading.Thread(target=delete, name="trash")
        self._deleting = [*(other for other in self._deleting if other.is_alive()), thread]
        thread.start()

    def finish(self) -> None:
        """Wait until all trees of :meth:`remove_soon` are deleted."""
        for thread in self._deleting:
            thread.join()

    def _take_away(self, path: Path) -> Path | None:
        trash = self.name()
        with storage_errors(f"remove {path.name}"):
            try:
                os.rename(path, trash)
            except FileNotFoundError:
                return None
        return trash

    def sweep(self) -> int:
        """Remove the entries of dead owners; return how many."""
        removed = 0
        for name in sorted(os.listdir(self.folder)):
            owner = Owner.parse(name.partition(".")[0])
            if owner is not None and not owner.alive:
                self.remove(self.folder / name)
                removed += 1
        return removed
