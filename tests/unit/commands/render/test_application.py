"""An application as a picture, as a table and in words."""

from __future__ import annotations

import re
from xml.etree import ElementTree

import pytest

from jupyter_containers.commands.render import graph
from jupyter_containers.commands.render.application import (
    MOST_DRAWN,
    ApplicationView,
    colour_of,
    svg,
    tone_of,
    words_of,
)
from tests.unit.commands.render.applications import SHOP, project, service


def test_services_stand_before_those_that_they_need() -> None:
    needs = {"db": [], "api": ["db", "cache"], "cache": [], "web": ["api"], "job": ["db"]}
    places = graph.placed(needs)
    assert {name: column for name, (column, _) in places.items()} == {
        "web": 0,
        "job": 0,
        "api": 1,
        "db": 2,
        "cache": 2,
    }
    assert len(set(places.values())) == len(needs)


def test_a_column_is_not_too_long_and_a_circle_ends() -> None:
    places = graph.placed({str(number): [] for number in range(13)})
    assert max(row for _, row in places.values()) == graph.MOST_ROWS - 1
    assert max(column for column, _ in places.values()) == 2
    assert len(graph.placed({"a": ["b"], "b": ["a"], "c": ["c", "gone"]})) == 3
    assert graph.placed({}) == {}


@pytest.mark.parametrize(
    ("name", "words", "tone"),
    [
        ("db", "running, healthy", "good"),
        ("migrate", "exited (0)", "off"),
        ("api", "running, starting", "waiting"),
        ("web", "running", "good"),
        ("mail", "exited (3)", "bad"),
        ("cache", "no container", "off"),
    ],
)
def test_states_in_words(name: str, words: str, tone: str) -> None:
    assert (words_of(SHOP[name]), tone_of(SHOP[name])) == (words, tone)


def test_the_picture_has_every_service_edge_and_port() -> None:
    root = ElementTree.fromstring(svg(SHOP, "/user/ada/"))  # our own
    text = svg(SHOP, "/user/ada/")
    services = [node.get("data-service") for node in root if node.get("data-service")]
    assert sorted(filter(None, services)) == sorted(one.name for one in SHOP.services)
    assert text.count("waits until") == 4
    assert "web waits until api is healthy" in text
    assert 'href="/user/ada/proxy/8090/"' in text
    assert "volume data" in text
    # No box lies over another.
    corners = re.findall(r'<rect x="([\d.]+)" y="([\d.]+)" width="216"', text)
    assert len(set(corners)) == 6


def test_names_of_files_and_images_cannot_leave_their_text() -> None:
    evil = service('x"><script>', state="missing")
    text = ApplicationView(None, project(evil))._repr_html_()  # type: ignore[arg-type]  # not used
    assert "<script" not in text
    ElementTree.fromstring(svg(project(evil)))  # our own


def test_many_services_are_a_table() -> None:
    many = project(*(service(f"s{number}") for number in range(MOST_DRAWN + 1)))
    view = ApplicationView(None, many)  # type: ignore[arg-type]  # not used
    assert "<svg" not in view._repr_html_()
    assert str(view).count("\n") == MOST_DRAWN + 2
    assert "<svg" in ApplicationView(None, SHOP)._repr_html_()  # type: ignore[arg-type]  # not used


def test_a_terminal_has_lines() -> None:
    text = str(ApplicationView(None, SHOP))  # type: ignore[arg-type]  # not used
    assert text.startswith("shop  ")
    assert re.search(r"^web +running +8090→80 +api +web:1$", text, re.MULTILINE)


def test_a_service_keeps_its_colour_when_others_come() -> None:
    assert colour_of(["a", "b"], "b") == colour_of(["b", "c", "a"], "b")
    assert colour_of(["a"], "unknown") == "#888888"
