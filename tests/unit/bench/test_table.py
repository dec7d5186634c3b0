from __future__ import annotations

from fractions import Fraction

import pytest

from tests.bench.table import BEGIN, END, Row, markdown, updated
from tests.bench.turns import Series, in_turns


def series(*values: float) -> Series:
    return Series(values)


@pytest.mark.parametrize(
    ("row", "cells"),
    [
        (
            Row("run", "ms", series(0.03, 0.04, 0.05), series(0.2), Fraction(1, 3)),
            ("run", "40 ms (30)", "200 ms", "0.20", "≤ 1/3", "yes"),
        ),
        (
            Row("run", "ms", series(0.1), series(0.2), Fraction(1, 3)),
            ("run", "100 ms", "200 ms", "0.50", "≤ 1/3", "**no**"),
        ),
        (
            Row("exec", "ms", series(0.05), series(0.05), Fraction(1)),
            ("exec", "50 ms", "50 ms", "1.00", "≤ Docker", "yes"),
        ),
        (
            Row("load", "ms", series(0.101), limit=100),
            ("load", "101 ms", "", "", "≤ 100 ms", "**no**"),
        ),
        (
            Row("memory", "MB", series(2.5), series(10.0), limit=4),
            ("memory", "2.50 MB", "10.00 MB", "0.25", "≤ 4 MB", "yes"),
        ),
        (Row("free", "s", series(1.5)), ("free", "1.50 s", "", "", "", "")),
    ],
)
def test_cells(row: Row, cells: tuple[str, ...]) -> None:
    assert row.cells() == cells


def test_the_table_replaces_what_stood_between_the_marks() -> None:
    table = markdown([Row("free", "s", series(1.5))], "a machine")
    text = f"before\n{BEGIN}\nold\n{END}\nafter\n"
    new = updated(text, table)
    assert new.startswith(f"before\n{BEGIN}\n| Figure |")
    assert new.endswith(f"a machine\n{END}\nafter\n")
    assert "old" not in new
    assert updated(new, table) == new


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_file_without_a_place_for_the_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        updated(text, "table")


def test_contestants_take_turns_and_warm_ups_do_not_count() -> None:
    order: list[str] = []
    found = in_turns(
        {name: lambda name=name: order.append(name) for name in "ab"}, rounds=2, warm_ups=1
    )
    assert "".join(order) == "baabba"
    assert [len(item.values) for item in found.values()] == [2, 2]
