"""Reserved disk space, released when the disk is full: removing things needs some space too.

The record database cannot even be opened without room for its log and its shared memory, and every
operation that frees space (``rm``, ``prune``, ``stop``) writes records first.  The *reserve* is a
folder of small files, created while the disk has plenty, and removed a few at a time when there is
too little: each frees its blocks and its inode.  It is created again once there is room.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from jupyter_containers.oci.idmap import IDMap

PIECES = 64
PIECE_BYTES = 16 * 1024
_AT_ONCE = 8
# Below these, part of the reserve is released before a verb begins.
_FEW_BYTES = 256 * 1024
_FEW_INODES = 16
# Above these, the reserve is created (again).
_PLENTY_BYTES = 24 * 1024 * 1024
_PLENTY_INODES = 1024


class Reserve:
    """The reserve of one store; ``more`` removes another disposable object, if there is any."""

    def __init__(self, folder: Path, more: Callable[[], bool]) -> None:
        self._folder = folder
        self._more = more
        # The blocks that a file system reserves for root count for root alone.
        self._root = os.geteuid() == 0 and IDMap.of_users().initial

    def keep(self) -> None:
        """Create the missing files of the reserve while the disk has plenty of room."""
        with suppress(OSError):
            there = set(os.listdir(self._folder)) if self._folder.is_dir() else set()
            if len(there) >= PIECES or not self._at_least(_PLENTY_BYTES, _PLENTY_INODES):
                return
            self._folder.mkdir(mode=0o700, exist_ok=True)
            # Random data, for file systems that store zeros without blocks.
            data = os.urandom(PIECE_BYTES)
            for name in sorted(_NAMES - there):
                (self._folder / name).write_bytes(data)

    def ensure(self) -> None:
        """Release part of the reserve if there is too little room for a verb."""
        if not self._at_least(_FEW_BYTES, _FEW_INODES):
            self.give_up()

    def give_up(self) -> bool:
        """Release part of the reserve; return False if nothing is left."""
        removed = 0
        with suppress(OSError):
            for name in sorted(os.listdir(self._folder))[:_AT_ONCE]:
                (self._folder / name).unlink(missing_ok=True)
                removed += 1
        return removed > 0 or self._more()

    def _at_least(self, size: int, inodes: int) -> bool:
        try:
            state = os.statvfs(self._folder.parent)
        except OSError:
            return True
        blocks = state.f_bfree if self._root else state.f_bavail
        return blocks * state.f_frsize >= size and (not state.f_files or state.f_favail >= inodes)


_NAMES = frozenset(f"{number:02}" for number in range(PIECES))
