"""The position of a cursor in the unfinished text of a Compose file.

Indentation decides, as it does in YAML: the *path* of a line are the keys above it that are
indented less. Items of lists count as 0; flow collections are read in one line only.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

from jupyter_containers.compose.problems import Path
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern

_KEY = pattern(r"""("[^"]*"|'[^']*'|[^\s#:'"\[\]{},&*!|>%@-][^:#]*?|-[^\s:#][^:#]*?)\s*:(?=\s|$)""")
_BLOCK = pattern(r"[|>][-+0-9]*\s*(#.*)?$")
_LONGEST = 2000


@dataclass(frozen=True, slots=True)
class Line:
    """One line: the columns of its dashes, its key and where that is, the column of the rest."""

    dashes: tuple[int, ...]
    key: str | None
    column: int
    rest: int

    @property
    def indent(self) -> int:
        """The column of the first character."""
        return self.dashes[0] if self.dashes else self.column


@dataclass(frozen=True, slots=True)
class Cursor:
    """The context of the word at a cursor.

    ``path`` leads to the mapping or list that holds the word; with ``in_value`` to the key whose
    value it is.  ``token`` is the word up to the cursor, ``given`` are keys that the mapping has.
    """

    path: Path
    token: str
    in_value: bool = False
    given: frozenset[str] = frozenset()


def read_line(text: str) -> Line | None:
    """Return the parts of a line; None for a blank one and for a comment."""
    column, dashes = len(text) - len(text.lstrip(" ")), []
    while text[column : column + 1] == "-" and text[column + 1 : column + 2] in ("", " "):
        dashes.append(column)
        column += 1
        column += len(text[column:]) - len(text[column:].lstrip(" "))
    if not dashes and (column == len(text) or text[column] == "#"):
        return None
    found = _KEY.match(text[:_LONGEST], column)
    if found is None:
        return Line(tuple(dashes), None, column, column)
    rest = found.end() + len(text[found.end() :]) - len(text[found.end() :].lstrip(" "))
    return Line(tuple(dashes), found[1].strip("\"'"), column, rest)


def cursor_at(lines: Sequence[str], number: int, column: int) -> Cursor | None:
    """Return the context of a cursor; None in a comment or a block scalar."""
    before = lines[number][:column]
    if "\t" in before or re.search(r"(^|\s)#", before):
        return None
    line = read_line(before) or Line((), None, len(before), len(before))
    path, in_block = _above(lines, number, line)
    if in_block:
        return None
    path = (*path, *(0 for _ in line.dashes))
    if line.key is None:
        token = before[line.column :]
        given = frozenset(_given(lines, number, line.column))
        return Cursor(path, _word(token), given=given) if _plain(token) else None
    if line.rest > len(before) or before[line.rest - 1 : line.rest] == ":":
        return None  # a blank must follow the colon
    value = before[line.rest :]
    if value[:1] in ("[", "{"):
        items = re.split(r"[\[,]\s*", value)
        return Cursor((*path, line.key, 0), _word(items[-1])) if value[0] == "[" else None
    return Cursor((*path, line.key), _word(value), in_value=True) if _plain(value) else None


def path_of(lines: Sequence[str], number: int) -> tuple[Path, Line] | None:
    """Return the path of the key in a line, and the line's parts; None if there is no key."""
    line = read_line(lines[number])
    if line is None or line.key is None:
        return None
    path, in_block = _above(lines, number, line)
    return None if in_block else ((*path, *(0 for _ in line.dashes), line.key), line)


def names_of(lines: Sequence[str], section: str) -> list[str]:
    """Return the names that a section of the text declares."""
    found: list[str] = []
    inside, depth = False, 0
    for text in lines:
        line = read_line(text)
        if line is None:
            continue
        if line.indent == 0:
            inside, depth = line.key == section, 0
        elif inside and line.key is not None and not line.dashes:
            depth = depth or line.column
            if line.column == depth:
                found.append(line.key)
    return list(dict.fromkeys(found))


def _above(lines: Sequence[str], number: int, line: Line) -> tuple[Path, bool]:
    """Return the path to the parent of a line, and whether that is a block scalar."""
    path: list[str | int] = []
    limit, in_item = line.indent, bool(line.dashes)
    for text in reversed(lines[:number]):
        above = read_line(text)
        if above is None:
            continue
        if above.key is not None:
            nearer = above.column < limit or (
                in_item and above.column == limit and not above.dashes
            )
            if nearer:
                if _BLOCK.match(text[above.rest :]):
                    return (), True
                path.append(above.key)
                limit, in_item = above.column, False
        elif above.dashes and above.column < limit and _BLOCK.match(text[above.rest :]):
            return (), True
        for dash in reversed(above.dashes):
            if dash < limit:
                path.append(0)
                limit, in_item = dash, True
        if limit == 0 and not in_item:
            break
    return tuple(reversed(path)), False


def _given(lines: Sequence[str], number: int, column: int) -> Iterator[str]:
    """Yield the keys beside a line, in the same mapping."""
    for way in (reversed(lines[:number]), iter(lines[number + 1 :])):
        for text in way:
            line = read_line(text)
            if line is None:
                continue
            if line.column == column and line.key is not None:
                yield line.key
            if line.column < column or (line.dashes and line.indent < column):
                break


def _plain(text: str) -> bool:
    return text[:1] not in ("&", "*", "!", "|", ">", "%", "@")


def _word(text: str) -> str:
    return text[1:] if text[:1] in ('"', "'") else text
