"""`config` prints the same JSON as Docker Compose 2.40.3, or a listed difference."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.compose import LoadOptions, Project, load
from jupyter_containers.compose.rendering import document, to_yaml
from jupyter_containers.errors import ContainersError
from tests.unit.compose.cases import Case, cases
from tests.unit.compose.differences import DIFFERENT, OTHER_HASH, OTHER_YAML
from tests.unit.compose.regenerate import ANSWERS, FOLDER, environment, write

CASES = cases()
FROZEN: dict[str, dict[str, Any]] = json.loads(ANSWERS.read_text())


def read(case: Case, workspace: Path) -> Project:
    folder = workspace / FOLDER
    folder.mkdir()
    write(case, folder)
    options = LoadOptions(
        files=tuple(str(folder / name) for name in case.given) or None,
        folder=str(folder),
        profiles=case.profiles,
        environment=environment(case),
    )
    return load(options)


def test_every_case_is_frozen() -> None:
    assert FROZEN.keys() == CASES.keys()
    assert len(CASES) >= 300
    assert sum("error" in one for one in FROZEN.values()) >= 60


@pytest.mark.parametrize("name", CASES)
def test_config(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/somebody")
    frozen = FROZEN[name]
    try:
        project: Project | None = read(CASES[name], tmp_path)
        error = ""
    except ContainersError as refused:
        project, error = None, refused.message
        assert "\n" not in error
    same = (
        ("error" in frozen) if project is None else _shown(project, tmp_path) == frozen.get("json")
    )
    if name in DIFFERENT:
        assert not same, "no longer different: take it off the list"
        return
    if project is None:
        assert "error" in frozen, error
        return
    assert "error" not in frozen, frozen["error"]
    assert _shown(project, tmp_path) == frozen["json"]
    if "yaml" in frozen and name not in OTHER_YAML:
        assert to_yaml(project).replace(str(tmp_path), "@") == frozen["yaml"]
    if "hash" in frozen and name not in OTHER_HASH:
        assert {one: project.hash(one) for one in project.services} == frozen["hash"]


def _shown(project: Project, workspace: Path) -> Any:
    return json.loads(json.dumps(document(project)).replace(str(workspace), "@"))
