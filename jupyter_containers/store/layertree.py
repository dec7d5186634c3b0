"""The changes that a layer makes to the files below it, read from its unpacked directory.

A :class:`MergedTree` starts empty and takes layers from the lowest to the highest; each gives its
*changes*: files and folders that it adds, changes or removes.  A folder that only contains a change
does not count.  A hard link's bytes count once.

The topmost may belong to a running container, and change while it is read: it is read through
descriptors, and entries that vanish or change their kind are left out.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from io import BufferedReader
from pathlib import Path
from typing import Literal, NamedTuple

from jupyter_containers.lazy_dataclasses import dataclass, field, replace
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.whiteouts import OPAQUE_MARKS, hides_below, is_whiteout
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root, split

ChangeKind = Literal["added", "changed", "removed"]
# The relevant names in each folder (the root is the empty text); None for all names.
Names = Mapping[str, frozenset[str] | None]


@dataclass(frozen=True, slots=True)
class FileState:
    """A file or folder of an image; ``real`` is the layer that contains it, and its path there."""

    type: str
    size: int
    mode: int
    owner: tuple[int, int]
    real: tuple[str, str]
    target: str = ""
    device: int = 0


@dataclass(frozen=True, slots=True)
class LayerChange:
    """A path that a layer changes; ``size`` is its new bytes, or the bytes that it hides."""

    path: str
    kind: ChangeKind
    size: int
    is_folder: bool = False


@dataclass(slots=True)
class _Node:
    state: FileState
    children: dict[str, _Node] | None = None

    @property
    def total(self) -> int:
        """The bytes of the file, or of all files below the folder."""
        return sum(node.state.size for _, node in _walk(self, ""))


@dataclass
class MergedTree:
    """The files of a stack of layers, as a container sees them."""

    _root: _Node = field(
        default_factory=lambda: _Node(FileState("folder", 0, 0o755, (0, 0), ("", "")), {})
    )

    def apply(self, folder: Path, within: Names | None = None) -> list[LayerChange]:
        """Add a layer on top; return its changes, sorted by path.

        ``within`` limits the names; a layer is then read only along them.
        """
        found: dict[str, LayerChange] = {}
        opaque, seen = Privileges.current().opaque_name, set[int]()
        todo: list[tuple[_Node, str]] = [(self._root, "")]
        with storage_errors(f"look through layer {folder.name}"), Root(folder) as root:
            while todo:
                node, path = todo.pop()
                names = None if within is None else within[path]
                for entry in _entries(root, path, os.fspath(folder), names):
                    below = self._entry(entry, node, found, opaque, seen)
                    if below is not None and (within is None or entry.path in within):
                        todo.append((below, entry.path))
        return [found[path] for path in sorted(found)]

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Yield every path with its state, folders included, in no order."""
        for path, node in _walk(self._root, ""):
            if path:
                yield path, node.state

    def _entry(
        self,
        entry: _Entry,
        parent: _Node,
        found: dict[str, LayerChange],
        opaque: bytes,
        seen: set[int],
    ) -> _Node | None:
        """Merge one directory entry into the tree; return the node of a folder to descend into."""
        assert parent.children is not None
        state, path = entry.state, entry.path
        existing = parent.children.get(entry.name)
        if is_whiteout(state, entry.directory, os.fsencode(entry.name)):
            if existing is not None:
                _removed(found, path, existing)
                del parent.children[entry.name]
            return None
        new = _Node(_file_state(entry, seen))
        if not stat.S_ISDIR(state.st_mode):
            kind: ChangeKind = "changed" if existing or path in found else "added"
            found[path] = LayerChange(path, kind, new.state.size)
            parent.children[entry.name] = new
            return None
        new.children = {}
        if existing is None or existing.children is None:
            kind = "changed" if existing else "added"
            found[path] = LayerChange(path, kind, 0, is_folder=True)
        elif _hides(entry, opaque):
            for name, child in existing.children.items():
                _removed(found, f"{path}/{name}", child)
        else:
            new.children = existing.children
        parent.children[entry.name] = new
        return new


def changes_on(lowers: Sequence[Path], upper: Path) -> list[LayerChange]:
    """Return the changes of the topmost layer to those below, sorted by path.

    ``lowers`` are in order, topmost first.  They are read only where the topmost has an entry, so
    the time grows with the changes and not with the image; the contents of a removed folder are not
    counted.
    """
    names, tree = _names_in(upper), MergedTree()
    for folder in reversed(lowers):
        tree.apply(folder, names)
    return tree.apply(upper)


