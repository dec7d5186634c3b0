"""Sessions: from nothing, from a pool, a statement, a branch, and the memory beside them.

The store is their own; Docker has nothing to compare with.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tests.bench import memory, tutorial
from tests.bench.table import Row
from tests.bench.turns import Series, seconds
from tests.integration.engine_fixtures import Place, demolish

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine

_IMAGE = tutorial.BASE
_STATEMENTS = 200


def rows(folder: Path, rounds: int) -> list[Row]:
    """Return the figures of an image with Python."""
    with Place.under(folder / "sessions").engine() as engine:
        engine.images.load(tutorial.ARCHIVE)
        try:
            return [*_starts(engine, rounds), *_branches(engine, rounds), _residence(engine)]
        finally:
            demolish(engine)


def _series(rounds: int, work: Callable[[], Any], after: Callable[[Any], object]) -> Series:
    """Measure ``work``, but not ``after``, which receives its result; the first is a warm-up."""
    found = []
    for _ in range(rounds + 1):
        results: list[Any] = []
        found.append(seconds(lambda: results.append(work())))  # noqa: B023  # called at once
        after(results[0])
    return Series(tuple(found[1:]))


def _starts(engine: Engine, rounds: int) -> list[Row]:
    ready = _series(
        rounds,
        lambda: engine.sessions.start(_IMAGE, network="none"),
        lambda session: session.stop(),
    )
    with engine.sessions(_IMAGE, size=2, network="none") as pool:

        def again(session: Any) -> None:
            session.stop()
            pool.wait()

        pool.wait()
        pooled = _series(rounds, pool.take, again)
        with pool.take() as session:
            pool.wait()
            statement = _series(_STATEMENTS, lambda: session.run("1 + 1"), lambda _: None)
    return [
        Row("Session: ready, of `python:3-slim`", "ms", ready, limit=150),
        Row("Session: taken from a pool", "ms", pooled, limit=10),
        Row("Session: a statement", "ms", statement, limit=3),
    ]


def _branches(engine: Engine, rounds: int) -> list[Row]:
    with engine.sessions.start(_IMAGE, network="none") as session:
        session.files.write("/root/state", b"x" * 1_000_000)
        alone = _series(rounds, session.fork, lambda branch: branch.stop())
        snapshot = session.snapshot()

        def result() -> Any:
            branch = session.fork(snapshot=snapshot)
            branch.run("len(open('/root/state').read())").check()
            return branch

        of_one = _series(
            rounds, lambda: session.fork(snapshot=snapshot), lambda branch: branch.stop()
        )
        first = _series(rounds, result, lambda branch: branch.stop())
        snapshot.remove()
    return [
        Row("Session: a branch with its files", "ms", alone, limit=60),
        Row("Session: a branch of a snapshot", "ms", of_one, limit=60),
        Row("Session: a branch of a snapshot, its first result", "ms", first),
    ]


def _residence(engine: Engine) -> Row:
    """Return the memory of all processes that a session adds: conmon, the runtime, the agent."""
    with engine.sessions.start(_IMAGE, network="none") as session:
        session.run("1").check()
        used = memory.total(_processes(session.container_id), "Pss")
    return Row("Session: memory beside the notebook", "MB", Series((used,)), limit=20)


def _processes(container: str) -> set[int]:
    """Return the processes that name a container, or are in its control group."""
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        for file in ("cmdline", "cgroup"):
            with contextlib.suppress(OSError):
                if container in Path(f"/proc/{entry}/{file}").read_text():
                    found.add(int(entry))
    return found
