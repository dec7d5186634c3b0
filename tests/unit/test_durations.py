"""The order of a parallel run: whole files, the longest first, browsers in two hands."""

from __future__ import annotations

from pathlib import Path

from tests.durations import SECONDS, dealt, file_of, longest_first

_TREE = Path(__file__).parents[2]


def test_every_file_that_is_named_is_there() -> None:
    assert [file for file in SECONDS if not (_TREE / file).is_file()] == []


def test_the_longest_files_come_first_and_each_stays_together() -> None:
    slow, slower = sorted(SECONDS, key=lambda file: SECONDS[file])[-2:]
    ids = ["b.py::one", f"{slow}::x[a::b]", "a.py::one", "b.py::two", f"{slower}::y", "a.py::two"]
    ordered = sorted([*ids, "c.py::one", f"{slow}::z"], key=longest_first(ids))
    files = ["a.py", "a.py", "b.py", "b.py", "c.py"]
    assert [file_of(nodeid) for nodeid in ordered] == [slower, slow, slow, *files]


def test_each_hand_gets_about_as_many_tests() -> None:
    numbers = {"a.py": 9, "b.py": 8, "c.py": 5, "d.py": 4}
    ids = [f"{file}::{number}" for file, count in numbers.items() for number in range(count)]
    assert dealt(ids, 2) == {"a.py": 0, "b.py": 1, "c.py": 1, "d.py": 0}
