"""The usage of one user over all stores known to this machine, for limits per user.

A user may have several stores (the setting ``root``).  Where limits are set, every engine notes its
root in a folder of the user and counts the contents of the others.  The location of that folder
comes from the machine's list of users, not from a variable.  The folder belongs to the user, who
can empty it with another program; the engine cannot prevent that (docs/reference/lab-file.md).
"""

from __future__ import annotations

import fcntl
import os
import pwd
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import ContainersError, StorageError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.options import RunOptions
from jupyter_containers.store import Store
from jupyter_containers.store.uppers import tree_size

_NAME = "jupyter-containers-roots"
_SHARED = Path("/var/tmp")  # the folder's owner is checked

# Counted by their records instead, or reclaimed when the disk is full.
_NOT_COUNTED = ("layers", "content", "reserve")


@dataclass(frozen=True, slots=True)
class Elsewhere:
    """A user's other stores: their bytes, and the options of running containers by root."""

    disk: int = 0
    running: tuple[tuple[Path, RunOptions], ...] = ()

    @property
    def roots(self) -> str:
        """The folders of the stores with running containers, as text."""
        return ", ".join(dict.fromkeys(str(root) for root, _ in self.running))


@dataclass(frozen=True, slots=True)
class KnownRoots:
    """The roots of one user's stores, noted in ``folder``, which belongs to that user."""

    folder: Path

    @classmethod
    def of(cls, uid: int) -> KnownRoots:
        """Return a user's roots, noted in the home of passwd(5), or below /var/tmp without one."""
        try:
            home = Path(pwd.getpwuid(uid).pw_dir)
        except (KeyError, OverflowError):
            home = Path("/nonexistent")
        with suppress(OSError):
            if home.stat().st_uid == os.geteuid() and os.access(home, os.W_OK):
                return cls(home / f".{_NAME}")
        return cls(_SHARED / f"{_NAME}-{uid}")

    def note(self, root: Path) -> None:
        """Note a root; raise :class:`StorageError` if the folder belongs to another user."""
        real = os.fsencode(os.path.realpath(root))
        entry = hashlib.sha256(real).hexdigest()[:32]
        try:
            with suppress(FileExistsError):
                self.folder.mkdir(mode=0o700)
            state = self.folder.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
                raise StorageError(
                    f"{self.folder} does not belong to you, but records your stores",
                    hint=f"as root: rm -r {self.folder}",
                )
            if not (self.folder / entry).exists():
                staged = self.folder / f".{entry}.{os.getpid()}"
                staged.write_bytes(real)
                staged.rename(self.folder / entry)
        except OSError as error:
            raise StorageError(f"cannot record the store in {self.folder}: {error}") from error

    def others(self, root: Path) -> list[Path]:
        """Return the user's other existing roots, sorted."""
        own = os.path.realpath(root)
        found: set[str] = set()
        with suppress(OSError):
            for entry in self.folder.iterdir():
                with suppress(OSError):
                    if not entry.name.startswith("."):
                        found.add(os.fsdecode(entry.read_bytes()))
        return [Path(each) for each in sorted(found - {own}) if Path(each, "records.db").exists()]

    @contextmanager
    def held(self) -> Iterator[None]:
        """Let one of the user's engines at a time count and start."""
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def elsewhere(self, root: Path) -> Elsewhere:
        """Return the contents of the user's other stores."""
        disk = 0
        running: list[tuple[Path, RunOptions]] = []
        for each in self.others(root):
            try:
                with Store.open(each) as store:
                    disk += store_size(store)
                    running += [(each, options) for options in _running(store)]
            except ContainersError:
                disk += tree_size(each)  # damaged, or of another version
        return Elsewhere(disk, tuple(running))


def store_size(store: Store) -> int:
    """Return the bytes that a store's images, containers, volumes and caches take."""
    layers = sum(layer.size for layer in store.snapshots.layers.all())
    blobs = store.collector.size_of(store.content.digests())
    folders = [each for each in store.root.iterdir() if each.name not in _NOT_COUNTED]
    return layers + blobs + sum(tree_size(folder) for folder in folders if folder.is_dir())


def _running(store: Store) -> list[RunOptions]:
    """Return the options of running containers; skip those whose processes ended with a boot."""
    records = store.records.collection("containers", ContainerRecord).all()
    return [
        record.options
        for record in records
        if record.state.status.alive
        and any(
            process is not None and process.alive
            for process in (record.state.process, record.state.monitor)
        )
    ]
