"""Open directories below a root, looked up by canonical path.

A walk acts on many entries of one directory after another.  Resolving each path again costs time,
and a descriptor for each directory of a deep tree costs too many: the most recently used stay open.
A directory that is moved in the tree while it is open remains the opened one.
"""

from __future__ import annotations

import os

from jupyter_containers.trees.rooted import Root, split

_OPEN = 64


class Folders:
    """The open directories of one walk; for one thread, as a context manager."""

    def __init__(self, root: Root, limit: int = _OPEN) -> None:
        self._root, self._limit = root, limit
        self._open: dict[str, int] = {}

    def __enter__(self) -> Folders:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close all of them; they are opened again on demand."""
        while self._open:
            os.close(self._open.popitem()[1])

    def open(self, canonical: str) -> int:
        """Return a descriptor of a directory for operations in it; it belongs to this object.

        It is valid at least until the next call.  Raises :class:`OSError`, with ``ELOOP`` or
        ``ENOTDIR`` if a link has appeared on the path.
        """
        descriptor = self._open.pop(canonical, -1)
        if descriptor < 0:
            if len(self._open) >= self._limit:
                os.close(self._open.pop(next(iter(self._open))))
            parts = split(os.fsencode(canonical))
            descriptor = self._root.open_directory(parts, links=False)
        # The most recently used is last.
        self._open[canonical] = descriptor
        return descriptor

    def above(self, canonical: str) -> tuple[int, str]:
        """Return the open directory of an entry and its name there; see :meth:`open`."""
        folder, _, name = canonical.rpartition("/")
        return self.open(folder), name
