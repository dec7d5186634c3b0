"""Mistakes in Compose files: detected by path, reported with file, line and column.

The passes over a model know only the path of a value (``services``, ``web``, ``ports``, 0); the
loader, which has the texts, turns a :class:`ModelError` into a
:class:`~jupyter_containers.errors.ComposeFileError` with the place and a caret.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable

Path = tuple[str | int, ...]


class FileError(Exception):
    """A file cannot be parsed; ``mark`` is line and column, counted from 0."""

    def __init__(
        self, message: str, *, mark: tuple[int, int] | None = None, hint: str = ""
    ) -> None:
        super().__init__(message)
        self.message, self.mark, self.hint = message, mark, hint


class ModelError(Exception):
    """The value at ``path`` is invalid, or with ``at_key`` its key."""

    def __init__(self, path: Path, message: str, *, hint: str = "", at_key: bool = False) -> None:
        super().__init__(message)
        self.path, self.message, self.hint, self.at_key = path, message, hint, at_key


def dotted(path: Path) -> str:
    """Return a path as messages show it: ``services.web.ports[0]``."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else step
    return text


def near(word: str, known: Iterable[str]) -> str:
    """Return a hint with the known words closest to ``word``, or an empty string."""
    names = list(known)
    if len(names) > 1000:
        return ""
    matches = difflib.get_close_matches(word, names, n=3, cutoff=0.6)
    return f"did you mean {' or '.join(matches)}?" if matches else ""
