"""Walks a tree that may change at the same time, through descriptors."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import NamedTuple

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.trees import at

_OPEN = 64


class Found(NamedTuple):
    """An entry: its ``name`` in an open directory, valid until the next; ``path`` is relative."""

    directory: int
    name: bytes
    path: bytes
    status: os.stat_result


@dataclass(slots=True)
class _Level:
    descriptor: int
    identity: tuple[int, int]
    names: list[bytes]
    name: bytes
    path: bytes


def walk(top: int, leaving: Callable[[int, bytes], object] | None = None) -> Iterator[Found]:
    """Yield all entries below an open directory, each directory before its contents.

    ``leaving`` is called with the open parent and the name of each directory after its contents.
    Entries that vanish and directories that may not be read are skipped.

    Trees of any depth take a bounded number of descriptors.  If a directory is moved elsewhere, the
    remaining entries of the directories above it are left out.
    """
    levels: list[_Level] = []
    try:
        with suppress(FileNotFoundError, PermissionError):
            levels.append(_level(at.reopen(top), b"", b""))
        while levels:
            level = levels[-1]
            if not level.names:
                left = levels.pop()
                try:
                    _open_again(levels, left)
                    if levels and leaving is not None:
                        leaving(levels[-1].descriptor, left.name)
                finally:
                    _close(left)
                continue
            name = level.names.pop()
            try:
                found = Found(
                    level.descriptor, name, level.path + name, at.stat(level.descriptor, name)
                )
            except FileNotFoundError:
                continue
            yield found
            if stat.S_ISDIR(found.status.st_mode):
                with suppress(FileNotFoundError, NotADirectoryError, PermissionError):
                    inner = at.open_folder(level.descriptor, name)
                    levels.append(_level(inner, name, found.path + b"/"))
                if len(levels) > _OPEN:
                    _close(levels[-_OPEN - 1])
    finally:
        for level in levels:
            _close(level)


def _level(descriptor: int, name: bytes, path: bytes) -> _Level:
    try:
        names = sorted(map(os.fsencode, os.listdir(descriptor)), reverse=True)
        return _Level(descriptor, _identity(descriptor), names, name, path)
    except BaseException:
        os.close(descriptor)
        raise


def _open_again(levels: list[_Level], left: _Level) -> None:
    """Reopen the directory above the current one if it was closed."""
    if not levels or levels[-1].descriptor >= 0:
        return
    above = os.open("..", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=left.descriptor)
    if _identity(above) == levels[-1].identity:
        levels[-1].descriptor = above
    else:
        os.close(above)
        levels.clear()


def _close(level: _Level) -> None:
    descriptor, level.descriptor = level.descriptor, -1
    if descriptor >= 0:
        os.close(descriptor)


def _identity(descriptor: int) -> tuple[int, int]:
    state = os.fstat(descriptor)
    return state.st_dev, state.st_ino
