"""Files and folders that take the place of others in a copied root file system, for one step.

They serve as mounts where nothing can be mounted.  Lifecycle: :meth:`StandIns.put`, outer targets
first → :meth:`StandIns.seal` → the step runs → :meth:`StandIns.take_away`.  Then every entry that
was in place before is back, and unless the step changed them, it and its directory count as
unchanged: no layer has a trace.

The step may move or replace anything.  The directories are therefore held open, and each act is on
one name in them.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store.copies import Note, await_clock_tick, mark
from jupyter_containers.trees import at
from jupyter_containers.trees.linux import O_PATH
from jupyter_containers.trees.rooted import Root

Identity = tuple[int, int]


@dataclass(slots=True)
class _Parent:
    """A directory with stand-ins: its status before, and its mark when the step starts."""

    descriptor: int
    path: bytes
    before: os.stat_result
    sealed: tuple[int, int] = (0, 0)


@dataclass(slots=True)
class _StandIn:
    """One entry; ``home`` is the path to which it returns, ``hidden`` the name of the original."""

    parent: _Parent
    name: bytes
    path: bytes
    identity: Identity
    home: Path | None
    hidden: str = ""
    original: os.stat_result | None = None
    sealed: tuple[int, int] = (0, 0)


class StandIns:
    """The stand-ins of one step; ``folder`` is empty and on the file system of ``rootfs``."""

    def __init__(self, rootfs: Path, folder: Path, note: Note) -> None:
        self._rootfs, self._folder, self._note = rootfs, folder, note
        self._parents: dict[Identity, _Parent] = {}
        self._items: list[_StandIn] = []
        self._aside = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def put(self, source: Path, target: str, *, home: Path | None = None) -> None:
        """Move ``source`` to ``target`` inside the root, over a missing or an existing entry.

        With ``home`` it returns there afterwards, with all changes; else it is removed.
        """
        with Root(self._rootfs) as root:
            path = root.resolve(target)
            folder = path.rpartition("/")[0]
            root.make_folders(folder, 0o755, 0, 0)
            parent = self._parent(root, folder)
        name = os.fsencode(path.rpartition("/")[2])
        original = at.look(parent.descriptor, name)
        status = os.lstat(source)
        item = _StandIn(parent, name, b"/" + os.fsencode(path), _identity(status), home)
        if original is not None:
            item.hidden, item.original = f"hidden{len(self._items)}", original
            at.rename(parent.descriptor, name, self._aside, item.hidden)
        self._items.append(item)
        with _opened(source.parent) as directory:
            at.rename(directory, source.name, parent.descriptor, name)

    def _parent(self, root: Root, path: str) -> _Parent:
        descriptor = root.open_path(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        state = os.fstat(descriptor)
        known = self._parents.get(_identity(state))
        if known is not None:
            os.close(descriptor)
            return known
        key = b"/" + os.fsencode(path) if path else b""
        return self._parents.setdefault(_identity(state), _Parent(descriptor, key, state))

    def seal(self) -> None:
        """Wait until every change by the step gets a later time than those made here."""
        latest = 0
        for parent in self._parents.values():
            parent.sealed = mark(os.fstat(parent.descriptor))
            latest = max(latest, parent.sealed[1])
        for item in self._items:
            if item.hidden:
                item.sealed = mark(at.stat(self._aside, item.hidden))
                latest = max(latest, item.sealed[1])
        await_clock_tick(self._folder, latest)

    def take_away(self, remove: Callable[[Path], object]) -> Note:
        """Restore every entry; return the note of the root, with the restored files unchanged.

        ``remove`` removes a file or tree of the engine's own folders.
        """
        left = {id(one): os.fstat(one.descriptor) for one in self._parents.values()}
        for number, item in enumerate(reversed(self._items)):
            # The step may have removed the directory itself.
            with suppress(FileNotFoundError):
                self._restore(item, f"used{number}", remove)
        for parent in self._parents.values():
            self._restore_times(parent, left[id(parent)])
            os.close(parent.descriptor)
        os.close(self._aside)
        self._parents, self._items = {}, []
        return self._note

    def _restore(self, item: _StandIn, name: str, remove: Callable[[Path], object]) -> None:
        directory = item.parent.descriptor
        found = at.look(directory, item.name)
        if found is not None:
            own = _identity(found) == item.identity
            if own and item.home is not None and not item.home.exists():
                with _opened(item.home.parent) as folder:
                    at.rename(directory, item.name, folder, item.home.name)
            else:
                at.rename(directory, item.name, self._aside, name)
                remove(self._folder / name)
        if not item.hidden or item.original is None:
            return
        sealed = mark(at.stat(self._aside, item.hidden)) == item.sealed
        at.rename(self._aside, item.hidden, directory, item.name)
        if sealed:
            self._accept(item.path, item.original, at.stat(directory, item.name))

    def _restore_times(self, parent: _Parent, left: os.stat_result) -> None:
        sealed = mark(left) == parent.sealed
        times = parent.before if sealed else left
        os.utime(parent.descriptor, ns=(times.st_atime_ns, times.st_mtime_ns))
        if sealed:
            self._accept(parent.path, parent.before, os.fstat(parent.descriptor))

    def _accept(self, path: bytes, before: os.stat_result, now: os.stat_result) -> None:
        """Count a file as unchanged if it was unchanged before its place was taken."""
        if self._note.get(path) != mark(before):
            return
        if before.st_nlink > 1 and not stat.S_ISDIR(before.st_mode):
            # Its other names have the same inode, whose time has changed for them too.
            names = [name for name, known in self._note.items() if known == mark(before)]
            self._note.update(dict.fromkeys(names, mark(now)))
        self._note[path] = mark(now)


@contextmanager
def _opened(folder: Path) -> Iterator[int]:
    """Yield a descriptor of one of the engine's own folders."""
    descriptor = os.open(folder, O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _identity(state: os.stat_result) -> Identity:
    return state.st_dev, state.st_ino
