"""The folders of ``RUN --mount=type=cache``: kept between builds, never part of a layer.

A cache is identified by its id, its initial source, and the requested owner and mode.  Lifecycle:
created aside → renamed into place → *held* by the steps that use it → pruned when no step holds it.
A user of a cache holds a shared ``flock`` on its folder, which the kernel releases if the process
dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.naming import step_name
from jupyter_containers.errors import StorageError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.store.uppers import tree_size
from jupyter_containers.trees.owners import give

if TYPE_CHECKING:
    from jupyter_containers.build.seams import StepMount

MOUNT_KEY = "mount:"
Fill = Callable[[Path], None]


class CacheMounts:
    """The cache folders of one store."""

    def __init__(self, engine_context: EngineContext) -> None:
        self._engine_context = engine_context
        self._folder = engine_context.settings.layout.cache_mounts

    @contextmanager
    def hold(self, mount: StepMount, fill: Fill | None, cancel: CancelToken) -> Iterator[Path]:
        """Yield the folder of a cache mount; ``fill`` writes the initial contents of a new one.

        ``locked`` waits until no other step uses the cache; ``private`` gives the cache to the
        first step, and a temporary folder to steps that run at the same time.
        """
        key = "\0".join((mount.cache_id, mount.chain_id or "", mount.source))
        key += mount.variant and f"\0{mount.variant}"
        name, locks = (
            hashlib.sha256(key.encode()).hexdigest()[:32],
            self._engine_context.store.locks,
        )
        self._engine_context.store.records.cache_use(MOUNT_KEY + name, mount.cache_id.encode())
        if mount.sharing == "locked":
            with locks.hold(f"cache-{name}", cancel), self._locked(name, mount, fill) as folder:
                yield folder
        elif mount.sharing == "private":
            with locks.attempt(f"cache-{name}") as first:
                chosen = name if first else f"{name}-{step_name()}"
                try:
                    with self._locked(chosen, mount, fill) as folder:
                        yield folder
                finally:
                    if not first:
                        self._engine_context.store.remove_tree(self._folder / chosen)
        else:
            with self._locked(name, mount, fill) as folder:
                yield folder

    @contextmanager
    def _locked(self, name: str, mount: StepMount, fill: Fill | None) -> Iterator[Path]:
        folder = self._folder / name
        try:
            descriptor = self._open(folder, mount, fill)
        except OSError as error:
            raise StorageError(f"cannot create a build cache: {error.strerror}") from error
        try:
            yield folder
        finally:
            os.close(descriptor)

    def _open(self, folder: Path, mount: StepMount, fill: Fill | None) -> int:
        """Return a descriptor of the folder, created if missing, with a shared lock."""
        while True:
            try:
                descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            except FileNotFoundError:
                self._make(folder, mount, fill)
                continue
            fcntl.flock(descriptor, fcntl.LOCK_SH)
            if _is_at(descriptor, folder):
                return descriptor
            os.close(descriptor)  # pruned between opening and locking

    def _make(self, folder: Path, mount: StepMount, fill: Fill | None) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        snapshots, key = self._engine_context.store.snapshots, step_name()
        # Created in the staging folder, so that a sweep removes what a dead process leaves there.
        upper = snapshots.prepare(key, transient=True)
        try:
            upper.chmod(mount.mode)
            give(upper, mount.uid, mount.gid)
            if fill is not None:
                fill(upper)
            if not folder.exists():
                os.rename(upper, folder)
        finally:
            snapshots.discard(key)

    def all(self) -> list[tuple[Path, bool]]:
        """Return all cache folders, and for each whether a step uses it."""
        found = []
        for folder in sorted(self._folder.iterdir()) if self._folder.is_dir() else ():
            with _exclusive(folder) as free:
                found.append((folder, not free))
        return found

    def size(self) -> tuple[int, int]:
        """Return the bytes of all caches, and of the unused ones."""
        sizes = self.sizes()
        return sum(size for _, size, _ in sizes), sum(size for _, size, used in sizes if not used)

    def sizes(self) -> list[tuple[Path, int, bool]]:
        """Return all cache folders with their bytes, and whether a step uses them."""
        return [(folder, tree_size(folder), used) for folder, used in self.all()]

    def remove(self, name: str) -> int:
        """Remove a cache unless a step uses it; return the bytes freed."""
        folder = self._folder / name
        with _exclusive(folder) as free:
            if not free:
                return 0
            freed = tree_size(folder)
            self._engine_context.store.remove_tree(folder)
            self._engine_context.store.records.cache_delete(MOUNT_KEY + name)
            return freed


@contextmanager
def _exclusive(folder: Path) -> Iterator[bool]:
    """Yield True, while no step can start to use the folder; False if one uses it."""
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except FileNotFoundError:
        yield False
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
            return
        yield _is_at(descriptor, folder)
    finally:
        os.close(descriptor)


def _is_at(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.stat(path), os.fstat(descriptor))
    except FileNotFoundError:
        return False
