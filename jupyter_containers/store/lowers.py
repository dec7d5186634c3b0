"""Looks up paths in a stack of layers without mounting them."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.store.privileges import OVERLAY_NAMESPACES
from jupyter_containers.trees import at
from jupyter_containers.trees.linux import O_PATH
from jupyter_containers.trees.owners import marked_owner
from jupyter_containers.trees.rooted import Root


@dataclass(frozen=True, slots=True)
class Attributes:
    """The metadata of a directory."""

    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    mtime_ns: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)


def attributes(folders: Sequence[Path], parts: tuple[bytes, ...]) -> Attributes | None:
    """Return those of the topmost entry at ``parts``, or None if it is not a directory.

    ``folders`` are layer directories, topmost first.
    """
    with _topmost(folders, parts) as descriptor:
        if descriptor is None:
            return None
        state = os.fstat(descriptor)
        return _of_directory(descriptor, state) if stat.S_ISDIR(state.st_mode) else None


def exists(folders: Sequence[Path], parts: tuple[bytes, ...]) -> bool:
    """Return whether the layers have an entry at ``parts`` (as :func:`attributes`)."""
    with _topmost(folders, parts) as descriptor:
        if descriptor is None:
            return False
        state = os.fstat(descriptor)
        return not (stat.S_ISCHR(state.st_mode) and state.st_rdev == 0)


@contextmanager
def _topmost(folders: Sequence[Path], parts: tuple[bytes, ...]) -> Iterator[int | None]:
    """Yield an ``O_PATH`` descriptor of the topmost entry at ``parts``."""
    for folder in folders:
        with Root(folder) as root:
            try:
                descriptor = root.open(parts, O_PATH | os.O_NOFOLLOW, links=False)
            except OSError:
                continue
        try:
            yield descriptor
        finally:
            os.close(descriptor)
        return
    yield None


def _of_directory(path_descriptor: int, state: os.stat_result) -> Attributes:
    descriptor = at.reopen(path_descriptor)
    try:
        found = read_xattrs(descriptor)
    finally:
        os.close(descriptor)
    uid, gid = marked_owner(found) or (state.st_uid, state.st_gid)
    return Attributes(stat.S_IMODE(state.st_mode), uid, gid, state.st_mtime_ns, found)


def read_xattrs(descriptor: int) -> dict[bytes, bytes]:
    """Return the extended attributes that belong to an image: all but overlayfs' own."""
    names = os.listxattr(descriptor)
    return {name: os.getxattr(descriptor, name) for name in _of_image(names)} if names else {}


def entry_xattrs(directory: int, name: bytes) -> dict[bytes, bytes]:
    """Return those of an entry of an open directory, as :func:`read_xattrs`."""
    found = at.listxattr(directory, name)
    return {each: at.getxattr(directory, name, each) for each in _of_image(found)} if found else {}


def _of_image(names: Sequence[str]) -> list[bytes]:
    return [
        name
        for name in sorted(map(os.fsencode, names))
        if not name.startswith((*OVERLAY_NAMESPACES, *_NOT_OF_AN_IMAGE))
    ]


# Labels of the host's security module do not belong to the image.
_NOT_OF_AN_IMAGE = (b"security.selinux", b"security.ima", b"security.evm")
