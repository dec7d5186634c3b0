"""Where the services of an application are drawn: columns from those that need to those needed.

A service stands in the column after all that need it, so edges lead to the right.  A column has at
most :data:`MOST_ROWS` services; more of one rank take the next column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

MOST_ROWS = 6


def placed(needs: Mapping[str, Sequence[str]]) -> dict[str, tuple[int, int]]:
    """Return column and row by service; ``needs`` has every service, in the order of a file."""
    ranks = _ranks(needs)
    columns: list[list[str]] = []
    for rank in range(max(ranks.values(), default=-1) + 1):
        members = [name for name in needs if ranks[name] == rank]
        if columns:
            above = {name: row for column in columns for row, name in enumerate(column)}
            members.sort(key=lambda name: _middle(name, needs, above))
        columns += [
            members[first : first + MOST_ROWS] for first in range(0, len(members), MOST_ROWS)
        ]
    return {name: (x, y) for x, column in enumerate(columns) for y, name in enumerate(column)}


def edges(needs: Mapping[str, Sequence[str]]) -> Iterator[tuple[str, str]]:
    """Yield who needs whom, among the services that are there."""
    for name, others in needs.items():
        for other in others:
            if other in needs and other != name:
                yield name, other


def _ranks(needs: Mapping[str, Sequence[str]]) -> dict[str, int]:
    ranks = dict.fromkeys(needs, 0)
    # Each round settles a rank at least; a circle, which no file may have, ends with the rounds.
    for _ in needs:
        changed = False
        for name, other in edges(needs):
            if ranks[other] <= ranks[name] < len(needs):
                ranks[other] = ranks[name] + 1
                changed = True
        if not changed:
            break
    used = sorted(set(ranks.values()))
    return {name: used.index(rank) for name, rank in ranks.items()}


def _middle(name: str, needs: Mapping[str, Sequence[str]], above: Mapping[str, int]) -> float:
    rows = [above[user] for user, others in needs.items() if name in others and user in above]
    return sum(rows) / len(rows) if rows else 0.0
