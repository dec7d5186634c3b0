"""Figures of the terminal command: the wall time and the CPU time of whole processes."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from jupyter_containers import Container, Engine
from tests.bench import images
from tests.bench.peer import CLIENT, Docker
from tests.bench.table import Row
from tests.bench.turns import Series

EVEN, HALF = Fraction(1), Fraction(1, 2)
_NAME = "bench-commands"
_SLEEP = ("sleep", "600")


def rows(
    folder: Path, engine: Engine, docker: Docker, image: str, places: Mapping[str, str], rounds: int
) -> list[Row]:
    """Measure verbs beside Docker's client; ``places`` are the variables of our store.

    CPU times are those of the command and its children, so Docker's is the client's alone.
    """
    context = folder / "commands-context"
    images.build_context(context)
    ours, theirs = os.environ | places, docker.environment | {"DOCKER_BUILDKIT": "0"}
    program = str(Path(sys.executable).with_name("jupyter-container"))
    container = engine.run(image, list(_SLEEP), detach=True, name=_NAME, network="none")
    assert isinstance(container, Container)
    docker("run", "-d", "--name", _NAME, "--network", "none", image, *_SLEEP)
    found = []
    try:
        for words, ratio in (
            (("ps",), EVEN),
            (("images",), EVEN),
            (("inspect", _NAME), EVEN),
            (("exec", _NAME, "true"), EVEN),
            (("build", "-t", "bench/commands", str(context)), EVEN),
            (("run", "--rm", "--network", "none", image, "true"), HALF),
            (("run", "--rm", image, "true"), HALF),
        ):
            walls, cpus = _turns(
                {
                    "ours": lambda words=words: _cost([program, *words], ours),
                    "docker": lambda words=words: _cost([CLIENT, *words], theirs),
                },
                rounds,
            )
            shown = " ".join(word for word in words if "/" not in word and word != _NAME)
            figure = f"terminal: `{shown}`"
            found.append(Row(figure, "ms", walls["ours"], walls["docker"], ratio))
            found.append(Row(f"{figure}, CPU", "ms", cpus["ours"], cpus["docker"]))
    finally:
        container.remove(force=True)
        docker("rm", "-f", _NAME)
    walls, cpus = _turns(
        {
            "help": lambda: _cost([program, "--help"], ours),
            "python": lambda: _cost([sys.executable, "-c", "pass"], ours),
            "docker": lambda: _cost([CLIENT, "--help"], theirs),
            "jupyter": lambda: _cost([f"{Path(program).parent}/jupyter", "container", "-v"], ours),
            "version": lambda: _cost([program, "-v"], ours),
        },
        rounds,
    )
    python = {"peer_name": "python -c pass"}
    return [
        *found,
        Row("terminal: `--help`", "ms", walls["help"], walls["docker"], limit=60),
        Row("terminal: `--help`, CPU", "ms", cpus["help"], cpus["docker"]),
        Row("terminal: `--help`, beside `python -c pass`", "ms", walls["help"], walls["python"]),
        Row(
            "terminal: `jupyter container -v`, beside it alone",
            "ms",
            walls["jupyter"],
            walls["version"],
            **python,
        ),
    ]


def _turns(
    contestants: Mapping[str, Callable[[], tuple[float, float]]], rounds: int
) -> tuple[dict[str, Series], dict[str, Series]]:
    """Return the wall and the CPU seconds of each contestant over the rounds, in turns."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in contestants}
    for number in range(-1, rounds):
        order = list(contestants) if number % 2 == 0 else list(contestants)[::-1]
        for name in order:
            cost = contestants[name]()
            if number >= 0:
                found[name].append(cost)
    return (
        {name: Series(tuple(wall for wall, _ in costs)) for name, costs in found.items()},
        {name: Series(tuple(cpu for _, cpu in costs)) for name, costs in found.items()},
    )


def _cost(argv: Sequence[str], environment: Mapping[str, str]) -> tuple[float, float]:
    """Run a program; return its wall and CPU seconds; raise RuntimeError if it failed."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        argv,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    wall = time.perf_counter() - begin
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} failed: {process.returncode}")
    return wall, used.ru_utime + used.ru_stime
