"""Calls of the engine that are killed at random moments, and checks of their remains.

A *lane* makes one call after the other, each in a new process (a kernel) that gets SIGKILL up to
0.2 s after the call has begun.  After each kill an engine that lives all the time looks: every
container of the lane must be as ``ps`` says.  Lanes share the store, so that they meet each other.
At the end a new engine starts, everything is removed, and nothing at all may be left: container,
mount, namespace, link, rule, control group, process, lease, and no file that nothing names.
"""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from functools import partial
from operator import attrgetter
from pathlib import Path
from typing import Any

from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError
from tests.integration import forker
from tests.integration.engine_fixtures import BUSYBOX, Place, settled, traces
from tests.integration.registry_server import DockerRegistry, ScriptedRegistry, missing_registry
from tests.integration.remains import AT_ROOT, OF_STORES, onlookers, remains, rows, strange
from tests.integration.served_image import ServedImage, member, tar
from tests.integration.truth import untruth

LATEST = 0.2  # seconds from the beginning of a call to its kill, at most
_LOOKING = 20.0  # seconds for exit commands to record containers that have just ended


@dataclass
class Killed:
    """The results of the kills: their number by call, and the failures."""

    seconds: float = 0.0
    calls: Counter[str] = field(default_factory=Counter)
    finished: Counter[str] = field(default_factory=Counter)  # before their kill came
    complaints: list[str] = field(default_factory=list)
    untrue: list[str] = field(default_factory=list)
    left: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Lane:
    """One lane: its own names, folder and dice."""

    name: str
    folder: Path
    dice: random.Random
    pulled: str
    pushed: str

    @property
    def keeper(self) -> str:
        return f"{self.name}-keeper"

    @property
    def one(self) -> str:
        return f"{self.name}-one"


