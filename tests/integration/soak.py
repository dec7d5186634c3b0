"""Kernels that run, stop and remove containers at once, some killed in the middle.

``scripts/soak [--kills 3000] [--cycles 1000] [--kernels 4]`` is the long run by hand; the tests of
the suite do the same for some sixty kills and cycles.  A *cycle* is one container from its run to
its removal; a kernel is a separate process.  Now and then a kernel, or a container's monitor, gets
SIGKILL.  The kills of single calls are in :mod:`.kills`.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainerNotFoundError
from tests.integration.engine_fixtures import (
    BUSYBOX,
    Place,
    demolish,
    run_program,
    settled,
    traces,
)
from tests.integration.kills import LATEST, kill_calls

_KERNEL = """
import os, random, signal, sys
from pathlib import Path
from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError

root, run_root, tally, seed = sys.argv[1:]
dice = random.Random(int(seed))
done = os.open(tally, os.O_WRONLY | os.O_APPEND | os.O_CREAT)

def cycle(engine):
    kind = dice.randrange(6)
    network = dice.choice(["none", "bridge", "none"])
    if kind == 0:
        engine.run("busybox", ["true"], network=network, rm=True)
    elif kind == 1:
        engine.run("busybox", ["sh", "-c", "exit 3"], network=network, rm=True, check=False)
    else:
        flags = {
            2: {"rm": True},
            3: {"volume": "/data", "memory": "32m"},
            4: {"restart": "always"},
            5: {"health_cmd": "true", "health_interval": "50ms",
                "log_opt": ["max-size=4k", "max-file=2"]},
        }[kind]
        command = ["sh", "-c", "sleep 0.05; exit 1"] if kind == 4 else ["sleep", "60"]
        container = engine.run("busybox", command, network=network, detach=True, **flags)
        if dice.random() < 0.3:
            engine.containers.exec(container.id, ["echo", "hello"], check=False)
        if dice.random() < 0.1 and container.record.state.monitor:
            container.record.state.monitor.signal(signal.SIGKILL)
        if dice.random() < 0.7:
            engine.containers.stop(container.id, timeout=0)
        if kind != 2:
            engine.containers.remove(container.id, force=True, volumes=True)

with Engine(root=Path(root), run_root=Path(run_root)) as engine:
    while True:
        try:
            cycle(engine)
        except ContainersError as error:
            # Another's prune or kill may come first; anything else is for the report.
            print(type(error).__name__, error, file=sys.stderr, flush=True)
        os.write(done, b".")
"""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a soak test: ``left`` are the remains on the machine, by kind."""

    cycles: int
    kernels_killed: int
    seconds: float
    complaints: tuple[str, ...]
    left: dict[str, list[str]]


def soak(
    place: Place, *, cycles: int, kernels: int = 4, seed: int = 0, killing: float = 0.5
) -> Outcome:
    """Return the outcome of ``cycles`` cycles; every ``killing`` seconds or so a kernel is killed.

    The store at ``place`` has the image; at the end, a new engine sweeps the remains of the killed.
    """
    dice = random.Random(seed)
    with place.engine() as engine:
        before = traces(engine)
    tally = place.run_root / "tally"
    tally.touch()
    begun, killed = time.monotonic(), 0
    complaints: list[str] = []
    crew = [_kernel(place, tally, dice) for _ in range(kernels)]
    try:
        while tally.stat().st_size < cycles:
            time.sleep(dice.uniform(0.2, 1.8) * killing)
            number = dice.randrange(kernels)
            complaints += _ended(crew[number])
            killed += 1
            crew[number] = _kernel(place, tally, dice)
    finally:
        for program in crew:
            complaints += _ended(program)
    with place.engine() as engine:
        for container in engine.containers(all=True):
            with suppress(ContainerNotFoundError):  # it was about to remove itself
                engine.containers.remove(container.id, force=True, volumes=True)
        engine.volumes.prune(all=True)
        left = settled(engine, before, timeout=30)
        left |= _kept(engine, place)
    if staged := sorted(os.listdir(place.root / "staging")):
        left["staging"] = staged  # an engine that has ended has deleted its removed objects
    took = time.monotonic() - begun
    return Outcome(tally.stat().st_size, killed, took, tuple(complaints), left)


def _kernel(place: Place, tally: Path, dice: random.Random) -> subprocess.Popen[str]:
    seed = str(dice.randrange(1 << 30))
    return run_program(_KERNEL, str(place.root), str(place.run_root), str(tally), seed)


