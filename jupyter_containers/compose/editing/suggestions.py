"""Completion at a cursor: keys of the specification, their values, names of the application."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from jupyter_containers.compose.editing.cursor import Cursor, cursor_at, names_of, path_of
from jupyter_containers.compose.editing.reference import described
from jupyter_containers.compose.problems import Path, dotted
from jupyter_containers.compose.schema import CONDITIONS, PROJECT
from jupyter_containers.compose.shapes import Boolean, ListOf, MapOf, Object, Shape, Text
from jupyter_containers.lazy_dataclasses import dataclass

# ``names("image")`` returns the names of all images; so for network and volume.
Names = Callable[[str], Iterable[str]]

_WORDS = {
    "restart": ("no", "always", "on-failure", "unless-stopped"),
    "pull_policy": ("always", "build", "daily", "missing", "never", "weekly"),
    "protocol": ("tcp", "udp"),
    "network_mode": ("bridge", "host", "none"),
    "pid": ("host",),
    "condition": CONDITIONS,
    "cap_add": ("ALL", "NET_ADMIN", "NET_RAW", "SYS_ADMIN", "SYS_PTRACE", "SYS_TIME"),
    "cap_drop": ("ALL", "NET_RAW", "MKNOD"),
    "test": ("CMD", "CMD-SHELL", "NONE"),
}
# Fields of a service that name parts of the application: the section, and what follows the name.
_SERVICE_NAMES = {
    "depends_on": ("services", ""),
    "links": ("services", ""),
    "volumes_from": ("services", ""),
    "networks": ("networks", ""),
    "volumes": ("volumes", ":"),
    "secrets": ("secrets", ""),
    "configs": ("configs", ""),
}
_SHARED = ("network_mode", "ipc", "pid", "uts")


@dataclass(frozen=True, slots=True)
class Description:
    """A key of a Compose file: its path, what it means, and how it is written; columns from 0."""

    title: str
    words: str
    forms: tuple[str, ...]
    first_column: int
    last_column: int


def suggest(text: str, line: int, column: int, names: Names) -> tuple[str, list[str]]:
    """Return the word before a cursor and its possible replacements; lines count from 0."""
    lines = text.split("\n")
    cursor = cursor_at(lines, line, column)
    if cursor is None:
        return "", []
    found = dict.fromkeys(_candidates(lines, cursor, names))
    return cursor.token, [word for word in found if word.startswith(cursor.token)]


def describe(text: str, line: int, column: int) -> Description | None:
    """Return the description of the key at a position; None if there is none."""
    lines = text.split("\n")
    found = path_of(lines, line) if line < len(lines) else None
    if found is None:
        return None
    path, parts = found
    first, last = parts.column, parts.column + len(str(path[-1]))
    meaning = described(reference_key(path))
    if meaning is None or not first <= column <= last:
        return None
    title = dotted(tuple(step for step in path if step != 0))
    return Description(title, meaning.words, meaning.forms, first, last)


def shape_at(path: Path) -> Shape | None:
    """Return the shape of the value at a path; None if the specification has none."""
    shape: Shape | None = PROJECT
    for step in path:
        if isinstance(step, int):
            shape = shape.item if isinstance(shape, ListOf) else None
        elif isinstance(shape, Object):
            shape = shape.fields.get(step)
        else:
            shape = shape.item if isinstance(shape, MapOf) else None
        if shape is None:
            return None
    return shape


def reference_key(path: Path) -> str:
    """Return ``FIELD.KEY`` for the key at a path: the nearest field that it is in, and itself."""
    shape: Shape | None = PROJECT
    field, key = "", ""
    for step in path:
        key = ""
        if isinstance(step, int):
            shape = shape.item if isinstance(shape, ListOf) else None
        elif isinstance(shape, Object):
            key, field = f"{field}.{step}".lstrip("."), step
            shape = shape.fields.get(step)
        else:
            shape = shape.item if isinstance(shape, MapOf) else None
        if shape is None:
            return ""
    return key


def _candidates(lines: Sequence[str], cursor: Cursor, names: Names) -> Iterable[str]:
    path = cursor.path
    in_list = bool(path) and path[-1] == 0
    shape = shape_at(path)
    if not cursor.in_value and isinstance(shape, Object):
        yield from (f"{key}:" for key in shape.fields if key not in cursor.given)
    elif not cursor.in_value and not in_list:
        yield from _names_as_keys(lines, cursor)
        return
    field = next((step for step in reversed(path) if isinstance(step, str)), "")
    if isinstance(shape, Text):
        yield from shape.one_of
    elif isinstance(shape, Boolean):
        yield from ("true", "false")
    if cursor.in_value or in_list:
        yield from _WORDS.get(field, ())
        yield from _named(lines, path, in_list, names)


def _names_as_keys(lines: Sequence[str], cursor: Cursor) -> Iterable[str]:
    """Yield names for a mapping whose keys are services or networks."""
    match cursor.path:
        case ("services", own, "depends_on"):
            known = [name for name in names_of(lines, "services") if name != own]
        case ("services", _, "networks"):
            known = [*names_of(lines, "networks"), "default"]
        case _:
            return
    yield from (f"{name}:" for name in known if name not in cursor.given)


def _named(lines: Sequence[str], path: Path, in_list: bool, names: Names) -> Iterable[str]:
    match path:
        case ("services", own, field, 0) if in_list and field in _SERVICE_NAMES:
            section, after = _SERVICE_NAMES[str(field)]
            known = [name for name in names_of(lines, section) if name != own or after]
            yield from (f"{name}{after}" for name in known)
            if field == "networks":
                yield "default"
        case ("services", _, "volumes" | "secrets" | "configs" as field, 0, "source"):
            yield from names_of(lines, str(field))
        case ("services", own, "extends") | ("services", own, "extends", "service"):
            yield from (name for name in names_of(lines, "services") if name != own)
        case ("services", own, field) if field in _SHARED:
            known = [name for name in names_of(lines, "services") if name != own]
            yield from (f"service:{name}" for name in known)
        case ("services", _, "image"):
            yield from sorted(names("image"))
        case ("networks" | "volumes" as section, _, "name"):
            yield from sorted(names(str(section)[:-1]))
