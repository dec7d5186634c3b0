"""What ``up`` does about changes of a file is what Docker Compose 2.40.3 did on a dockerd."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.applications.application import Application
from jupyter_containers.events import Event, TaskFinished, TaskProgress
from tests.integration.compose_decisions import ANSWERS, CHANGES, changed

FROZEN: dict[str, list[str]] = json.loads(ANSWERS.read_text())


@pytest.fixture(scope="module")
def asked(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Application]:
    folder = tmp_path_factory.mktemp("asked")
    (folder / "compose.yaml").write_text(changed(("", "")))
    app = engine.compose(folder=folder, project="asked")
    yield app
    app.down(volumes=True, remove_orphans=True)


def test_all_changes_were_asked() -> None:
    assert [*FROZEN] == [name for name, _, _ in CHANGES]


@pytest.mark.parametrize(("name", "change", "flags"), CHANGES)
def test_a_change(asked: Application, name: str, change: tuple[str, str], flags: str) -> None:
    """Each begins where the one before ended; one alone fails."""
    folder = asked.project().folder
    (Path(folder) / "compose.yaml").write_text(changed(change))
    words = flags.split()
    given: dict[str, Any] = {
        word[2:].replace("-", "_"): True for word in words if word.startswith("--")
    }
    lines: set[str] = set()

    def note(event: Event) -> None:
        if isinstance(event, (TaskProgress, TaskFinished)):
            text = event.status if isinstance(event, TaskProgress) else event.detail
            lines.add(f"{event.task}  {text}")

    asked.up(*(word for word in words if not word.startswith("--")), emit=note, **given)
    found = {line for line in lines if line.split()[0] in ("Container", "Network", "Volume")}
    assert sorted(found) == FROZEN[name]
