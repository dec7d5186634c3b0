"""Layers where nothing can be mounted: a copy of all their files, and what became of it.

Vocabulary: a *copy* is a stack of layers merged into one folder, to be written in.  A *note*
beside it says which inode and change time (ctime, inode(7)) each file had at first: the kernel
sets that time with every change, at the very moments when overlayfs would copy a file up.  The
*difference* is a folder like an overlay mount's upper directory, so that whatever reads those
reads it too: changed files are hard links into the copy, missing ones whiteouts.

Life of a copy: :func:`make` → written in → :func:`difference`, as often as one likes.
"""

from __future__ import annotations

import os
import shutil
import stat
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import msgspec

from jupyter_containers.events import CancelToken
from jupyter_containers.store.lowers import read_xattrs
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.whiteouts import is_whiteout, make_whiteout

Note = dict[bytes, tuple[int, int]]
_MARKS = ("trusted.overlay.opaque", "user.overlay.opaque")
_TICK_SECONDS = 0.001


def make(
    folders: Sequence[Path], target: Path, privileges: Privileges, cancel: CancelToken
) -> Note:
    """Merge layers (topmost first) into an empty folder; return the note of it.

    The folder's own attributes are left alone.  Raises :class:`OSError`.
    """
    _Merger(privileges, cancel).merge([os.fsencode(folder) for folder in folders], bytes(target))
    note = {path: _mark(state) for path, state in _walk(bytes(target))}
    _let_the_clock_go_on(target.parent, max((at for _, at in note.values()), default=0))
    return note


def save(note: Note, file: Path) -> None:
    """Keep a note in a file."""
    file.write_bytes(msgspec.msgpack.encode(note))


def load(file: Path) -> Note:
    """Return the note that :func:`save` kept."""
    return msgspec.msgpack.decode(file.read_bytes(), type=Note)


def difference(copy: Path, note: Note, target: Path, privileges: Privileges) -> None:
    """Fill the empty folder ``target`` with what has changed; on the file system of the copy."""
    _Comparer(note, privileges).compare(bytes(copy), bytes(target))


def changed_bytes(copy: Path, note: Note) -> int:
    """Return the size of the regular files that are new or changed; a hard link counts once."""
    seen: set[int] = set()
    total = 0
    for path, state in _walk(bytes(copy)):
        if stat.S_ISREG(state.st_mode) and _mark(state) != note.get(path):
            total += 0 if state.st_ino in seen else state.st_size
            seen.add(state.st_ino)
    return total


class _Merger:
    def __init__(self, privileges: Privileges, cancel: CancelToken) -> None:
        self._privileges, self._cancel = privileges, cancel
        self._links: dict[tuple[int, int], bytes] = {}

    def merge(self, places: list[bytes], target: bytes) -> None:
        """Copy what an overlay of the folders ``places`` shows."""
        for name, found in sorted(_merged(places).items()):
            self._cancel.check()
            path, source = target + b"/" + name, found[0]
            state = os.lstat(source)
            if stat.S_ISDIR(state.st_mode):
                os.mkdir(path, 0o700)
                self.merge(found, path)
            elif (first := self._links.get((state.st_dev, state.st_ino))) is not None:
                os.link(first, path, follow_symlinks=False)
                continue
            else:
                self._make(source, path, state)
                if state.st_nlink > 1:
                    self._links[state.st_dev, state.st_ino] = path
            _dress(path, source, state, self._privileges)

    def _make(self, source: bytes, path: bytes, state: os.stat_result) -> None:
        if stat.S_ISREG(state.st_mode):
            shutil.copyfile(source, path, follow_symlinks=False)
        elif stat.S_ISLNK(state.st_mode):
            os.symlink(os.readlink(source), path)
        else:
            os.mknod(path, state.st_mode, state.st_rdev)


def _merged(places: list[bytes]) -> dict[bytes, list[bytes]]:
    """Return what is visible, by name: one file, or the folders that make a folder together."""
    found: dict[bytes, list[bytes]] = {}
    closed: set[bytes] = set()
    for place in places:
        with os.scandir(place) as entries:
            for entry in entries:
                if entry.name in closed:
                    continue
                if entry.is_dir(follow_symlinks=False):
                    found.setdefault(entry.name, []).append(entry.path)
                    if _is_opaque(entry.path):
                        closed.add(entry.name)
                    continue
                closed.add(entry.name)
                state = entry.stat(follow_symlinks=False)
                if entry.name not in found and not is_whiteout(state, entry.path):
                    found[entry.name] = [entry.path]
    return found


