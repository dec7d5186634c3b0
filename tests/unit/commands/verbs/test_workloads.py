from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import FlagError, InvalidArgumentError


def result(text: bytes) -> Any:
    return SimpleNamespace(exit_code=0, stdout=text, stderr=b"")


def perform(engine: Any, *words: str, **session: Any) -> Any:
    return execute(Session(lambda: engine, **session), words)


def test_items_are_lines_of_the_input(fake_engine: Any) -> None:
    fake_engine.answers["workloads.map"] = [result(b"1 a\nmore\n"), result(b"x" * 80)]
    line = ("map", "--workers", "3", "--retries=2", "--stdin", "-m", "64m", "img", "wc", "-c", "{}")
    table = perform(fake_engine, *line, stdin=b"a\n\nb c\n")
    name, args, flags = fake_engine.last
    assert (name, args) == ("workloads.map", ("img", ["wc", "-c", "{}"], ["a", "b c"]))
    assert flags == {"workers": 3, "retries": 2, "stdin": True, "memory": "64m"}
    assert [each.item for each in table] == ["a", "b c"]
    assert table[0].output == "1 a\nmore\n"
    assert str(table).splitlines() == [
        "ITEM      EXIT CODE   OUTPUT",
        "a         0           1 a…",
        f"b c       0           {'x' * 60}…",
    ]


def test_items_are_a_variable(fake_engine: Any) -> None:
    fake_engine.answers["workloads.map"] = [result(b""), result(b"")]
    perform(fake_engine, "map", "--over", "numbers", "img", variables={"numbers": range(2)})
    assert fake_engine.last[1] == ("img", None, [0, 1])


@pytest.mark.parametrize("variables", [{}, {"numbers": 3}, {"numbers": "text"}, None])
def test_what_is_no_list_is_refused(fake_engine: Any, variables: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="no variable of that name with several items"):
        perform(fake_engine, "map", "--over", "numbers", "img", variables=variables)


def test_mistakes_are_named(fake_engine: Any) -> None:
    with pytest.raises(InvalidArgumentError, match="and by --over"):
        perform(fake_engine, "map", "--over", "n", "img", stdin=b"a", variables={"n": [1]})
    with pytest.raises(InvalidArgumentError, match="a list of items"):
        perform(fake_engine, "map", "img")
    with pytest.raises(FlagError, match="unknown flag: --name"):
        perform(fake_engine, "map", "--name", "x", "img")
