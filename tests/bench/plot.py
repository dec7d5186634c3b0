"""The picture of the table: for each figure with a peer, our time as a part of the peer's.

An SVG by hand: two dozen bars need no plotting library among the dependencies.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from html import escape

_WIDTH, _BAR, _GAP, _LEFT, _TOP = 980, 16, 8, 430, 46
_FULL = 330  # pixels of a bar as long as the peer's
_STYLE = """<style>
text{font:13px system-ui,sans-serif;fill:#1f2937}
.s{font-size:12px;fill:#6b7280}
.o{fill:#f97316}
.b{fill:#ef4444}
.p{stroke:#94a3b8;stroke-width:1.5;stroke-dasharray:5 4}
</style>"""


@dataclass(frozen=True, slots=True)
class Bar:
    """One figure: the ``ratio`` of this engine to the peer, and the two amounts as text."""

    figure: str
    ours: str
    peer: str
    ratio: float


def bars(table: str) -> list[Bar]:
    """Return the figures of a Markdown table that have a peer and a target, in its order."""
    found = []
    for line in table.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) == 6 and re.fullmatch(r"\d+\.\d+", cells[3]) and cells[4]:
            amounts = [re.sub(r" \(.*\)", "", cell) for cell in cells[1:3]]
            found.append(Bar(cells[0].replace("`", ""), *amounts, float(cells[3])))
    return found


def svg(table: str) -> str:
    """Return the picture; times longer than 1.25 of the peer's are cut off there."""
    found = bars(table)
    height = _TOP + len(found) * (_BAR + _GAP) + 16
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {height}" role="img"'
        ' aria-label="Our times as parts of the peers\' times">',
        _STYLE,
        f'<rect width="{_WIDTH}" height="{height}" rx="8" fill="#ffffff"/>',
        f'<text class="s" x="{_LEFT}" y="20">shorter is faster</text>',
        f'<text class="s" x="{_LEFT + _FULL}" y="20" text-anchor="middle">the peer\'s time</text>',
        f'<line class="p" x1="{_LEFT + _FULL}" x2="{_LEFT + _FULL}" y1="28" y2="{height - 10}"/>',
    ]
    for number, bar in enumerate(found):
        top = _TOP + number * (_BAR + _GAP)
        width = max(2, round(min(bar.ratio, 1.25) * _FULL))
        kind = "o" if bar.ratio <= 1 else "b"
        told = f"{bar.ours} : {bar.peer}"
        lines += [
            f'<text x="{_LEFT - 10}" y="{top + 13}" text-anchor="end">{escape(_short(bar.figure))}'
            "</text>",
            f'<rect class="{kind}" x="{_LEFT}" y="{top}" width="{width}" height="{_BAR}" rx="3"/>',
            f'<text class="s" x="{_LEFT + width + 6}" y="{top + 12}">{escape(told)}</text>',
        ]
    return "\n".join([*lines, "</svg>"]) + "\n"


def _short(figure: str) -> str:
    return figure if len(figure) <= 62 else figure[:60].rstrip() + " …"
