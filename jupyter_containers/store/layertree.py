"""What a layer does to the files below it, read off its unpacked directory.

A :class:`MergedTree` starts empty and takes layers from the lowest to the highest; each gives its
*changes*: files and folders that it adds, changes or removes.  A folder that only leads to a
change is none itself.  A hard link's bytes count once.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal

from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.whiteouts import OPAQUE_MARKS, hides_below, is_whiteout

ChangeKind = Literal["added", "changed", "removed"]
# By folder (the root is the empty text), the names in it that matter; None for all of them.
Names = Mapping[str, frozenset[str] | None]
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class FileState:
    """One file or folder of an image; ``real`` is where its content is on this disk."""

    type: str
    size: int
    mode: int
    owner: tuple[int, int]
    real: str
    target: str = ""
    device: int = 0


@dataclass(frozen=True, slots=True)
class LayerChange:
    """One path that a layer changes; ``size`` counts its new bytes, or those that it hides."""

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
        default_factory=lambda: _Node(FileState("folder", 0, 0o755, (0, 0), ""), {})
    )

    def apply(self, folder: Path, within: Names | None = None) -> list[LayerChange]:
        """Put one layer on top; return its changes, sorted by path.

        ``within`` are the only names that matter; a layer is then read only where they lead.
        """
        found: dict[str, LayerChange] = {}
        opaque, seen = Privileges.current().opaque_name, set[int]()
        todo: list[tuple[str, _Node, str]] = [(os.fspath(folder), self._root, "")]
        with storage_errors(f"look through layer {folder.name}"):
            while todo:
                real, node, path = todo.pop()
                names = None if within is None else within[path]
                with os.scandir(real) as entries:
                    for entry in entries:
                        if names is not None and entry.name not in names:
                            continue
                        if os.fsencode(entry.name) in OPAQUE_MARKS:
                            continue
                        here = f"{path}/{entry.name}"
                        below = self._entry(entry, node, here, found, opaque, seen)
                        if below is not None and (within is None or here in within):
                            todo.append((entry.path, below, here))
        return [found[path] for path in sorted(found)]

    def files(self) -> Iterator[tuple[str, FileState]]:
        """Yield every path with its state, folders too, in no order."""
        for path, node in _walk(self._root, ""):
            if path:
                yield path, node.state

    def _entry(
        self,
        entry: os.DirEntry[str],
        parent: _Node,
        path: str,
        found: dict[str, LayerChange],
        opaque: bytes,
        seen: set[int],
    ) -> _Node | None:
        """Take one directory entry into the tree; return the node of a folder to look into."""
        assert parent.children is not None
        state = entry.stat(follow_symlinks=False)
        existing = parent.children.get(entry.name)
        if is_whiteout(state, os.fsencode(entry.path)):
            if existing is not None:
                _removed(found, path, existing)
                del parent.children[entry.name]
            return None
        new = _Node(_file_state(entry, state, seen))
        if not stat.S_ISDIR(state.st_mode):
            kind: ChangeKind = "changed" if existing or path in found else "added"
            found[path] = LayerChange(path, kind, new.state.size)
            parent.children[entry.name] = new
            return None
        new.children = {}
        if existing is None or existing.children is None:
            kind = "changed" if existing else "added"
            found[path] = LayerChange(path, kind, 0, is_folder=True)
        elif hides_below(entry.path, opaque):
            for name, child in existing.children.items():
                _removed(found, f"{path}/{name}", child)
        else:
            new.children = existing.children
        parent.children[entry.name] = new
        return new


def changes_on(lowers: Sequence[Path], upper: Path) -> list[LayerChange]:
    """Return what the topmost layer does to those below, sorted by path.

    ``lowers`` are given topmost first.  They are read only where the topmost has something, so
    this takes time with the changes and not with the image; what a removed folder held is not
    counted.
    """
    names, tree = _names_in(upper), MergedTree()
    for folder in reversed(lowers):
        tree.apply(folder, names)
    return tree.apply(upper)


def _names_in(folder: Path) -> Names:
    opaque = Privileges.current().opaque_name
    names: dict[str, frozenset[str] | None] = {}
    todo = [(os.fspath(folder), "")]
    with storage_errors(f"look through layer {folder.name}"):
        while todo:
            real, path = todo.pop()
            with os.scandir(real) as found:
                entries = list(found)
            hides = hides_below(real, opaque)
            names[path] = None if hides else frozenset(entry.name for entry in entries)
            todo += [
                (entry.path, f"{path}/{entry.name}")
                for entry in entries
                if entry.is_dir(follow_symlinks=False)
            ]
    return names


def _removed(found: dict[str, LayerChange], path: str, node: _Node) -> None:
    found[path] = LayerChange(path, "removed", node.total, is_folder=node.children is not None)


def _walk(node: _Node, path: str) -> Iterator[tuple[str, _Node]]:
    todo = [(path, node)]
    while todo:
        at, current = todo.pop()
        yield at, current
        if current.children:
            todo += [(f"{at}/{name}", child) for name, child in current.children.items()]


def _file_state(entry: os.DirEntry[str], state: os.stat_result, seen: set[int]) -> FileState:
    mode = state.st_mode
    found = FileState("file", 0, stat.S_IMODE(mode), (state.st_uid, state.st_gid), entry.path)
    if stat.S_ISDIR(mode):
        return replace(found, type="folder")
    if stat.S_ISLNK(mode):
        return replace(found, type="link", target=os.readlink(entry.path))
    if not stat.S_ISREG(mode):
        return replace(found, type="device", device=state.st_rdev)
    first = state.st_nlink == 1 or state.st_ino not in seen
    seen.add(state.st_ino)
    return replace(found, size=state.st_size) if first else found


def same(one: FileState, other: FileState) -> bool:
    """Return whether two states are the same for an image: attributes and content, not times."""
    if one.real == other.real:
        return True
    alike = (one.type, one.mode, one.owner, one.target, one.device)
    if alike != (other.type, other.mode, other.owner, other.target, other.device):
        return False
    if one.type != "file":
        return True
    if os.stat(one.real).st_size != os.stat(other.real).st_size:
        return False
    return _digest(one.real) == _digest(other.real)


def _digest(path: str) -> bytes:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").digest()
