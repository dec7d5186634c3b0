"""The same command lines as Docker, with the same answers.

``regenerate_parity`` has frozen Docker's; the engine's come from the command's entry point, with a
separate engine each, as from separate commands.
"""

from __future__ import annotations

import json
import os
import shlex
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.cli import main
from jupyter_containers.engine import Engine
from tests.integration.engine_fixtures import Place, fresh_engine, nothing_left
from tests.integration.parity_cases import BOX, CASES, DIFFERENCES, Answer, kind_of, normalised
from tests.integration.regenerate_parity import FROZEN, STDIN, box_tar

ANSWERS = json.loads(FROZEN.read_text())["answers"]


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Place, Engine]]:
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces and cgroups")
    folder = tmp_path_factory.mktemp("parity")
    with fresh_engine(folder) as engine:
        engine.images.import_archive(box_tar(folder), BOX)
        yield Place.under(folder), engine


@pytest.fixture
def ask(
    store: tuple[Place, Engine], capfd: pytest.CaptureFixture[str], tmp_path: Path
) -> Iterator[Callable[[str], Answer]]:
    place, _ = store
    (tmp_path / "stdin").write_bytes(STDIN)
    earlier = os.dup(0)

    def answer(line: str) -> Answer:
        with open(tmp_path / "stdin", "rb") as file:
            os.dup2(file.fileno(), 0)
        code = main(shlex.split(line), make_engine=place.engine)
        captured = capfd.readouterr()
        return Answer(code, normalised(captured.out), kind_of(captured.err))

    try:
        yield answer
    finally:
        os.dup2(earlier, 0)
        os.close(earlier)


@pytest.mark.parametrize("name", CASES)
def test_answers_are_dockers(
    name: str, ask: Callable[[str], Answer], store: tuple[Place, Engine]
) -> None:
    _, engine = store
    with nothing_left(engine):
        ours = {f"{number} {line}": ask(line) for number, line in enumerate(CASES[name])}
        for container in engine.containers(all=True):
            container.remove(force=True)
    assert set(ours) == set(ANSWERS[name]), "run tests.integration.regenerate_parity again"
    different = {
        key: (answer.document(), ANSWERS[name][key])
        for key, answer in ours.items()
        if key.partition(" ")[2] not in DIFFERENCES and answer.document() != ANSWERS[name][key]
    }
    assert not different, json.dumps(different, indent=1)


def test_there_are_enough_lines_and_every_difference_is_one() -> None:
    lines = [line for case in CASES.values() for line in case]
    assert len(lines) >= 300
    assert set(DIFFERENCES) <= set(lines)
    assert all(reason for reason in DIFFERENCES.values())
