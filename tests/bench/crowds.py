"""Figures of many containers: started one after another and at once, listed, watched."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from fractions import Fraction
from functools import partial
from pathlib import Path
from typing import Any

import msgspec

from jupyter_containers import Engine
from jupyter_containers.engine.naming import new_id
from jupyter_containers.oci.state import Status
from jupyter_containers.runtime.seccomp import seccomp_profile
from jupyter_containers.runtime.security import DEFAULT_CAPABILITIES
from tests.bench.peer import Docker, Podman
from tests.bench.table import Row
from tests.bench.turns import Series, in_turns, seconds

THIRD, HALF = Fraction(1, 3), Fraction(1, 2)
_AT_ONCE = 8
_LISTED = 2000
_SLEEP = ["sleep", "600"]


def starts(engine: Engine, docker: Docker, podman: Podman, image: str, count: int) -> list[Row]:
    """Measure ``count`` detached containers one after another, eight at once, and their stats."""
    with _cleared(engine, docker, podman):
        one_by_one = _raced(engine, docker, podman, image, count, workers=1)
        names = [container.id for container in engine.containers()]
        engine.containers.stats(names)  # the first has nothing to compare with
        watch = Series(tuple(seconds(lambda: engine.containers.stats(names)) for _ in range(5)))
        watched = seconds(lambda: docker("stats", "--no-stream"))
    with _cleared(engine, docker, podman):
        at_once = _raced(engine, docker, podman, image, count, workers=_AT_ONCE)
    return [
        *_compared(f"{count} detached containers, one after another", one_by_one, THIRD),
        *_compared(f"{count} detached containers, {_AT_ONCE} at once", at_once, HALF),
        Row(f"`stats` of {count} containers", "ms", watch, Series((watched,)), limit=50),
    ]


def listing(engine: Engine, image: str) -> list[Row]:
    """Measure ``ps -a`` of 2,000 containers that have ended, as text."""
    from jupyter_containers.commands.execute import execute
    from jupyter_containers.commands.session import Session

    container = engine.containers.create(image, ["true"], network="none")
    now = time.time()
    state = msgspec.structs.replace(
        container.record.state, status=Status.EXITED, started=now - 9, finished=now - 8
    )
    records = [
        msgspec.structs.replace(container.record, id=new_id(), name=f"listed-{number}", state=state)
        for number in range(_LISTED)
    ]
    collection = engine._context.containers
    for record in records:
        collection.insert(record.id, record.name, record)
    try:
        session = Session(lambda: engine)
        calls = {
            "values": lambda: engine.containers(all=True),
            "text": lambda: repr(execute(session, ["ps", "-a"])),
        }
        found = in_turns(calls, rounds=7)
    finally:
        for record in records:
            collection.delete(record.id)
        container.remove()
    return [
        Row(f"`ps -a` with {_LISTED:,} containers, as values", "ms", found["values"], limit=50),
        Row(
            f"`ps -a` with {_LISTED:,} containers, as a table of text",
            "ms",
            found["text"],
            limit=50,
        ),
    ]


def beyond_runtime(engine: Engine, image: str, folder: Path, rounds: int) -> list[Row]:
    """Measure the time of a whole run beyond the bare runtime's, without a filter and with ours."""
    runtime, host = engine._context.runtime, engine._context.host
    profile = seccomp_profile(host.architecture, DEFAULT_CAPABILITIES)
    bundles = {
        "bare": _bundle(folder / "bare", None),
        "filtered": _bundle(folder / "filtered", profile),
    }

    def alone(name: str) -> None:
        argv = [runtime.path, "--root", str(folder / f"{name}-state"), "run", f"bench-{name}"]
        subprocess.run(argv, cwd=bundles[name], stdin=subprocess.DEVNULL, check=True)

    calls: dict[str, Callable[[], object]] = {
        "ours": lambda: engine.run(image, ["true"], network="none", rm=True),
        **{name: partial(alone, name) for name in bundles},
    }
    found = in_turns(calls, rounds=rounds, warm_ups=2)

    def beyond(name: str, words: str) -> Row:
        pairs = zip(found["ours"].values, found[name].values, strict=True)
        more = Series(tuple(ours - alone for ours, alone in pairs))
        figure = f"`run --rm --network none` beyond a bare `{runtime.name} run`{words}"
        return Row(figure, "ms", more, limit=20)

    return [
        beyond("bare", " of its own `spec`, no system call filter"),
        beyond("filtered", " with our system call filter"),
    ]


def _bundle(folder: Path, seccomp: Mapping[str, Any] | None) -> Path:
    root = folder / "rootfs"
    root.mkdir(parents=True)
    subprocess.run(["tar", "-x", "-C", root, "-f", folder.parent / "busybox.tar"], check=True)
    subprocess.run(["runc", "spec"], cwd=folder, check=True)
    config = json.loads((folder / "config.json").read_text())
    config["process"] |= {"terminal": False, "args": ["true"]}
    if seccomp is not None:
        config["linux"]["seccomp"] = seccomp
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def _raced(
    engine: Engine, docker: Docker, podman: Podman, image: str, count: int, *, workers: int
) -> dict[str, float]:
    return {
        "ours": seconds(lambda: _ours(engine, image, count, workers=workers)),
        "docker": seconds(lambda: _peers(docker, image, count, workers=workers)),
        "podman": seconds(lambda: _peers(podman, image, count, workers=workers)),
    }


def _compared(figure: str, took: dict[str, float], target: Fraction) -> list[Row]:
    ours, docker, podman = (Series((took[name],)) for name in ("ours", "docker", "podman"))
    return [
        Row(figure, "s", ours, docker, target),
        Row(f"{figure} (beside podman)", "s", ours, podman, peer_name="podman"),
    ]


@contextmanager
def _cleared(engine: Engine, *peers: Docker | Podman) -> Iterator[None]:
    try:
        yield
    finally:
        for container in engine.containers(all=True):
            container.remove(force=True)
        for peer in peers:
            if names := peer("ps", "-aq").split():
                peer("rm", "-f", *names)


def _ours(engine: Engine, image: str, count: int, *, workers: int) -> None:
    def start(_: int) -> None:
        engine.run(image, _SLEEP, detach=True, network="none")

    _all(start, count, workers)


def _peers(peer: Docker | Podman, image: str, count: int, *, workers: int) -> None:
    def start(_: int) -> None:
        peer("run", "-d", "--network", "none", image, *_SLEEP)

    _all(start, count, workers)


def _all(start: Callable[[int], None], count: int, workers: int) -> None:
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(start, range(count)))