def _names_in(folder: Path) -> Names:
    opaque = Privileges.current().opaque_name
    names: dict[str, frozenset[str] | None] = {}
    todo = [""]
    with storage_errors(f"look through layer {folder.name}"), Root(folder) as root:
        while todo:
            path = todo.pop()
            with _open_folder(root, path) as directory:
                if directory is None:
                    names[path] = frozenset()
                    continue
                with os.scandir(directory) as found:
                    inside = [(each.name, each.is_dir(follow_symlinks=False)) for each in found]
                hides = hides_below(directory, opaque)
            names[path] = None if hides else frozenset(name for name, _ in inside)
            todo += [f"{path}/{name}" for name, is_folder in inside if is_folder]
    return names


class _Entry(NamedTuple):
    """An entry in an open directory of a layer; ``path`` is its path in the image."""

    directory: int
    name: str
    path: str
    state: os.stat_result
    layer: str


def _entries(root: Root, path: str, layer: str, names: frozenset[str] | None) -> Iterator[_Entry]:
    """Yield the entries of a layer's folder, or those in ``names``."""
    with _open_folder(root, path) as directory:
        if directory is None:
            return
        with os.scandir(directory) as found:
            for each in found:
                if names is not None and each.name not in names:
                    continue
                if os.fsencode(each.name) in OPAQUE_MARKS:
                    continue
                try:
                    state = each.stat(follow_symlinks=False)
                except FileNotFoundError:
                    continue
                yield _Entry(directory, each.name, f"{path}/{each.name}", state, layer)


@contextmanager
def _open_folder(root: Root, path: str) -> Iterator[int | None]:
    """Yield a descriptor for reading a folder; None if it is no longer there."""
    try:
        parts = split(os.fsencode(path))
        descriptor = root.open(parts, os.O_RDONLY | os.O_DIRECTORY, links=False)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            raise
        yield None
        return
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _hides(entry: _Entry, opaque: bytes) -> bool:
    try:
        with at.folder(entry.directory, entry.name) as directory:
            return hides_below(directory, opaque)
    except OSError:
        return False


def _removed(found: dict[str, LayerChange], path: str, node: _Node) -> None:
    found[path] = LayerChange(path, "removed", node.total, is_folder=node.children is not None)


def _walk(node: _Node, path: str) -> Iterator[tuple[str, _Node]]:
    todo = [(path, node)]
    while todo:
        here, current = todo.pop()
        yield here, current
        if current.children:
            todo += [(f"{here}/{name}", child) for name, child in current.children.items()]


def _file_state(entry: _Entry, seen: set[int]) -> FileState:
    state, mode = entry.state, entry.state.st_mode
    real = (entry.layer, entry.path)
    found = FileState("file", 0, stat.S_IMODE(mode), (state.st_uid, state.st_gid), real)
    if stat.S_ISDIR(mode):
        return replace(found, type="folder")
    if stat.S_ISLNK(mode):
        return replace(found, type="link", target=_target(entry))
    if not stat.S_ISREG(mode):
        return replace(found, type="device", device=state.st_rdev)
    first = state.st_nlink == 1 or state.st_ino not in seen
    seen.add(state.st_ino)
    return replace(found, size=state.st_size) if first else found


def _target(entry: _Entry) -> str:
    try:
        return os.fsdecode(at.readlink(entry.directory, entry.name))
    except OSError:
        return ""  # no longer a folder


def same(one: FileState, other: FileState) -> bool:
    """Return whether two states are equal for an image: attributes and content, not times."""
    if one.real == other.real:
        return True
    alike = (one.type, one.mode, one.owner, one.target, one.device)
    if alike != (other.type, other.mode, other.owner, other.target, other.device):
        return False
    if one.type != "file":
        return True
    with _content(one) as first, _content(other) as second:
        if os.fstat(first.fileno()).st_size != os.fstat(second.fileno()).st_size:
            return False
        digests = [hashlib.file_digest(file, "sha256").digest() for file in (first, second)]
    return digests[0] == digests[1]


@contextmanager
def _content(state: FileState) -> Iterator[BufferedReader]:
    layer, path = state.real
    with (
        Root(layer) as root,
        root.place(path) as (directory, name),
        os.fdopen(at.open_regular(directory, name), "rb") as file,
    ):
        yield file
