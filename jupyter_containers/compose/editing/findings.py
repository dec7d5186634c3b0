"""Finds all mistakes of a Compose file at once, each with its position.

``load`` raises only the first mistake; an editor shows all of them.  So each field is
checked by itself, and only a text without mistakes of that kind is read as a whole.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from typing import Any

from jupyter_containers.compose.interpolation import interpolated
from jupyter_containers.compose.loading import LoadOptions, load
from jupyter_containers.compose.nodes import Marked, Node, place, read_nodes, value_of
from jupyter_containers.compose.problems import FileError, ModelError, Path
from jupyter_containers.compose.schema import PROJECT
from jupyter_containers.compose.shapes import MapOf, Object, Shape
from jupyter_containers.compose.variables import environment_of
from jupyter_containers.errors import ComposeFileError, ContainersError, SourceLocation
from jupyter_containers.lazy_dataclasses import dataclass, field

_MOST = 100
# Variables that Compose sets itself.
_GIVEN = {"COMPOSE_PROJECT_NAME": "project"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One mistake or warning: lines and columns count from 0."""

    message: str
    line: int
    column: int
    length: int
    is_error: bool = True


@dataclass(frozen=True, slots=True)
class Checked:
    """A text to check.

    ``folder`` is the one of its relative paths; where it is empty nothing outside the text is
    read. ``partial`` is a file that is laid over others, and so need not be complete.
    """

    text: str
    folder: str = ""
    partial: bool = False
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ))


def find(checked: Checked) -> list[Finding]:
    """Return the findings in a text, by line."""
    if not checked.text.strip():
        return []
    found = list(dict.fromkeys(_found(checked)))
    return sorted(found, key=lambda one: (one.line, one.column))[:_MOST]


def _found(checked: Checked) -> Iterator[Finding]:
    text = checked.text
    try:
        nodes = read_nodes(text)
        documents = [value_of(node) for node in nodes]
    except FileError as problem:
        yield _finding(text, problem.mark or (0, 0), problem.message, problem.hint)
        return
    wrong = False
    for node, document in zip(nodes, documents, strict=True):
        if not isinstance(document, dict):
            yield _finding(text, (0, 0), "the top level of a Compose file must be a mapping", "")
            return
        if "version" in document:
            mark = place(node, ("version",), at_key=True)
            yield _finding(text, mark, "version is obsolete: it is ignored", "", is_error=False)
        for mistake in _problems(document, checked):
            wrong = True
            yield _at(text, node, mistake)
    yield from _unset(documents, checked)
    if not wrong and not checked.partial:
        yield from _whole(checked, documents)


def _problems(document: dict[str, Any], checked: Checked) -> Iterator[ModelError]:
    """Yield the mistakes of single fields."""
    try:
        document = interpolated(document, _environment(checked), lambda _: None)
    except ModelError as problem:
        yield problem
        return
    yield from _fields(PROJECT, document, ())


def _fields(shape: Shape, value: Any, path: Path) -> Iterator[ModelError]:
    """Yield the mistakes below a value: each key of projects and services is checked alone."""
    parts: Iterator[tuple[str, Shape]] | None = None
    if isinstance(value, dict) and len(path) < 3:
        if isinstance(shape, MapOf):
            parts = ((key, shape.item) for key in value)
        elif isinstance(shape, Object) and path[:1] in ((), ("services",)):
            parts = ((key, shape.fields[key]) for key in value if key in shape.fields)
            unknown = {key: value[key] for key in value if key not in shape.fields}
            yield from (one for key in unknown for one in _checked(shape, {key: None}, path))
    if parts is None or not isinstance(value, dict):
        yield from _checked(shape, value, path)
        return
    tags = value.tags if isinstance(value, Marked) else {}
    for key, part in parts:
        if key not in tags and (value[key] is not None or path):
            yield from _fields(part, value[key], (*path, key))


def _checked(shape: Shape, value: Any, path: Path) -> Iterator[ModelError]:
    try:
        shape.check(value, path)
    except ModelError as problem:
        yield problem


def _whole(checked: Checked, documents: list[Any]) -> Iterator[Finding]:
    """Yield the first mistake of the project as a whole."""
    reads = ("include", "extends", "env_file", "label_file")
    services = [
        one for document in documents for one in (document.get("services") or {}).values() if one
    ]
    outside = any(key in one for one in (*documents, *services) for key in reads)
    if outside and not checked.folder:
        return
    try:
        load(
            LoadOptions(
                text=checked.text,
                folder=checked.folder or os.sep,
                name="checked",
                profiles=("*",),
                environment=_environment(checked),
                env_files=(),
            )
        )
    except ComposeFileError as error:
        yield _located(checked.text, error)
    except ContainersError as error:
        yield _finding(checked.text, _mentioned(checked.text, error.message), error.message, "")


def _unset(documents: list[Any], checked: Checked) -> Iterator[Finding]:
    """Yield a warning at the first use of each variable without a value."""
    names: dict[str, None] = {}
    for document in documents:
        try:
            interpolated(document, _environment(checked), names.setdefault)
        except ModelError:
            return
    for name in names:
        if name in _GIVEN:
            continue
        match = re.search(rf"(?<!\$)\$(\{{)?{re.escape(name)}\b\}}?", checked.text)
        start = match.start() if match else 0
        line = checked.text.count("\n", 0, start)
        column = start - (checked.text.rfind("\n", 0, start) + 1)
        words = f"the variable {name} is not set: it is replaced by nothing"
        length = len(match[0]) if match else 1
        yield Finding(words, line, column, length, is_error=False)


def _environment(checked: Checked) -> dict[str, str]:
    if not checked.folder:
        return dict(checked.environment)
    try:
        return environment_of(checked.environment, None, checked.folder)
    except ContainersError:
        return dict(checked.environment)  # a broken .env is reported when the file is used


def _at(text: str, node: Node, problem: ModelError) -> Finding:
    mark = place(node, problem.path, at_key=problem.at_key)
    return _finding(text, mark, problem.message, problem.hint)


def _located(text: str, error: ComposeFileError) -> Finding:
    """Return an error as a finding; one of another file is placed where the text names it."""
    where: SourceLocation = error.location
    message = error.message.removeprefix(f"{where}: ")
    if where.filename != "the cell":
        return _finding(text, _mentioned(text, where.filename), error.message, error.hint)
    column = where.mark[1] if where.mark else 0
    return _finding(text, (where.first_line - 1, column), message, error.hint)


def _mentioned(text: str, message: str) -> tuple[int, int]:
    """Return the position at which the text names the file of a message."""
    for word in re.findall(r"[\w./-]*\w\.?\w*", message):
        name = os.path.basename(word)
        if len(name) < 4 or "." not in name:
            continue
        for number, line in enumerate(text.split("\n")):
            if (column := line.find(name)) >= 0:
                return number, column
    return 0, 0


def _finding(
    text: str, mark: tuple[int, int], message: str, hint: str, *, is_error: bool = True
) -> Finding:
    line, column = mark
    lines = text.split("\n")
    if line >= len(lines) or not lines[line].strip():  # YAML misses something at the end
        line = max((n for n, one in enumerate(lines) if one.strip() and n <= line), default=0)
        column = 0
    written = lines[line][column:]
    if written and written[0].isspace():  # YAML's own mark may be in the indentation
        column += len(written) - len(written.lstrip())
        written = written.lstrip()
    word = re.match(r"""("[^"]*"|'[^']*'|[^:,}\]#]*)""", written)
    length = len(word[0].rstrip()) if word else 0
    words = f"{message} ({hint})" if hint else message
    return Finding(words, line, column, max(length, 1), is_error)
