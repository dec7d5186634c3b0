"""Reads the result files of a container into the kernel, bounded and without following links.

The container controls the files: a sparse one of 100 GB takes no disk but all of the kernel's
memory, a FIFO has no end, a link leads anywhere.  So only regular files are read, each by one name
below an open folder, and all results of a run together are limited by the *budget*.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from typing import Any

from jupyter_containers.engine.containers import value_files
from jupyter_containers.engine.units import binary_size
from jupyter_containers.errors import VerificationError
from jupyter_containers.trees import at

_FILES = 10_000
_DEPTH = 64
_CHUNK = 1 << 20


class Budget:
    """The remaining number of bytes and files that may be read."""

    def __init__(self, limit: int) -> None:
        self.limit = self.left = limit
        self._files = _FILES

    def refuse(self, name: str, size: int) -> VerificationError:
        """Return the error for a result that exceeds the budget."""
        return VerificationError(
            f"the result {name} holds {binary_size(size)}, and the kernel reads no more than"
            f" {binary_size(self.limit)} of a run's results",
            hint="write large files to a mounted folder (-v), or raise the setting"
            " result_max_bytes",
        )

    def count_file(self, name: str) -> None:
        """Count one more file; raise :class:`VerificationError` if there are too many."""
        self._files -= 1
        if self._files < 0:
            raise VerificationError(
                f"the result {name} is a folder of more than {_FILES} files",
                hint="pack them into one archive, or mount a folder with -v",
            )


def read_value(folder: int, name: str, hints: Mapping[str, Any], budget: Budget) -> Any:
    """Return the value of one result: of a file, or of a folder's files by their paths.

    ``folder`` is the descriptor of its parent folder.  Raises :class:`VerificationError`.
    """
    try:
        status = at.look(folder, name)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return value_files.value_of(
                name, _read(folder, name, name, budget), hints, budget.limit
            )
        values: dict[str, Any] = {}
        inner = at.open_folder(folder, name)
        try:
            _collect(inner, "", name, values, budget, _DEPTH)
        finally:
            os.close(inner)
        return values
    except OSError as error:
        raise VerificationError(f"the result {name} cannot be read: {error.strerror}") from error


def _collect(
    folder: int, above: str, shown: str, values: dict[str, Any], budget: Budget, depth: int
) -> None:
    """Add the files of a folder to ``values``; skip anything but files and folders."""
    if depth == 0:
        raise VerificationError(f"the result {shown} is nested more than {_DEPTH} folders deep")
    for name in at.names(folder):
        status = at.look(folder, name)
        path = f"{above}{name}"
        if status is not None and stat.S_ISDIR(status.st_mode):
            inner = at.open_folder(folder, name)
            try:
                _collect(inner, f"{path}/", shown, values, budget, depth - 1)
            finally:
                os.close(inner)
        elif status is not None and stat.S_ISREG(status.st_mode):
            budget.count_file(shown)
            data = _read(folder, name, f"{shown}/{path}", budget)
            values[path] = value_files.value_of(name, data, {}, budget.limit)


def _read(folder: int, name: str, shown: str, budget: Budget) -> bytes:
    """Return a regular file's bytes; a link is not followed."""
    status = at.stat(folder, name)
    if not stat.S_ISREG(status.st_mode):
        raise VerificationError(f"the result {shown} is not a regular file")
    descriptor = at.open_regular(folder, name)
    with os.fdopen(descriptor, "rb", buffering=0) as file:
        size = os.fstat(descriptor).st_size
        if size > budget.left:
            raise budget.refuse(shown, size)
        # It may grow during reading: a process of the container may still have it open.
        data = bytearray()
        while chunk := file.read(min(_CHUNK, budget.left - len(data) + 1)):
            data += chunk
            if len(data) > budget.left:
                raise budget.refuse(shown, len(data))
    budget.left -= len(data)
    return bytes(data)
