from __future__ import annotations

from fractions import Fraction
from xml.etree import ElementTree

import pytest

from tests.bench.plot import bars, svg
from tests.bench.table import BEGIN, END, Row, markdown, table_in, updated
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


def test_measured_rows_take_the_place_of_those_between_the_marks() -> None:
    free, load = Row("free", "s", series(1.5)), Row("load", "ms", series(0.1))
    empty = f"before\n{BEGIN}\n{END}\nafter\n"
    first = updated(empty, markdown([free, load], "a machine"), add=False)
    assert first.startswith(f"before\n{BEGIN}\n| Figure |")
    assert first.endswith(f"a machine\n{END}\nafter\n")
    again = [Row("load", "ms", series(0.2)), Row("new", "ms", series(0.3))]
    new = updated(first, markdown(again, "another"), add=True)
    assert [line.split(" | ")[:2] for line in table_in(new).splitlines() if " ms" in line] == [
        ["| load", "200 ms"],
        ["| new", "300 ms"],
    ]
    assert "1.50 s" in new
    assert "a machine" not in new
    few = updated(first, markdown(again, "another"), add=False)
    assert ("200 ms" in few, "new" in few) == (True, False)
    assert updated(new, markdown(again, "another"), add=True) == new


def test_the_picture_has_a_bar_for_each_figure_with_a_peer_and_a_target() -> None:
    rows = [
        Row("a `run`", "ms", series(0.03), series(0.2), Fraction(1, 3)),
        Row("slow <one>", "ms", series(0.3), series(0.2), Fraction(1)),
        Row("for information", "ms", series(0.1), series(0.2)),
        Row("free", "s", series(1.5)),
    ]
    table = markdown(rows, "a machine")
    assert [(bar.figure, bar.ours, bar.peer, bar.ratio) for bar in bars(table)] == [
        ("a run", "30 ms", "200 ms", 0.15),
        ("slow <one>", "300 ms", "200 ms", 1.5),
    ]
    root = ElementTree.fromstring(svg(table))
    names = [text.text for text in root.iter("{http://www.w3.org/2000/svg}text")]
    assert "slow <one>" in names
    assert "30 ms : 200 ms" in names


@pytest.mark.parametrize("text", ["", BEGIN, f"{END} {BEGIN}", f"{BEGIN}{END}{BEGIN}{END}"])
def test_a_file_without_a_place_for_the_table_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="no place"):
        updated(text, "table", add=True)


def test_contestants_take_turns_and_warm_ups_do_not_count() -> None:
    order: list[str] = []
    found = in_turns(
        {name: lambda name=name: order.append(name) for name in "ab"}, rounds=2, warm_ups=1
    )
    assert "".join(order) == "baabba"
    assert [len(item.values) for item in found.values()] == [2, 2]