def kill_calls(
    place: Place,
    folder: Path,
    *,
    kills: int,
    lanes: int = 2,
    seed: int = 0,
    latest: float = LATEST,
) -> Killed:
    """Return the results of ``kills`` kills on the store at ``place``, which has the image.

    Each comes up to ``latest`` seconds after its call has begun.
    """
    begun, outcome = time.monotonic(), Killed()
    with ExitStack() as stack:
        served = ServedImage(pace=0.002)
        layers = [tar(member(f"f{n}", random.Random(n).randbytes(400_000))) for n in range(3)]
        served.image(layers, "1")
        source = stack.enter_context(ScriptedRegistry(served))
        pushed = ""
        if not missing_registry():
            pushed = stack.enter_context(DockerRegistry(folder / "registry")).host
        with place.engine() as engine:
            before = traces(engine)
        crew = [
            Lane(
                f"lane{n}",
                folder / f"lane{n}",
                random.Random(f"{seed} {n}"),
                f"{source.host}/team/app:1",
                pushed,
            )
            for n in range(lanes)
        ]
        with ThreadPoolExecutor(lanes) as pool:
            work = [
                pool.submit(_drive, place, lane, kills // lanes, latest, outcome) for lane in crew
            ]
            for future in work:
                future.result()
        with place.engine() as engine:
            outcome.left = _left(engine, place, before)
    outcome.seconds = time.monotonic() - begun
    return outcome


def _drive(place: Place, lane: Lane, kills: int, latest: float, outcome: Killed) -> None:
    """Make the calls of one lane."""
    lane.folder.mkdir()
    (lane.folder / "file").write_bytes(lane.dice.randbytes(50_000))
    with place.engine() as engine, forker.started() as children:
        for _ in range(kills):
            kind = lane.dice.choice([name for name in _CALLS if lane.pushed or name != "push"])
            seconds = lane.dice.random() * latest
            text = f"{kind} killed after {seconds * 1000:.0f} ms"
            try:
                call = _CALLS[kind](engine, lane)
            except ContainersError as error:
                outcome.complaints.append(f"before {kind}: {type(error).__name__} {error}")
                continue
            ended = children.kill(seconds, _call, place, call)
            outcome.calls[kind] += 1
            if ended.returncode == 0:
                outcome.finished[kind] += 1
                if ended.value:
                    outcome.complaints.append(f"{kind}: {ended.value}")
            elif ended.returncode > 0:
                outcome.untrue.append(f"{kind} failed")
            outcome.untrue += [f"{text}: {line}" for line in _untrue(engine, lane)]
            _clean(engine, lane)


def _call(place: Place, call: Callable[[Engine], object], ready: Callable[[], object]) -> str:
    """Be the kernel that makes a call; return the error that it met."""
    with place.engine() as engine:
        ready()
        try:
            call(engine)
        except ContainersError as error:
            return f"{type(error).__name__} {error}"
    return ""


def _own(engine: Engine, lane: Lane) -> list[Any]:
    return [one for one in engine.containers(all=True) if one.name.startswith(f"{lane.name}-")]


def _untrue(engine: Engine, lane: Lane) -> list[str]:
    """Return the lane's containers that are not as ``ps`` says, once they had time to end."""
    deadline = time.monotonic() + _LOOKING
    while True:
        wrong = [
            f"{one.name} {one.id[:12]}: {text}"
            for one in _own(engine, lane)
            if (text := untruth(engine, one))
        ]
        if not wrong or time.monotonic() > deadline:
            return wrong
        time.sleep(0.02)


def _clean(engine: Engine, lane: Lane) -> None:
    for one in _own(engine, lane):
        if one.name != lane.keeper:
            with suppress(ContainersError):  # it was about to remove itself
                engine.containers.remove(one.id, force=True, volumes=True)


# -- calls: each prepares its objects and returns the call, which another process makes -----------


def _run(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    dice = lane.dice
    flags: dict[str, object] = dice.choice(
        [
            {"rm": True, "publish": ["80"]},
            {"rm": True, "network": "none"},
            {"detach": True, "publish": ["80"], "volume": "/data", "memory": "32m"},
            {"detach": True, "rm": True, "network": "none"},
            {"detach": True, "restart": "always", "network": "none"},
            {
                "detach": True,
                "health_cmd": "true",
                "health_interval": "50ms",
                "log_opt": ["max-size=4k", "max-file=2"],
            },
        ]
    )
    command = dice.choice([["true"], ["sleep", "60"], ["sh", "-c", "sleep 0.05; exit 1"]])
    if "detach" not in flags and command[0] == "sleep":
        command = ["sleep", "0.1"]
    return partial(_do, "run", BUSYBOX, command, name=lane.one, check=False, **flags)


def _start(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    if lane.dice.random() < 0.5:
        engine.containers.create(BUSYBOX, ["sleep", "60"], name=lane.one, publish=["80"])
    else:
        engine.run(BUSYBOX, ["true"], name=lane.one, network="none")
    return partial(_do, "containers.start", lane.one)


def _kept(engine: Engine, lane: Lane) -> None:
    """Have the lane's keeper run."""
    with suppress(ContainersError):
        if engine.containers.get(lane.keeper).status.alive:
            return
        engine.containers.remove(lane.keeper, force=True)
    engine.run(BUSYBOX, ["sleep", "3600"], name=lane.keeper, detach=True, network="none")


def _exec(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    _kept(engine, lane)
    detach = lane.dice.random() < 0.5
    return partial(_do, "containers.exec", lane.keeper, ["sleep", "0.05"], detach=detach)


def _copy(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    _kept(engine, lane)
    here, there = str(lane.folder / "file"), f"{lane.keeper}:/file"
    engine.containers.copy(here, there)
    if lane.dice.random() < 0.5:
        return partial(_do, "containers.copy", here, there)
    return partial(_do, "containers.copy", there, str(lane.folder / "copied"))


def _build(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    number = lane.dice.randrange(6)
    wait = lane.dice.choice(["0.05", "0.05", "30"])
    text = f"FROM busybox\nRUN sleep {wait}; echo {number} > /one\nCOPY file /{number}\nRUN true\n"
    text += "RUN false\n" if lane.dice.random() < 0.2 else ""
    return partial(_do, "build", str(lane.folder), dockerfile=text, tag=f"{lane.name}-built:1")


def _pull(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    with suppress(ContainersError):
        engine.images.remove(lane.pulled, force=True)
    return partial(_do, "pull", lane.pulled)


def _imported(engine: Engine, lane: Lane, name: str | None) -> str:
    return engine.images.import_archive(tar(member("file", lane.dice.randbytes(200_000))), name).id


def _push(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    name = f"{lane.pushed}/{lane.name}/pushed:1"
    _imported(engine, lane, name)
    return partial(_do, "push", name)


def _rmi(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    _imported(engine, lane, f"{lane.name}-removed:1")
    return partial(_do, "images.remove", f"{lane.name}-removed:1")


def _prune(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    _imported(engine, lane, None)
    engine.containers.create(BUSYBOX, ["true"], name=lane.one, volume="/data")
    return partial(_do, "system.prune", volumes=True)


def _stop(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    rm = lane.dice.random() < 0.5
    engine.run(BUSYBOX, ["sleep", "60"], name=lane.one, detach=True, publish=["80"], rm=rm)
    return partial(_do, "containers.stop", lane.one, timeout=0)


def _restart(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    rm = lane.dice.random() < 0.5
    engine.run(BUSYBOX, ["sleep", "60"], name=lane.one, detach=True, network="none", rm=rm)
    return partial(_do, "containers.restart", lane.one, timeout=0)


def _remove(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    engine.run(BUSYBOX, ["sleep", "60"], name=lane.one, detach=True, volume="/data")
    return partial(_do, "containers.remove", lane.one, force=True, volumes=True)


def _pause(engine: Engine, lane: Lane) -> Callable[[Engine], object]:
    _kept(engine, lane)
    if lane.dice.random() < 0.5:
        engine.run(BUSYBOX, ["sleep", "60"], name=lane.one, detach=True, network="none")
        return partial(_do, "containers.pause", lane.one)
    return partial(_do, "containers.commit", lane.keeper, f"{lane.name}-committed:1")


_CALLS: dict[str, Callable[[Engine, Lane], Callable[[Engine], object]]] = {
    "run": _run,
    "start": _start,
    "exec": _exec,
    "build": _build,
    "pull": _pull,
    "push": _push,
    "rmi": _rmi,
    "prune": _prune,
    "stop": _stop,
    "restart": _restart,
    "rm": _remove,
    "cp": _copy,
    "pause or commit": _pause,
}


def _do(verb: str, *arguments: Any, **flags: Any) -> object:
    """Call a method of a service of the engine, which comes last."""
    *words, engine = arguments
    return attrgetter(verb)(engine)(*words, **flags)


# -- the end ---------------------------------------------------------------------------------------


def _left(engine: Engine, place: Place, before: Any) -> dict[str, Any]:
    """Empty the store and return its remains, by kind."""
    found: dict[str, Any] = {}
    if problems := engine.system.check().problems:
        found["problems"] = [str(problem) for problem in problems]
    for one in engine.containers(all=True):
        with suppress(ContainersError):  # it was about to remove itself
            engine.containers.remove(one.id, force=True, volumes=True)
    found |= settled(engine, before, timeout=30)
    for image in engine.images():
        with suppress(ContainersError):  # it went with another
            engine.images.remove(image.id, force=True)
    engine.system.prune(all=True, volumes=True)
    engine.volumes.prune(all=True)
    engine._context.store.sweep()
    engine._context.store._staging.finish()
    found |= remains(place, *OF_STORES)
    if unknown := strange(place, *AT_ROOT):
        found["unknown"] = unknown
    if there := rows(place):
        found["records"] = there
    if watching := onlookers(place):
        found["mounted"] = watching
    return found