def _ended(program: subprocess.Popen[str]) -> list[str]:
    program.kill()
    _, errors = program.communicate(timeout=30)
    return [line for line in errors.splitlines() if line.strip()]


def _kept(engine: Engine, place: Place) -> dict[str, list[str]]:
    """Return the remains in the store: records, files of containers, names of namespaces."""
    context = engine._context
    folders = {
        "bundles": place.root / "containers",
        "writable layers": place.root / "uppers",
        "volumes": place.root / "volumes",
        "states": place.run_root / "runtime",
        "shared": place.run_root / "mounts",
        "placements": place.run_root / "cgroups",
    }
    found = {
        name: sorted(os.listdir(folder)) for name, folder in folders.items() if folder.is_dir()
    }
    found["records"] = [record.name for record in context.containers.all()]
    found["addresses"] = [item.id for item in context.endpoints.all()]
    found["namespaces"] = sorted(_network_namespaces(context.runtime.cgroup_parent))
    return {kind: names for kind, names in found.items() if names}


def _network_namespaces(cgroup_parent: str) -> set[str]:
    """Return the network namespaces of the processes in the store's cgroups."""
    host, found = os.readlink("/proc/self/ns/net"), set()
    for entry in Path("/proc").iterdir():
        try:
            if entry.name.isdigit() and f"{cgroup_parent}/" in (entry / "cgroup").read_text():
                namespace = os.readlink(entry / "ns/net")
                if namespace != host:
                    found.add(namespace)
        except OSError:
            continue
    return found


@contextmanager
def soaked_place(folder: Path) -> Iterator[Place]:
    """Yield a store with the image; it is demolished afterwards."""
    place = Place.under(folder)
    with place.engine() as engine:
        engine.images.bootstrap(BUSYBOX)
        engine.run(BUSYBOX, ["true"], rm=True)  # the bridge is there before the first count
    try:
        yield place
    finally:
        with place.engine() as engine:
            demolish(engine)


def main() -> int:
    """Soak as long as the arguments say; return 1 when anything was left or untrue."""
    parser = argparse.ArgumentParser(prog="scripts/soak", description=__doc__)
    parser.add_argument("--kills", type=int, default=3000, help="calls that are killed")
    parser.add_argument("--lanes", type=int, default=2, help="of those calls at once")
    parser.add_argument("--latest", type=float, default=LATEST, help="seconds until the last kill")
    parser.add_argument("--cycles", type=int, default=1000, help="containers from busy kernels")
    parser.add_argument("--kernels", type=int, default=4, help="of those at once")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    sys.stdout.write(f"soak: seed {options.seed}\n")
    with tempfile.TemporaryDirectory(prefix="jupyter-containers-soak-") as folder:
        bad = [_killed(Path(folder), options), _busy(Path(folder), options)]
    return 1 if any(bad) else 0


def _killed(folder: Path, options: argparse.Namespace) -> bool:
    """Kill single calls; return whether anything was wrong."""
    work = folder / "work"
    work.mkdir()
    with soaked_place(folder / "killed") as place:
        killed = kill_calls(
            place,
            work,
            kills=options.kills,
            lanes=options.lanes,
            seed=options.seed,
            latest=options.latest,
        )
    calls = ", ".join(f"{name} {number}" for name, number in sorted(killed.calls.items()))
    sys.stdout.write(
        f"{killed.calls.total()} calls in {killed.seconds:.0f} s, {killed.finished.total()} of them"
        f" ended before their kill ({calls}), left: {killed.left or 'nothing'}\n"
    )
    for line in sorted(set(killed.untrue)):
        sys.stdout.write(f"  untrue: {line}\n")
    for line in sorted(set(killed.complaints)):
        sys.stdout.write(f"  said: {line}\n")
    return bool(killed.left or killed.untrue)


def _busy(folder: Path, options: argparse.Namespace) -> bool:
    """Kill busy kernels; return whether anything was left."""
    with soaked_place(folder / "busy") as place:
        outcome = soak(place, cycles=options.cycles, kernels=options.kernels, seed=options.seed)
    sys.stdout.write(
        f"{outcome.cycles} cycles, {outcome.kernels_killed} kernels killed, "
        f"{outcome.seconds:.0f} s, left: {outcome.left or 'nothing'}\n"
    )
    for line in sorted(set(outcome.complaints)):
        sys.stdout.write(f"  said: {line}\n")
    return bool(outcome.left)


if __name__ == "__main__":
    raise SystemExit(main())
