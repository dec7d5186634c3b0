"""Editing help for Compose files, whose text is unfinished most of the time."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.compose.editing.findings import Checked, find
from jupyter_containers.compose.editing.reference import MEANINGS, described
from jupyter_containers.compose.editing.suggestions import describe, suggest
from jupyter_containers.compose.schema import PROJECT
from jupyter_containers.compose.shapes import ListOf, MapOf, Object, Shape

APPLICATION = """\
version: "3"
services:
  web:
    imag: nginx
    ports: ["80"]
    command: echo ${NAME} $$HOME
  db:
    image: redis
    restart: 3
    healthcheck:
      tst: redis-cli ping
volume:
  data:
"""
SERVICE = "services:\n  web:\n    image: x\n"


def names(kind: str) -> list[str]:
    return {"image": ["busybox:latest"], "volume": ["old"]}.get(kind, [])


def suggested(text: str) -> tuple[str, list[str]]:
    """Complete at the bar."""
    before, _, after = text.partition("¦")
    return suggest(before + after, before.count("\n"), len(before.rpartition("\n")[2]), names)


def places(text: str, **more: object) -> list[tuple[int, str, bool]]:
    """Return the line, the marked text and the kind of each finding."""
    lines = text.split("\n")
    return [
        (one.line + 1, lines[one.line][one.column : one.column + one.length], one.is_error)
        for one in find(Checked(text, environment={}, **more))  # type: ignore[arg-type]  # folder and partial
    ]


def test_every_mistake_is_found_at_its_place() -> None:
    assert places(APPLICATION) == [
        (1, "version", False),
        (4, "imag", True),
        (6, "${NAME}", False),
        (9, "3", True),
        (11, "tst", True),
        (12, "volume", True),
    ]
    messages = [one.message for one in find(Checked(APPLICATION, environment={"NAME": "x"}))]
    assert len(messages) == 5
    assert "did you mean image?" in messages[1]
    assert "did you mean volumes?" in messages[4]


@pytest.mark.parametrize(
    ("text", "line", "marked"),
    [
        (f"{SERVICE}    depends_on: [wib]\n  wob:\n    image: x\n", 4, "wib"),
        (f"{SERVICE}    depends_on:\n      - wib\n", 5, "wib"),
        (f"{SERVICE}    networks: [front]\n", 4, "front"),
        (f"{SERVICE}    secrets:\n      - key\n", 5, "key"),
        (f"{SERVICE}    volumes: [data:/x]\n", 4, "data"),
        (f"{SERVICE}    heal\n", 4, "heal"),
        (f"{SERVICE}\tports: []\n", 4, "ports"),
        (f"{SERVICE}    image: y\n", 4, "image"),
        ("services: [\n", 1, "services"),
        ("- a\n", 1, "- a"),
        ("services:\n  web:\n", 2, "web"),
        (f"{SERVICE}    command: ${{A\n", 4, "command"),
    ],
)
def test_mistakes_of_the_whole_and_of_yaml(text: str, line: int, marked: str) -> None:
    [(found, words, is_error)] = places(text)
    assert (found, is_error) == (line, True)
    assert words == marked or (marked == "command" and words.startswith("${A"))


def test_nothing_outside_the_text_is_read_without_a_folder(tmp_path: Path) -> None:
    text = f"{SERVICE}    env_file: no.env\n"
    assert places(text) == []
    assert places(text, folder=str(tmp_path)) == [(4, "no.env", True)]
    (tmp_path / ".env").write_text("NAME=x\n")
    named = "services:\n  web:\n    image: $NAME\n"
    assert places(named, folder=str(tmp_path)) == []


def test_a_file_that_is_laid_over_others_need_not_be_complete() -> None:
    text = 'services:\n  web:\n    ports: ["80"]\n    command: !reset null\n'
    assert places(text) == [(2, "web", True)]
    assert places(text, partial=True) == []
    assert [one.length for one in find(Checked("a: b", partial=True))] == [1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("vol¦", ("vol", ["volumes:"])),
        ("services:\n  web:\n    im¦", ("im", ["image:"])),
        ("services:\n  web:\n    image: b¦", ("b", ["busybox:latest"])),
        (f"{SERVICE}    im¦", ("im", [])),  # it is given
        (f"{SERVICE}    depends_on:\n      - d¦\n  db:\n", ("d", ["db"])),
        (f"{SERVICE}    depends_on:\n    - d¦\n  db:\n", ("d", ["db"])),
        (f"{SERVICE}    depends_on: [w¦\n  db:\n", ("w", [])),  # not itself
        (f"{SERVICE}    depends_on: [a, d¦]\n  db:\n", ("d", ["db"])),
        (f"{SERVICE}    depends_on:\n      ¦\n  db:\n", ("", ["db:"])),
        (f"{SERVICE}    depends_on:\n      db:\n        cond¦", ("cond", ["condition:"])),
        (
            f"{SERVICE}    depends_on:\n      db:\n        condition: service_h¦",
            ("service_h", ["service_healthy"]),
        ),
        (f"{SERVICE}    volumes:\n    - d¦\nvolumes:\n  data:\n", ("d", ["data:"])),
        (f"{SERVICE}    volumes:\n    - type: bi¦", ("bi", ["bind"])),
        (f"{SERVICE}    volumes:\n    - type: bind\n      so¦", ("so", ["source:"])),
        (f"{SERVICE}    networks:\n      f¦\nnetworks:\n  front:\n", ("f", ["front:"])),
        (f"{SERVICE}    networks: ['f¦\nnetworks:\n  front:\n", ("f", ["front"])),
        (f"{SERVICE}    network_mode: s¦\n  db:\n", ("s", ["service:db"])),
        (f"{SERVICE}    init: t¦", ("t", ["true"])),
        (f"{SERVICE}    restart: u¦", ("u", ["unless-stopped"])),
        (f"{SERVICE}    healthcheck:\n      te¦\n      interval: 1s", ("te", ["test:"])),
        (f"{SERVICE}    environment:\n      in¦", ("in", [])),
        (f"{SERVICE}    # im¦", ("", [])),
        (f"{SERVICE}    command: |\n      po¦", ("", [])),
        (f"{SERVICE}    command: &po¦", ("", [])),
        ("volumes:\n  data:\n    name: o¦", ("o", ["old"])),
    ],
)
def test_suggestions(text: str, expected: tuple[str, list[str]]) -> None:
    assert suggested(text) == expected


def test_a_block_of_text_ends_with_its_indentation() -> None:
    text = "services:\n  web:\n    build:\n      dockerfile_inline: |\n        FROM x\n      targ¦"
    assert suggested(text) == ("targ", ["target:"])
    assert suggested(text.replace("\n      targ¦", "\n        ta¦")) == ("", [])


def test_keys_are_described() -> None:
    found = describe(APPLICATION, 4, 5)
    assert found is not None
    assert (found.title, found.first_column, found.last_column) == ("services.web.ports", 4, 9)
    assert "HOST:CONTAINER" in found.words
    assert [describe(APPLICATION, *place) for place in ((4, 12), (3, 5), (2, 3), (99, 0))] == [
        None
    ] * 4


def test_every_key_of_the_specification_has_a_description() -> None:
    known = set(_keys(PROJECT, "", 0))
    assert [key for key in sorted(known) if described(key) is None] == []
    # The others are what two fields have in common.
    assert len(MEANINGS.keys() - known) < 4


def _keys(shape: Shape, field: str, depth: int) -> Iterator[str]:
    if isinstance(shape, Object):
        for key, inner in shape.fields.items():
            yield f"{field}.{key}".lstrip(".")
            yield from _keys(inner, key, depth + 1)
    elif isinstance(shape, (MapOf, ListOf)):
        yield from _keys(shape.item, field, depth + 1)


def test_a_large_text_is_answered_at_once() -> None:
    services = "".join(f"  s{number}:\n    image: x\n" for number in range(1900))
    text = f"services:\n{services}"
    assert find(Checked(text, environment={})) == []
    assert suggested(f"{text}    depends_on: [s1899¦") == ("s1899", [])
    assert find(Checked("a: " + "[" * 5000, environment={}))[0].is_error
