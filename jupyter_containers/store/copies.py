"""Root file systems where nothing can be mounted: a copy of all files, and its changes.

Vocabulary: a *copy* is a stack of layers merged into one writable folder.  A *note* beside it
records the inode and change time (ctime, inode(7)) that each file had at first: the kernel updates
that time with every change, at the very moments when overlayfs would copy a file up.  The
*difference* is a folder in the form of an overlay mount's upper directory, so that readers of
uppers can read it too: changed files are hard links into the copy, missing ones whiteouts.

Life of a copy: :func:`make` → changed by processes → :func:`difference`, any number of times.
"""

from __future__ import annotations

import errno
import os
import stat
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import msgspec

from jupyter_containers.events import CancelToken
from jupyter_containers.store.lowers import entry_xattrs, read_xattrs
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.whiteouts import is_whiteout, make_whiteout
from jupyter_containers.trees import at
from jupyter_containers.trees.folders import Folders
from jupyter_containers.trees.rooted import Root
from jupyter_containers.trees.walk import walk

# An open directory, and the name of an entry in it.
Place = tuple[int, str]
Note = dict[bytes, tuple[int, int]]
_MARKS = ("trusted.overlay.opaque", "user.overlay.opaque")
_CHUNK = 8 << 20
_TICK_SECONDS = 0.001


def make(
    folders: Sequence[Path], target: Path, privileges: Privileges, cancel: CancelToken
) -> Note:
    """Merge layers (topmost first) into an empty folder; return its note.

    The folder's own attributes stay unchanged.  Raises :class:`OSError`.
    """
    with ExitStack() as stack:
        roots = [stack.enter_context(Root(folder)) for folder in folders]
        # There may be a hundred layers: each keeps only a few of its folders open.
        layers = [stack.enter_context(Folders(root, limit=2)) for root in roots]
        root = stack.enter_context(Root(target))
        made = stack.enter_context(Folders(root))
        _Merger(made, privileges, cancel).merge("", layers)
    note = {path: mark(state) for path, state in _all(target)}
    await_clock_tick(target.parent, max((at for _, at in note.values()), default=0))
    return note


def save(note: Note, file: Path) -> None:
    """Write a note to a file."""
    file.write_bytes(msgspec.msgpack.encode(note))


def load(file: Path) -> Note:
    """Read a note written by :func:`save`."""
    return msgspec.msgpack.decode(file.read_bytes(), type=Note)


def difference(copy: Path, note: Note, target: Path, privileges: Privileges) -> None:
    """Write the changes of a copy to the empty folder ``target`` of the same file system.

    The copy may belong to a running container; entries that vanish are left out.
    """
    with (
        Root(copy) as source,
        Root(target) as made,
        Folders(source) as copied,
        Folders(made) as changed,
    ):
        _Comparer(note, privileges, copied, changed).compare(source.descriptor, made.descriptor)


def changed_bytes(copy: Path, note: Note) -> int:
    """Return the bytes of regular files that are new or changed; a hard link counts once."""
    seen: set[int] = set()
    total = 0
    for path, state in _all(copy):
        if stat.S_ISREG(state.st_mode) and mark(state) != note.get(path):
            total += 0 if state.st_ino in seen else state.st_size
            seen.add(state.st_ino)
    return total


class _Merger:
    def __init__(
        self,
        target: Folders,
        privileges: Privileges,
        cancel: CancelToken,
    ) -> None:
        self._target = target
        self._privileges, self._cancel = privileges, cancel
        self._links: dict[tuple[int, int], str] = {}

    def merge(self, inside: str, places: Sequence[Folders]) -> None:
        """Copy the overlaid contents of one folder in the layers ``places``."""
        for name, found in sorted(self._merged(inside, places).items()):
            self._cancel.check()
            path, layer = _join(inside, name), found[0]
            state = at.stat(*layer.above(path))
            if stat.S_ISDIR(state.st_mode):
                at.mkdir(*self._target.above(path))
                self.merge(path, found)
            elif (first := self._links.get((state.st_dev, state.st_ino))) is not None:
                at.link(*self._target.above(first), *self._target.above(path))
                continue
            else:
                self._make(layer.above(path), self._target.above(path), state)
                if state.st_nlink > 1:
                    self._links[state.st_dev, state.st_ino] = path
            _copy_metadata(self._target.above(path), layer.above(path), state, self._privileges)

    def _make(self, source: Place, target: Place, state: os.stat_result) -> None:
        if stat.S_ISREG(state.st_mode):
            _copy_bytes(source, target)
        elif stat.S_ISLNK(state.st_mode):
            at.symlink(at.readlink(*source), *target)
        else:
            at.mknod(*target, state.st_mode, state.st_rdev)

    def _merged(self, inside: str, places: Sequence[Folders]) -> dict[str, list[Folders]]:
        """Return the visible entries by name: one file, or the layers that form a folder."""
        found: dict[str, list[Folders]] = {}
        closed: set[str] = set()
        for place in places:
            directory = place.open(inside)
            for name in at.names(directory):
                if name in closed:
                    continue
                state = at.stat(directory, name)
                if stat.S_ISDIR(state.st_mode):
                    found.setdefault(name, []).append(place)
                    if _is_opaque(directory, name):
                        closed.add(name)
                    continue
                closed.add(name)
                if name not in found and not is_whiteout(state, directory, os.fsencode(name)):
                    found[name] = [place]
        return found


