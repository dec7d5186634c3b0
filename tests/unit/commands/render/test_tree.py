from __future__ import annotations

import re

from jupyter_containers.commands.render.results import Document
from jupyter_containers.commands.render.tree import html_tree


def plain(markup: str) -> str:
    return re.sub("<[^>]+>", "", markup)


def test_everything_is_there_and_safe() -> None:
    markup = html_tree(
        {
            "Name": "web",
            "State": {"Running": True, "Pid": 12, "Error": ""},
            "Args": ["-c", "<script>alert(1)</script>\x1b[31m"],
            "Mounts": [],
        }
    )
    assert "<script>" not in markup
    assert "\x1b" not in markup
    text = plain(markup)
    for part in ("Name: web", "Running: true", "Pid: 12", 'Error: ""', "Mounts: []"):
        assert part in text


def test_the_first_levels_are_open() -> None:
    markup = html_tree({"A": {"B": {"C": 1}}})
    assert markup.count("<details") == 3
    assert markup.count("<details open") == 2
    large = html_tree({"A": {str(number): number for number in range(50)}})
    assert large.count("<details open") == 1


def test_a_folded_value_says_what_it_is() -> None:
    text = plain(html_tree({"Cmd": ["a", "b"], "Net": {"Name": "x", "y": 1}, "Z": {"q": 1}}))
    assert "Cmd: a, b" in text
    assert "Net: x" in text
    assert "Z: 1 field" in text
    assert "9 items" in plain(html_tree({"Many": list(range(9))}))


def test_inspect_shows_one_description_without_its_list() -> None:
    assert plain(Document([{"Name": "one"}])._repr_html_()).startswith("one")
    assert plain(Document([{"Name": "one"}, {"Name": "two"}])._repr_html_()).startswith("2 items")
