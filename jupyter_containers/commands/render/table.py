"""Columns, and rows of text laid out under them.

A *row* is a mapping from Docker's field names (``Names``) to texts; a *column* names one of them
and its heading (``NAMES``).
"""

from __future__ import annotations

import html
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jupyter_containers.commands.render.ansi import strip_ansi

Row = Mapping[str, object]
_GAP = 3


@dataclass(frozen=True, slots=True)
class Column:
    """One column: ``field`` is the name in templates, ``heading`` the word above."""

    field: str
    heading: str


def text_table(columns: Sequence[Column], rows: Sequence[Row]) -> str:
    """Return the table as Docker prints it: headings, three blanks between columns."""
    cells = [[column.heading for column in columns]]
    cells += [[cell_text(row.get(column.field, "")) for column in columns] for row in rows]
    return aligned(cells)


def aligned(cells: Sequence[Sequence[str]]) -> str:
    """Return lines whose cells begin in the same places."""
    count = max((len(line) for line in cells), default=0)
    widths = [max(len(line[i]) for line in cells if i < len(line)) for i in range(count)]
    lines = []
    for line in cells:
        padded = [f"{cell:<{widths[i] + _GAP}}" for i, cell in enumerate(line[:-1])]
        lines.append("".join([*padded, *line[-1:]]).rstrip())
    return "\n".join(lines)


def cell_text(value: object) -> str:
    """Return a value on one line; sequences are joined with commas."""
    if isinstance(value, (list, tuple)):
        return ", ".join(str(item) for item in value)
    # Names, labels and commands come from images: no control sequence may reach a terminal.
    return " ".join(strip_ansi(str(value)).split("\n"))


_TABLE = "border-collapse:collapse;font-size:var(--jp-ui-font-size1,13px);margin:2px 0"
_HEAD = (
    "text-align:left;padding:3px 14px 3px 0;font-weight:600;white-space:nowrap;"
    "color:var(--jp-ui-font-color2,inherit);"
    "border-bottom:1px solid var(--jp-border-color1,rgba(128,128,128,.6))"
)
_CELL = (
    "text-align:left;vertical-align:top;padding:3px 14px 3px 0;"
    "color:var(--jp-ui-font-color1,inherit);"
    "border-bottom:1px solid var(--jp-border-color2,rgba(128,128,128,.3))"
)
_MONO = ";font-family:var(--jp-code-font-family,monospace)"
_CODE_FIELDS = frozenset(
    {"ID", "Image", "Command", "Digest", "CreatedBy", "Container", "Mountpoint"}
)


def html_table(columns: Sequence[Column], rows: Sequence[Row], empty: str = "") -> str:
    """Return a static HTML table that follows the page's light or dark theme."""
    head = "".join(f'<th style="{_HEAD}">{html.escape(column.heading)}</th>' for column in columns)
    body = "".join(f"<tr>{_html_cells(columns, row)}</tr>" for row in rows)
    if not rows and empty:
        style = f"{_CELL};opacity:.7"
        body = f'<tr><td colspan="{len(columns)}" style="{style}">{html.escape(empty)}</td></tr>'
    return f'<table style="{_TABLE}"><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>'


def _html_cells(columns: Sequence[Column], row: Row) -> str:
    cells = []
    for column in columns:
        style = _CELL + (_MONO if column.field in _CODE_FIELDS else "")
        text = html.escape(cell_text(row.get(column.field, "")))
        cells.append(f'<td style="{style}">{text}</td>')
    return "".join(cells)
