"""`compose config`: its output, and the positions of its flags."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.commands.execute import execute
from jupyter_containers.commands.grammar.compose import reordered
from jupyter_containers.commands.session import Session
from jupyter_containers.errors import FlagError, NotFoundError, UsageError

TEXT = """\
name: shop
services:
  web: {image: "nginx:${TAG:-1}", ports: ["80:80"], depends_on: [db]}
  db: {build: ., volumes: ["data:/data"], networks: [back]}
  adminer: {image: adminer, profiles: [debug]}
volumes: {data: }
networks: {back: }
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "compose.yaml").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def no_engine() -> Any:
    raise AssertionError("config needs no engine")


def printed(line: str, stdin: bytes | None = None) -> str:
    return str(execute(Session(no_engine, stdin=stdin), line.split()))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("compose config --services", "db\nweb"),
        ("compose --profile debug config --services", "adminer\ndb\nweb"),
        ("compose config --images", "shop-db\nnginx:1"),
        ("compose config --volumes", "data"),
        ("compose config --networks", "back\ndefault"),
        ("compose config --profiles", "debug"),
        ("compose config -q", "None"),
        ("compose config --services db", "db"),
        ("compose -p other config --images db", "other-db"),
    ],
)
def test_lists(line: str, expected: str, folder: Path) -> None:
    assert printed(line) == expected


def test_whole(folder: Path) -> None:
    assert printed("compose config").startswith("name: shop\nservices:\n  db:\n    build:\n")
    assert json.loads(printed("compose config --format json"))["name"] == "shop"
    assert "image: nginx:${TAG:-1}" in printed("compose config --no-interpolate")
    assert printed("compose config --variables").split()[-3:] == ["TAG", "false", "1"]
    assert printed("compose config --hash db").startswith("db ")


def test_files_and_input(folder: Path) -> None:
    (folder / "over.yaml").write_text("services: {web: {image: other}}\n")
    line = "compose -f compose.yaml --file=over.yaml config --images web"
    assert printed(line) == "shop-db\nother"
    assert printed("compose -f - config --images", b"services: {a: {image: q}}") == "q"
    printed("compose config -o out.yaml")
    assert (folder / "out.yaml").read_text().startswith("name: shop\n")


def test_refusals(folder: Path) -> None:
    with pytest.raises(FlagError, match="unsupported format"):
        printed("compose config --format xml")
    with pytest.raises(UsageError, match="only one"):
        printed("compose config --services --images")
    with pytest.raises(NotFoundError, match="no such service: x"):
        printed("compose config x")


def test_flags_before_the_verb() -> None:
    assert reordered(["compose", "-f", "a", "-p=b", "config", "-q"]) == [
        *("compose", "config", "--file=a", "--project-name=b", "-q")
    ]
    assert reordered(["compose"]) == ["compose"]
    assert reordered(["compose", "--help"]) == ["compose", "--help"]
    assert reordered(["compose", "-f"]) == ["compose", "-f"]
