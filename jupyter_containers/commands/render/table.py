"""Columns, and rows of text laid out under them.

A *row* is a mapping from Docker's field names (``Names``) to texts; a *column* is one of the names
with its heading (``NAMES``).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import html
from jupyter_containers.printable import printable

Row = Mapping[str, object]
_GAP = 3  # spaces between columns
DOCKERS_NARROWEST = 10  # the minimum width of a column in lists that also exist in Docker


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``field`` is its name in templates, ``heading`` its title."""

    field: str
    heading: str


class LazyRow(Mapping[str, object]):
    """A row of one item whose fields are computed on access: a table shows few of them.

    ``makers`` compute a field's value from the item.
    """

    __slots__ = ("_item", "_makers")

    def __init__(self, makers: Mapping[str, Callable[[Any], object]], item: object) -> None:
        self._makers, self._item = makers, item

    def __getitem__(self, field: str) -> object:
        return self._makers[field](self._item)

    def get(self, field: str, default: object = None) -> object:
        """Return the field; faster than Mapping's own, which raises and catches an exception."""
        maker = self._makers.get(field)
        return default if maker is None else maker(self._item)

    def __iter__(self) -> Iterator[str]:
        return iter(self._makers)

    def __len__(self) -> int:
        return len(self._makers)


def text_table(columns: Sequence[Column], rows: Sequence[Row], narrowest: int = 0) -> str:
    """Return the table in Docker's format: headings, three spaces between columns.

    ``narrowest`` is the minimum width of a column, including spaces.
    """
    cells = [[column.heading for column in columns]]
    cells += [[cell_text(row.get(column.field, "")) for column in columns] for row in rows]
    return aligned(cells, narrowest)


def aligned(cells: Sequence[Sequence[str]], narrowest: int = 0) -> str:
    """Return lines with aligned cells."""
    count = max((len(line) for line in cells), default=0)
    widths = [max(len(line[i]) for line in cells if i < len(line)) for i in range(count)]
    places = [max(width + _GAP, narrowest) for width in widths]
    lines = []
    for line in cells:
        padded = [cell.ljust(places[i]) for i, cell in enumerate(line[:-1])]
        lines.append("".join([*padded, *line[-1:]]).rstrip())
    return "\n".join(lines)


def cell_text(value: object) -> str:
    """Return a value on one line; sequences are joined with commas."""
    if type(value) is str:
        text = value
    elif isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    else:
        text = str(value)
    if text.isprintable():
        return text
    return " ".join(printable(text).split("\n"))


_FRAME = "overflow-x:auto;max-width:100%"
# Colour and size are inherited by the cells; the rest is set for each, because pages set it too.
_TABLE = (
    "border-collapse:collapse;font-size:var(--jp-ui-font-size1,13px);margin:2px 0;"
    "color:var(--jp-ui-font-color1,inherit)"
)
_ROW = "border-bottom:1px solid var(--jp-border-color2,rgba(128,128,128,.3))"
_HEAD = (
    "text-align:left;padding:3px 14px 3px 0;font-weight:600;white-space:nowrap;"
    "color:var(--jp-ui-font-color2,inherit);"
    "border-bottom:1px solid var(--jp-border-color1,rgba(128,128,128,.6))"
)
_CELL = "text-align:left;vertical-align:top;padding:3px 14px 3px 0"
# Dollar signs are a shell's, not formulas for MathJax (version 2, and later ones).
NO_MATH = 'class="tex2jax_ignore mathjax_ignore"'
_MONO = ";font-family:var(--jp-code-font-family,monospace)"
_WHOLE = "white-space:nowrap"
_CODE_FIELDS = frozenset(
    {"ID", "Image", "Command", "Digest", "CreatedBy", "Container", "Mountpoint"}
)
# A line break within one of these would be mistaken for a part of it.
_WHOLE_FIELDS = frozenset({"Names", "Name", "Size", "MemUsage", "NetIO", "BlockIO", "What"})
_BROKEN = "overflow-wrap:anywhere;min-width:22em"
# Paths of control groups and layers are longer than a page is wide.
_BROKEN_FIELDS = frozenset({"Outside"})
_SHORT = 24  # characters; "128.0 MiB" beside such a path stays on one line
_WHOLE_CODE = 45  # characters; longer code may break anywhere
_MARK_COLOURS = {
    "✓": "var(--jp-success-color1,#2a8f4d)",
    "✗": "var(--jp-error-color1,#d14343)",
}


def html_table(columns: Sequence[Column], rows: Sequence[Row], empty: str = "") -> str:
    """Return a static HTML table that follows the page's light or dark theme."""
    head = "".join(f'<th style="{_HEAD}">{html.escape(column.heading)}</th>' for column in columns)
    body = "".join(f'<tr style="{_ROW}">{_html_cells(columns, row)}</tr>' for row in rows)
    if not rows and empty:
        style = f"{_CELL};opacity:.7"
        body = f'<tr><td colspan="{len(columns)}" style="{style}">{html.escape(empty)}</td></tr>'
    table = f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'
    return f'<div {NO_MATH} style="{_FRAME}">{table}</div>'


def _html_cells(columns: Sequence[Column], row: Row) -> str:
    cells = []
    for column in columns:
        value = row.get(column.field, "")
        style = _CELL + (_MONO if column.field in _CODE_FIELDS else "")
        short_code = column.field in _CODE_FIELDS and len(cell_text(value)) <= _WHOLE_CODE
        short_side = column.field == "Inside" and len(cell_text(value)) <= _SHORT
        if short_code or short_side or column.field in _WHOLE_FIELDS:
            style += f";{_WHOLE}"
        elif column.field in _CODE_FIELDS or column.field in _BROKEN_FIELDS:
            style += f";{_BROKEN}"
        if isinstance(value, str) and value in _MARK_COLOURS:
            style += f";color:{_MARK_COLOURS[value]}"
        cells.append(f'<td style="{style}">{_html_value(value)}</td>')
    return "".join(cells)


def _html_item(item: object) -> str:
    show = getattr(item, "_repr_html_", None)  # a link
    return str(show()) if show else html.escape(cell_text(item))


def _html_value(value: object) -> str:
    if isinstance(value, (list, tuple)):
        return ", ".join(f'<span style="{_WHOLE}">{_html_item(item)}</span>' for item in value)
    return html.escape(cell_text(value))
