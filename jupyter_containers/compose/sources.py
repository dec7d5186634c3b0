"""The texts that a project is read from, and the places of mistakes in them."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from jupyter_containers.compose.nodes import MAX_BYTES, Node, place, reach, read_nodes, value_of
from jupyter_containers.compose.problems import FileError, ModelError
from jupyter_containers.errors import ComposeFileError, SourceLocation
from jupyter_containers.lazy_dataclasses import dataclass, field


@dataclass(slots=True)
class Text:
    """One file; ``name`` is its name in messages, ``path`` is empty for a cell."""

    name: str
    text: str
    path: str = ""
    nodes: list[Node] = field(default_factory=list)


class Sources:
    """Reads each file once and keeps its nodes; names in messages are relative to ``folder``."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._texts: dict[str, Text] = {}
        self._current: Text | None = None

    def read(self, path: str) -> Text:
        """Return a file's text."""
        if path not in self._texts:
            self._texts[path] = self._read(path)
        return self._texts[path]

    def _read(self, path: str) -> Text:
        name = os.path.relpath(path, self._folder) if path.startswith(self._folder + "/") else path
        self._current = Text(name, "", path)
        try:
            with open(path, "rb") as file:
                data = file.read(MAX_BYTES + 1)
        except OSError as error:
            raise FileError(f"cannot be read: {error.strerror or error}") from error
        if len(data) > MAX_BYTES:
            raise FileError(f"the file is larger than {MAX_BYTES // 1024 // 1024} MiB")
        if b"\0" in data:
            raise FileError("not a text file: it contains null bytes")
        try:
            text = data.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            before = data[: error.start]
            line = before.count(b"\n")
            raise FileError("not UTF-8", mark=(line, 0)) from error
        return Text(name, text, path)

    def documents(self, text: Text) -> list[Any]:
        """Return the values of a text's documents."""
        self._current = text
        self._texts.setdefault(text.path or text.name, text)
        if not text.nodes:
            text.nodes = read_nodes(text.text)
        return [value_of(node) for node in text.nodes]

    @contextlib.contextmanager
    def reported(self) -> Iterator[None]:
        """Convert problems to :class:`ComposeFileError` with their place."""
        try:
            yield
        except FileError as problem:
            text = self._current or Text("compose.yaml", "")
            raise ComposeFileError(
                problem.message, location=_location(text, problem.mark), hint=problem.hint
            ) from problem
        except ModelError as problem:
            text, mark = self._find(problem)
            raise ComposeFileError(
                problem.message, location=_location(text, mark), hint=problem.hint
            ) from problem

    def _find(self, problem: ModelError) -> tuple[Text, tuple[int, int] | None]:
        """Return the file and the place that match a path best; the last file is tried first."""
        best: tuple[int, Text, tuple[int, int]] | None = None
        for text in reversed(self._texts.values()):
            for node in text.nodes:
                depth = reach(node, problem.path)
                if best is None or depth > best[0]:
                    best = (depth, text, place(node, problem.path, at_key=problem.at_key))
        if best is None:
            return self._current or Text("compose.yaml", ""), None
        return best[1], best[2]


def _location(text: Text, mark: tuple[int, int] | None) -> SourceLocation:
    if mark is None:
        return SourceLocation(text.name, 1, 1)
    lines = text.text.splitlines()
    line, column = mark
    excerpt = (lines[line][:500],) if line < len(lines) else ()
    written = excerpt[0][column:] if excerpt else ""
    word = written.split(":")[0].split(",")[0].split("}")[0].rstrip() or " "
    return SourceLocation(text.name, line + 1, line + 1, excerpt, (0, column, len(word)))
