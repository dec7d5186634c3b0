"""Where unfinished work lives: folders and files that belong to a process until they are renamed.

A name in the staging folder is ``<owner>.<random>`` (see :mod:`.owner`).  What belongs to a dead
owner may be removed by anyone at any time.  Removal renames first: a tree is gone for everybody
else in one step, however long deleting its files takes, and belongs to the one who deletes it.
"""

from __future__ import annotations

import os
import secrets
import threading
from contextlib import suppress
from pathlib import Path

from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.owner import Owner
from jupyter_containers.trees import removal


class Staging:
    """The staging folder of a store; everything in it shares one file system with the rest."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._deleting: list[threading.Thread] = []

    def name(self) -> Path:
        """Return a new path that belongs to this process; nothing is created."""
        return self.folder / f"{Owner.current()}.{secrets.token_hex(6)}"

    def new_folder(self) -> Path:
        """Return a new empty folder, mode 0700, that belongs to this process."""
        path = self.name()
        with storage_errors("create a staging folder"):
            path.mkdir(mode=0o700)
        return path

    def owned(self, key: str) -> Path:
        """Return the path of this process's own entry ``key``; nothing is created."""
        return self.folder / f"{Owner.current()}.{key}"

    def remove(self, path: Path) -> None:
        """Remove a file or tree of this file system; a path that is not there is fine."""
        trash = self._take_away(path)
        if trash is None:
            return
        with storage_errors(f"remove {path.name}"):
            try:
                removal.remove(trash)
            except KeyboardInterrupt:
                # What was taken away is deleted to the end; a sweep would find it otherwise.
                removal.remove(trash)
                raise

    def remove_soon(self, path: Path) -> None:
        """Remove a file or tree: gone at once for everybody, deleted while this process goes on.

        For small trees of which nobody waits for the space.
        """
        trash = self._take_away(path)
        if trash is None:
            return

        def delete() -> None:
            # A later process's sweep meets again what cannot be deleted, and says so.
            with suppress(OSError):
                removal.remove(trash)

        thread = threading.Thread(target=delete, name="trash")
        self._deleting = [*(other for other in self._deleting if other.is_alive()), thread]
        thread.start()

    def finish(self) -> None:
        """Return when what was to be removed soon is deleted."""
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
        """Remove what dead owners left; return how many entries."""
        removed = 0
        for name in sorted(os.listdir(self.folder)):
            owner = Owner.parse(name.partition(".")[0])
            if owner is not None and not owner.alive:
                self.remove(self.folder / name)
                removed += 1
        return removed
