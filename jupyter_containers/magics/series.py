"""Cells that build an image step by step: each ``%%dockerfile --continue`` extends the one before.

A *series* begins with a cell without ``--continue``, followed by those that have it, in the order
in which they first ran.  A cell that runs again keeps its place.  If that changes its image, the
later ones are *stale*: they extend the old image until they run again.  The state is lost when the
kernel restarts; the images stay.
"""

from __future__ import annotations

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass


@dataclass(slots=True)
class Link:
    """One cell: its identity, the number of its last prompt, its image, and its base image."""

    cell: str
    label: str
    image: str
    below: str = ""


class SeriesOfCells:
    """All series of a kernel."""

    def __init__(self) -> None:
        self._series: list[list[Link]] = []

    def below(self, cell: str) -> Link:
        """Return the link that ``cell`` continues: the previous one, or the latest of all."""
        series, index = self._find(cell)
        if series and index > 0:
            return series[index - 1]
        others = [one for one in self._series if one[0].cell != cell]
        if not others:
            raise InvalidArgumentError(
                "there is no cell to continue",
                hint="run a %%dockerfile cell without --continue first",
            )
        return others[-1][-1]

    def warning(self, link: Link) -> str:
        """Return a warning about extending ``link``; empty if it is up to date."""
        series, index = self._find(link.cell)
        for number in range(1, index + 1):
            if series[number].below != series[number - 1].image:
                changed, stale = series[number - 1].label, series[number].label
                return (
                    f"{link.label} is stale: {changed} has changed since {stale} was built on it; "
                    f"run {stale} again first"
                )
        return ""

    def begun(self, cell: str, label: str, image: str) -> list[str]:
        """Record a cell that begins a series; return the labels of cells that are now stale."""
        series, index = self._find(cell)
        if series and index > 0:
            series.pop(index)
            series = []
        if not series:
            series = [Link(cell, label, image)]
        else:
            self._series.remove(series)
            series[0] = Link(cell, label, image)
        self._series.append(series)
        return _stale(series, 0)

    def continued(self, cell: str, label: str, image: str, below: Link) -> list[str]:
        """Record a cell that continues another; return the labels of cells that are now stale."""
        series, index = self._find(cell)
        if not (series and index > 0):
            self._series = [one for one in self._series if one[0].cell != cell]
            series, before = self._find(below.cell)
            index = before + 1
            series.insert(index, Link(cell, label, image))
        series[index] = Link(cell, label, image, below.image)
        self._series.remove(series)
        self._series.append(series)
        return _stale(series, index)

    def _find(self, cell: str) -> tuple[list[Link], int]:
        for series in self._series:
            for index, link in enumerate(series):
                if link.cell == cell:
                    return series, index
        return [], -1


def _stale(series: list[Link], index: int) -> list[str]:
    """Return the labels of the cells after ``index`` if the next one extends another image."""
    above = series[index + 1 :]
    if not above or above[0].below == series[index].image:
        return []
    return [link.label for link in above]
