"""``%%compose``: the command that its words mean, and the cell's part in it."""

from __future__ import annotations

import pytest

from jupyter_containers.commands.parser import parse
from jupyter_containers.errors import UsageError
from jupyter_containers.magics import compose_cell


@pytest.mark.parametrize(
    ("line", "command"),
    [
        ("", "compose up"),
        ("up", "compose up"),
        ("-p shop", "compose up --project-name=shop"),
        ("--build", "compose up --build"),
        ("-p shop --build web", "compose up --project-name=shop --build web"),
        ("-p shop down -v", "compose down --project-name=shop -v"),
        ("--out app -p shop up", "compose up --out app --project-name=shop"),
        ("--out=app --interpolate config", "compose config --out=app --interpolate"),
        ("--profile debug --profile=all", "compose up --profile=debug --profile=all"),
        ("exec web ls -l", "compose exec web ls -l"),
    ],
)
def test_without_a_verb_it_is_up(line: str, command: str) -> None:
    assert compose_cell.command_of(line.split()) == command.split()


@pytest.mark.parametrize(
    ("line", "added"),
    [
        ("", {"detach": True}),
        ("up -d --wait web", {"detach": True}),
        ("--attach web", {}),
        ("--abort-on-container-exit", {}),
        ("--exit-code-from web", {}),
        ("--no-start", {}),
        ("down", {}),
        ("config", {}),
    ],
)
def test_up_leaves_all_running_unless_its_output_is_wanted(
    line: str, added: dict[str, bool]
) -> None:
    parsed = parse(compose_cell.command_of(line.split()), compose_cell.FLAGS)
    prepared = compose_cell.prepared(parsed)
    assert {**parsed.flags, **added} == prepared.flags
    assert compose_cell.leaves_running(prepared) == bool(added)


def test_the_cell_is_the_file() -> None:
    parsed = parse(compose_cell.command_of(["-f", "base.yaml"]), compose_cell.FLAGS)
    with pytest.raises(UsageError, match="-f names another") as caught:
        compose_cell.prepared(parsed)
    assert "include:" in caught.value.hint
    # The magic's own line counts: a mistake is shown with the line that the cell has.
    assert compose_cell.body_of("services:") == b"\nservices:"