def _copy_bytes(source: Place, target: Place) -> None:
    reader = at.open_regular(*source)
    try:
        writer = at.create(*target)
        try:
            offset = 0
            while sent := os.sendfile(writer, reader, offset, _CHUNK):
                offset += sent
        finally:
            os.close(writer)
    finally:
        os.close(reader)


class _Comparer:
    def __init__(self, note: Note, privileges: Privileges, copy: Folders, target: Folders) -> None:
        self._note, self._privileges = note, privileges
        self._copy, self._target = copy, target
        self._made = {""}
        self._known: dict[bytes, list[str]] = {}
        for path in note:
            folder, _, name = path.rpartition(b"/")
            self._known.setdefault(folder, []).append(os.fsdecode(name))

    def compare(self, copy: int, target: int) -> None:
        """Write a folder's changes to the target, and set its attributes on the target's root."""
        self._folder("", new=False)
        state = os.fstat(copy)
        if self._privileges.owners:
            os.chown(target, state.st_uid, state.st_gid)
        for name, value in read_xattrs(copy).items():
            os.setxattr(target, name, value)
        os.fchmod(target, stat.S_IMODE(state.st_mode))
        os.utime(target, ns=(state.st_mtime_ns, state.st_mtime_ns))

    def _folder(self, inside: str, *, new: bool) -> None:
        names = at.names(self._copy.open(inside))
        for name in names:
            path = _join(inside, name)
            with suppress(FileNotFoundError):
                self._entry(path, at.stat(*self._copy.above(path)), new)
        if not new:
            for name in sorted(set(self._known.get(_note_key(inside), ())) - set(names)):
                path = _join(inside, name)
                self._make_parents(inside)
                directory, last = self._target.above(path)
                make_whiteout(directory, os.fsencode(last))

    def _entry(self, path: str, state: os.stat_result, new: bool) -> None:
        changed = new or mark(state) != self._note.get(_note_key(path))
        if stat.S_ISDIR(state.st_mode):
            self._inner(path, state, changed, new)
        elif changed:
            self._make_parents(path.rpartition("/")[0])
            at.link(*self._copy.above(path), *self._target.above(path))

    def _inner(self, path: str, state: os.stat_result, changed: bool, new: bool) -> None:
        known = self._note.get(_note_key(path))
        # Another folder of the same name: hide everything of the old one.
        replaced = new or known is None or known[0] != state.st_ino
        if changed:
            self._make_parents(path)
        # It may be a link by now, or be gone: then it has no contents.
        with suppress(FileNotFoundError, NotADirectoryError), _no_link():
            self._folder(path, new=replaced)
        if path in self._made:
            if replaced and known is not None:
                at.setxattr(*self._target.above(path), self._privileges.opaque_name, b"y")
            with suppress(FileNotFoundError):
                source, target = self._copy.above(path), self._target.above(path)
                _copy_metadata(target, source, state, self._privileges)

    def _make_parents(self, inside: str) -> None:
        """Create a folder of the target and its parents; the walk sets their attributes later."""
        if inside not in self._made:
            self._make_parents(inside.rpartition("/")[0])
            at.mkdir(*self._target.above(inside))
            self._made.add(inside)


@contextmanager
def _no_link() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise


def _copy_metadata(
    target: Place, source: Place, state: os.stat_result, privileges: Privileges
) -> None:
    """Copy the owner, mode, attributes and time of an entry to another."""
    if privileges.owners:
        at.chown(*target, state.st_uid, state.st_gid)
    for name, value in entry_xattrs(source[0], os.fsencode(source[1])).items():
        at.setxattr(*target, name, value)
    if not stat.S_ISLNK(state.st_mode):
        at.chmod(*target, stat.S_IMODE(state.st_mode))
    at.utime(*target, (state.st_mtime_ns, state.st_mtime_ns))


def _all(top: Path) -> Iterator[tuple[bytes, os.stat_result]]:
    """Yield all files below a folder, by their paths with a leading slash."""
    with Root(top) as root:
        for found in walk(root.descriptor):
            yield b"/" + found.path, found.status


def _join(inside: str, name: str) -> str:
    return f"{inside}/{name}" if inside else name


def _note_key(path: str) -> bytes:
    return b"/" + os.fsencode(path) if path else b""


def mark(state: os.stat_result) -> tuple[int, int]:
    """Return the value that a note has for a file of this status."""
    return state.st_ino, state.st_ctime_ns


def _is_opaque(directory: int, name: str) -> bool:
    for attribute in _MARKS:
        with suppress(OSError):
            if at.getxattr(directory, name, attribute) == b"y":
                return True
    return False


def await_clock_tick(folder: Path, latest: int) -> None:
    """Wait until a change would get a later time: the kernel's file clock has coarse ticks."""
    probe = folder / "tick"
    while True:
        probe.touch()
        if probe.stat().st_ctime_ns > latest:
            break
        time.sleep(_TICK_SECONDS)
    probe.unlink()
