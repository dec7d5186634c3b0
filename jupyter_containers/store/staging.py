"""Where unfinished work lives: folders and files that belong to a process until they are renamed.

A name in the staging folder is ``<owner>.<random>`` (see :mod:`.owner`).  What belongs to a dead
owner may be removed by anyone at any time.  Removal renames first: a tree is gone for everybody
else in one step, however long deleting its files takes, and belongs to the one who deletes it.
"""

from __future__ import annotations

import os
import secrets
import stat
import threading
from contextlib import suppress
from pathlib import Path

from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.owner import Owner


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
                remove_tree(trash)
            except KeyboardInterrupt:
                # What was taken away is deleted to the end; a sweep would find it otherwise.
                remove_tree(trash)
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
                remove_tree(trash)

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


def remove_tree(path: Path) -> None:
    """Delete a file or a tree, however deep; missing parts are fine, links are not followed.

    Folders move up beside each other before they are emptied, so neither recursion nor the
    kernel's limit on path names plays a part.
    """
    try:
        if not stat.S_ISDIR(path.lstat().st_mode):
            path.unlink()
            return
    except FileNotFoundError:
        return
    pool = path / f"pool.{secrets.token_hex(6)}"
    _open_up(path)
    with suppress(FileNotFoundError):
        pool.mkdir(mode=0o700)
        todo = [path]
        while todo:
            folder = todo.pop()
            _empty(folder, pool, todo)
            if folder != path:
                folder.rmdir()
        pool.rmdir()
        path.rmdir()


def _empty(folder: Path, pool: Path, todo: list[Path]) -> None:
    with os.scandir(folder) as found:
        entries = list(found)
    for entry in entries:
        try:
            if not entry.is_dir(follow_symlinks=False):
                os.unlink(entry.path)
            elif entry.path != os.fspath(pool):
                _open_up(Path(entry.path))
                target = pool / secrets.token_hex(6)
                os.rename(entry.path, target)
                todo.append(target)
        except FileNotFoundError:
            continue  # a second attempt may follow an interrupted one


def _open_up(folder: Path) -> None:
    """Give ourselves access; root has it anyway."""
    if os.geteuid() != 0:
        with suppress(FileNotFoundError):
            folder.chmod(0o700)
