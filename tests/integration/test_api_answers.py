"""Every address of the API answers as Docker does: statuses, headers, the shapes of documents.

``tests/data/api/answers.json`` has the answers of Docker 28.5 (``regenerate_api``).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.integration.api_answers import FROZEN, ask_all, differences
from tests.integration.api_cases import BOX, cases
from tests.integration.engine_fixtures import BUSYBOX, demolish, fresh_engine

_CASES = list(cases())
# Answers that differ from Docker's, and why.
_EARLY = "refused when it is created, not when it is started"
_OTHER = {
    **{
        f"create-bad-{name}": _EARLY
        for name in (
            "network", "device", "ulimit", "sysctl", "dns", "health", "expose", "volumes-from",
        )
    },
    "plugin-privileges": "there are no plugins",
    "events-bad": "a filter that is not known would select nothing, or everything",
    "tag-no-repo": "a tag needs a name",
    "get-none": "no names are no archive",
    "build-config": "credentials that cannot be read would be missed later",
    "exec-start-again": "the command runs: a conflict, whatever it is",
}  # fmt: skip


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Any]]:
    """Ask for all of them once, in their order, of a service with one image."""
    folder = tmp_path_factory.mktemp("answers")
    with fresh_engine(folder / "own") as engine:
        try:
            engine.images.bootstrap(BUSYBOX)
            engine.images.tag(BUSYBOX, BOX)
            engine.images.remove(BUSYBOX)
            yield _asked(engine, folder)
        finally:
            demolish(engine)


def _asked(engine: Engine, folder: Path) -> dict[str, Any]:
    with engine.api(f"unix://{folder}/d.sock") as url:
        return ask_all(Path(url.removeprefix("unix://")), _CASES)


@pytest.fixture(scope="module")
def frozen() -> dict[str, Any]:
    found: dict[str, Any] = json.loads(FROZEN.read_text())
    return found


@pytest.mark.parametrize("name", [case.name for case in _CASES])
def test_the_answer_is_dockers(answers: dict[str, Any], frozen: dict[str, Any], name: str) -> None:
    """Seen to fail for 60 of them before they were compared."""
    found = differences(answers[name], frozen[name])
    if name in _OTHER:
        assert found or answers[name]["status"] >= 400, "the exception is one no more"
        assert answers[name]["status"] in range(400, 500)
    else:
        assert found == []
