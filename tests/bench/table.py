"""Rows of figures and the Markdown table they make."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

from tests.bench.turns import Series

BEGIN, END = "<!-- bench -->", "<!-- /bench -->"
_COLUMNS = ("Figure", "Ours", "Docker", "Ratio", "Target", "Reached")
_NOTE = (
    "Median (best) of rounds in which the engines take turns. Docker is always its command line, as"
    " `!docker` in a cell runs it."
)
_SCALES = {"ms": 1e3, "s": 1.0, "MB": 1.0}


@dataclass(frozen=True, slots=True)
class Row:
    """One figure.

    ``unit`` is ``ms`` or ``s`` for series of seconds and ``MB`` for series of megabytes.  The
    target is a ratio to the peer (``ratio``), an amount in the unit (``limit``), both, or absent:
    such a row is for information.
    """

    figure: str
    unit: str
    ours: Series
    peer: Series | None = None
    ratio: Fraction | None = None
    limit: float | None = None
    peer_name: str = "Docker"

    @property
    def measured_ratio(self) -> float | None:
        """Our median as a part of the peer's."""
        if self.peer is None or self.peer.median == 0:
            return None
        return self.ours.median / self.peer.median

    @property
    def reached(self) -> bool | None:
        """Whether the target is met; None when there is none."""
        verdicts = []
        if self.ratio is not None:
            measured = self.measured_ratio
            verdicts.append(measured is not None and measured <= self.ratio)
        if self.limit is not None:
            verdicts.append(self.ours.median * _SCALES[self.unit] <= self.limit)
        return all(verdicts) if verdicts else None

    def cells(self) -> tuple[str, ...]:
        """Return the texts of the row's cells."""
        measured = self.measured_ratio
        return (
            self.figure,
            self._amount(self.ours),
            self._amount(self.peer) if self.peer else "",
            "" if measured is None else f"{measured:.2f}",
            self._target(),
            {True: "yes", False: "**no**", None: ""}[self.reached],
        )

    def _target(self) -> str:
        even = self.ratio == 1
        ratio = "" if self.ratio is None else f"≤ {self.peer_name if even else self.ratio}"
        limit = "" if self.limit is None else f"≤ {self.limit:g} {self.unit}"
        return ", ".join(text for text in (limit, ratio) if text)

    def _amount(self, series: Series) -> str:
        scale = _SCALES[self.unit]
        digits = 0 if self.unit == "ms" else 2
        middle, best = (f"{v * scale:.{digits}f}" for v in (series.median, series.minimum))
        text = f"{middle} {self.unit}"
        return text if len(series.values) < 2 else f"{text} ({best})"


def markdown(rows: Sequence[Row], machine: str) -> str:
    """Return the table with its machine line, ending with a newline."""
    lines = [_line(_COLUMNS), "|---|--:|--:|--:|---|---|"]
    lines += [line_of(row) for row in rows]
    return "\n".join(lines) + f"\n\n{_NOTE}\n\n{machine}\n"


def updated(text: str, table: str, *, add: bool) -> str:
    """Return ``text`` with the rows of its table (between the two marks) replaced by new ones.

    Rows that were not measured stay; with ``add`` those that are not in the text come at its end.
    What stands below the rows, the machine among it, is the new table's.  Raises ValueError when
    the marks are not there exactly once, in order.
    """
    if text.count(BEGIN) != 1 or text.count(END) != 1 or text.index(BEGIN) > text.index(END):
        raise ValueError(f"no place for the table: {BEGIN} and {END} must stand there once")
    before, _, rest = text.partition(BEGIN)
    old, _, after = rest.partition(END)
    found, measured = _rows(old), _rows(table)
    kept = {figure: measured.get(figure, line) for figure, line in found.items()}
    rows = {**kept, **measured} if add or not found else kept
    head, below = table.splitlines()[:2], table.partition("\n\n")[2].strip()
    lines = "\n".join([*head, *rows.values()])
    return f"{before}{BEGIN}\n{lines}\n\n{below}\n{END}{after}"


def table_in(text: str) -> str:
    """Return the text between the two marks."""
    return text.partition(BEGIN)[2].partition(END)[0]


def _rows(table: str) -> dict[str, str]:
    """Return the lines of a table by their figures."""
    lines = [line for line in table.splitlines() if line.startswith("| ")]
    return {line.split(" | ")[0].removeprefix("| "): line for line in lines[1:]}


def line_of(row: Row) -> str:
    """Return a row as a line of the table."""
    return _line(row.cells())


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"
