"""The explanation of a container as text for terminals and static HTML for notebooks."""

from __future__ import annotations

import textwrap
from itertools import zip_longest
from typing import Any

from jupyter_containers.commands.render.results import Plain, Showable
from jupyter_containers.commands.render.table import Column, Row, html_table, text_table
from jupyter_containers.lazy_modules import html

_COLUMNS = (Column("What", "WHAT"), Column("Inside", "INSIDE"), Column("Outside", "OUTSIDE"))
_LINES_OPEN = 15
_WIDTH = 50  # characters of a cell in a text
_TITLE = "margin:12px 0 2px 0;font-size:var(--jp-ui-font-size2,14px);font-weight:600"
_SENTENCE = "margin:0 0 4px 0;opacity:.8;max-width:52em"


class Explained(Showable, Plain):
    """A container seen from inside and outside; ``explanation`` is the engine's value."""

    def __init__(self, explanation: Any) -> None:
        self.explanation = explanation

    def __getattr__(self, name: str) -> Any:
        return getattr(self.explanation, name)

    def __str__(self) -> str:
        parts = [self._title()]
        for section in self.explanation.sections:
            parts.append(f"\n{section.title}\n{section.sentence}\n")
            parts.append(
                text_table(_COLUMNS, [row for line in _rows(section) for row in _folded(line)])
            )
        return "\n".join(parts)

    def _title(self) -> str:
        value = self.explanation
        state = "" if value.running else " (not running: start it to see the rest)"
        return f"{value.name}, a container of {value.image}{state}"

    def _repr_html_(self) -> str:
        parts = [f'<div style="{_TITLE}">{html.escape(self._title())}</div>']
        return "".join([*parts, *map(_section_html, self.explanation.sections)])


def _section_html(section: Any) -> str:
    state = " open" if len(section.lines) <= _LINES_OPEN else ""
    return (
        f'<details{state}><summary style="{_TITLE}">{html.escape(section.title)}</summary>'
        f'<p style="{_SENTENCE}">{html.escape(section.sentence)}</p>'
        f"{html_table(_COLUMNS, _rows(section))}</details>"
    )


def _rows(section: Any) -> list[Row]:
    return [
        {"What": line.what, "Inside": line.inside, "Outside": line.outside}
        for line in section.lines
    ]


def _folded(row: Row) -> list[Row]:
    """Return a row with long texts as several lines; paths are not broken."""
    cells = [
        textwrap.wrap(str(text), _WIDTH, break_long_words=False, break_on_hyphens=False)
        for text in row.values()
    ]
    return [dict(zip(row, line, strict=True)) for line in zip_longest(*cells, fillvalue="")]
