"""Trees of build contexts that a client sent, kept for its next build.

Each is a folder below ``received`` of the root, which one build at a time uses.  Its time of
modification is that of its last use.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.store.staging import Staging
from jupyter_containers.trees import at, removal
from jupyter_containers.trees.rooted import Root
from jupyter_containers.trees.walk import walk

_KEPT_SECONDS = 48 * 3600.0


class ReceivedContexts:
    """The trees of one store; a new one drives those out that were not used for two days."""

    def __init__(self, engine_context: EngineContext) -> None:
        self._folder = engine_context.settings.layout.received
        self._locks = engine_context.store.locks
        self._staging = Staging(engine_context.settings.layout.store.staging)

    @contextmanager
    def claim(self, name: str) -> Iterator[Path | None]:
        """Yield the folder of a tree, or None while another build is using it."""
        with self._locks.attempt(f"context-{name}") as held:
            if not held:
                yield None
                return
            folder = self._folder / name
            if not folder.is_dir():
                self.remove(time.time() - _KEPT_SECONDS)
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            os.utime(folder)
            yield folder

    @contextmanager
    def scratch(self) -> Iterator[Path]:
        """Yield an empty folder beside the store, which is removed at the end of the block."""
        staging = self._staging
        folder = staging.new_folder()
        try:
            yield folder
        finally:
            staging.remove(folder)

    def remove(self, until: float) -> int:
        """Remove the trees that were used before ``until`` (0: all); return their bytes."""
        freed = 0
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            with suppress(OSError), self._locks.attempt(f"context-{folder.name}") as held:
                if held and (not until or folder.stat().st_mtime < until):
                    freed += _size(folder)
                    removal.remove(folder)
        return freed


def _size(folder: Path) -> int:
    with Root(folder) as root:
        top = at.reopen(root.descriptor)
        try:
            return sum(found.status.st_blocks * 512 for found in walk(top))
        finally:
            os.close(top)
