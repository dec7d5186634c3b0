"""The entries of a container's folder."""

from __future__ import annotations

import os
import stat
from typing import Literal

from jupyter_containers.errors import InvalidArgumentError, NotFoundError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root, split

Kind = Literal["file", "folder", "link", "other"]


@dataclass(frozen=True, slots=True)
class FolderEntry:
    """A folder entry: ``mode`` as in ``ls -l``, ``target`` of a link.

    Undecodable bytes are shown as replacement characters.
    """

    name: str
    kind: Kind
    size: int
    mode: str
    modified: float
    target: str = ""


def list_folder(root: Root, path: str) -> tuple[str, list[FolderEntry]]:
    """Return a folder's path with links followed, and its entries: folders first, then by name.

    Raises :class:`NotFoundError`, and :class:`InvalidArgumentError` if the path is not a folder.
    """
    canonical = root.resolve(path)
    state = root.stat(canonical)
    if state is None:
        raise NotFoundError(f"could not find {path} in the container")
    if not stat.S_ISDIR(state.st_mode):
        raise InvalidArgumentError(f"{path} is not a folder")
    folder = root.open(split(os.fsencode(canonical)), os.O_RDONLY | os.O_DIRECTORY, links=False)
    try:
        entries = [_entry(folder, item.name) for item in os.scandir(folder)]
    finally:
        os.close(folder)
    found = [entry for entry in entries if entry is not None]
    found.sort(key=lambda entry: (entry.kind != "folder", entry.name))
    return f"/{canonical}", found


def _entry(folder: int, name: str) -> FolderEntry | None:
    try:
        state = at.stat(folder, name)
        link = stat.S_ISLNK(state.st_mode)
        target = os.fsdecode(at.readlink(folder, name)) if link else ""
    except OSError:
        return None  # a running container changes its files
    kind: Kind = "other"
    if link:
        kind = "link"
    elif stat.S_ISDIR(state.st_mode):
        kind = "folder"
    elif stat.S_ISREG(state.st_mode):
        kind = "file"
    mode = stat.filemode(state.st_mode)
    return FolderEntry(_text(name), kind, state.st_size, mode, state.st_mtime, _text(target))


def _text(name: str) -> str:
    return name.encode("utf-8", "surrogateescape").decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class PathStat:
    """A path of a container; ``mode`` is that of stat(2), ``target`` that of a link."""

    name: str
    size: int
    mode: int
    mtime: float
    target: str = ""


def path_stat(root: Root, path: str) -> PathStat:
    """Return the status of a path, without following a final link; raise :class:`NotFoundError`."""
    canonical = root.resolve(path, follow_last=False)
    found = root.stat(canonical)
    if found is None:
        raise NotFoundError(f"no such file or directory in the container: {path}")
    target = root.resolve(path) if stat.S_ISLNK(found.st_mode) else ""
    name = canonical.rstrip("/").rpartition("/")[2] or "/"
    return PathStat(name, found.st_size, found.st_mode, found.st_mtime, target)