class _Comparer:
    def __init__(self, note: Note, privileges: Privileges) -> None:
        self._note, self._privileges = note, privileges
        self._known: dict[bytes, list[bytes]] = {}
        for path in note:
            folder, _, name = path.rpartition(b"/")
            self._known.setdefault(folder, []).append(name)

    def compare(self, copy: bytes, target: bytes) -> None:
        """Put what has changed in the copy into the target, and give it the root's attributes."""
        self._folder(copy, target, b"", new=False)
        _dress(target, copy, os.lstat(copy), self._privileges)

    def _folder(self, copy: bytes, target: bytes, inside: bytes, *, new: bool) -> None:
        names = set()
        with os.scandir(copy) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            names.add(entry.name)
            state = entry.stat(follow_symlinks=False)
            path, beside = inside + b"/" + entry.name, target + b"/" + entry.name
            changed = new or _mark(state) != self._note.get(path)
            if stat.S_ISDIR(state.st_mode):
                self._inner(entry.path, beside, path, state, changed, new)
            elif changed:
                self._reach(beside)
                os.link(entry.path, beside, follow_symlinks=False)
        if not new:
            for name in sorted(set(self._known.get(inside, ())) - names):
                self._reach(target + b"/" + name)
                make_whiteout(target + b"/" + name)

    def _inner(
        self,
        copy: bytes,
        target: bytes,
        path: bytes,
        state: os.stat_result,
        changed: bool,
        new: bool,
    ) -> None:
        known = self._note.get(path)
        # Another folder of the same name: nothing of the old one shines through.
        replaced = new or known is None or known[0] != state.st_ino
        if changed:
            self._reach(target)
            os.mkdir(target, 0o700)
        self._folder(copy, target, path, new=replaced)
        if os.path.lexists(target):
            if replaced and known is not None:
                os.setxattr(target, self._privileges.opaque_name, b"y")
            _dress(target, copy, state, self._privileges)

    def _reach(self, path: bytes) -> None:
        """Make the folders above something that has changed; who walks dresses them."""
        os.makedirs(os.path.dirname(path), 0o700, exist_ok=True)


def _dress(path: bytes, source: bytes, state: os.stat_result, privileges: Privileges) -> None:
    """Give a file the owner, mode, attributes and time of another."""
    if privileges.owners:
        os.chown(path, state.st_uid, state.st_gid, follow_symlinks=False)
    for name, value in read_xattrs(source, follow=False).items():
        os.setxattr(path, name, value, follow_symlinks=False)
    if not stat.S_ISLNK(state.st_mode):
        os.chmod(path, stat.S_IMODE(state.st_mode))
    os.utime(path, ns=(state.st_mtime_ns, state.st_mtime_ns), follow_symlinks=False)


def _walk(top: bytes) -> list[tuple[bytes, os.stat_result]]:
    """Return all files below a folder, by their paths with a leading slash."""
    found: list[tuple[bytes, os.stat_result]] = []
    todo = [b""]
    while todo:
        inside = todo.pop()
        with suppress(FileNotFoundError), os.scandir(top + inside) as entries:
            for entry in entries:
                state = entry.stat(follow_symlinks=False)
                path = inside + b"/" + entry.name
                found.append((path, state))
                if stat.S_ISDIR(state.st_mode):
                    todo.append(path)
    return found


def _mark(state: os.stat_result) -> tuple[int, int]:
    return state.st_ino, state.st_ctime_ns


def _is_opaque(folder: bytes) -> bool:
    for name in _MARKS:
        with suppress(OSError):
            if os.getxattr(folder, name) == b"y":
                return True
    return False


def _let_the_clock_go_on(folder: Path, latest: int) -> None:
    """Wait until a change would get a later time: the kernel's clock of files has coarse ticks."""
    probe = folder / "tick"
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > latest:
            break
        time.sleep(_TICK_SECONDS)
    probe.unlink()
