"""Processes that die by SIGKILL at a named point of an engine's work.

A *point* is the n-th call of one kind: making a file durable, renaming, removing, making a folder,
committing a transaction, starting a program, or opening the fifo by which a runtime starts a
container, named after its effect (``rename content``, ``commit record an image``, ``started
conmon``).  :meth:`Deaths.points` runs some work once and returns the points that it passes;
:meth:`Deaths.die_at` runs it again in a new process, which dies there.  The work
is a function of a module, or a ``partial`` of one.
"""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_containers.engine import Engine
from jupyter_containers.runtime import oci_runtime
from jupyter_containers.store.database import Database
from tests.integration.engine_fixtures import Place
from tests.integration.forker import Forker

Work = Callable[[Engine], object]
OnPoint = Callable[[str], None]


class Deaths:
    """Work that is killed in child processes of ``forker``."""

    def __init__(self, forker: Forker) -> None:
        self._forker = forker

    def points(self, place: Place, work: Work) -> list[str]:
        """Return the points of some work, which is done completely; at most two of each name."""
        ended = self._forker.run(_note_all, place, work)
        assert ended.returncode == 0, f"the work failed: {ended.returncode}"
        found: list[str] = ended.value
        return found

    def die_at(self, place: Place, work: Work, point: str) -> bool:
        """Do the work in a process that is killed at ``point``; False when it did not get there."""
        return self._forker.run(_die, place, work, point).returncode == -signal.SIGKILL


def _note_all(place: Place, work: Work) -> list[str]:
    counts: Counter[str] = Counter()
    found: list[str] = []

    def note(name: str) -> None:
        counts[name] += 1
        if counts[name] <= 2:
            found.append(f"{name} #{counts[name]}")

    _watched(place, work, note)
    return found


def _die(place: Place, work: Work, point: str) -> None:
    counts: Counter[str] = Counter()

    def note(name: str) -> None:
        counts[name] += 1
        if f"{name} #{counts[name]}" == point:
            os.kill(os.getpid(), signal.SIGKILL)

    _watched(place, work, note)


def _watched(place: Place, work: Work, note: OnPoint) -> None:
    with (
        place.engine() as engine,
        _hooks(str(engine.settings.root), note),
        _program_hooks(note),
    ):
        work(engine)


@contextmanager
def _hooks(root: str, note: OnPoint) -> Iterator[None]:
    def area(path: object) -> str:
        text = os.fsdecode(os.readlink(f"/proc/self/fd/{path}") if isinstance(path, int) else path)
        if not text.startswith(root + "/"):
            return ""
        return text.removeprefix(root + "/").partition("/")[0]

    def hooked(name: str, real: Any, which: int) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            place = area(args[which]) if not kwargs.get("dir_fd") else ""
            if place:
                note(f"{name} {place}")
            return real(*args, **kwargs)

        return call

    real = {name: getattr(os, name) for name in ("fsync", "rename", "unlink", "mkdir", "rmdir")}
    transaction = Database.transaction

    @contextmanager
    def watched(self: Database, what: str) -> Iterator[Any]:
        name = what.split(" sha256:")[0]
        note(f"begin {name}")
        with transaction(self, what) as connection:
            yield connection
            note(f"commit {name}")
        note(f"after {name}")

    for name, function in real.items():
        setattr(os, name, hooked(name, function, 1 if name == "rename" else 0))
    Database.transaction = watched
    try:
        yield
    finally:
        for name, function in real.items():
            setattr(os, name, function)
        Database.transaction = transaction


@contextmanager
def _program_hooks(note: OnPoint) -> Iterator[None]:
    """Note the start of programs, and each step by which runc's init becomes the program."""
    popen, wait, unlink = subprocess.Popen.__init__, oci_runtime.wait_readable, os.unlink

    def started(self: Any, argv: Any, *args: Any, **kwargs: Any) -> None:
        name = os.path.basename(argv[0])
        note(f"start {name}")
        popen(self, argv, *args, **kwargs)
        note(f"started {name}")

    def waited(*args: Any, **kwargs: Any) -> Any:
        note("opened exec.fifo")
        value = wait(*args, **kwargs)
        note("wrote exec.fifo")
        return value

    def unlinked(path: Any, *args: Any, **kwargs: Any) -> None:
        if os.fsdecode(path).endswith("/exec.fifo"):
            note("read exec.fifo")
            unlink(path, *args, **kwargs)
            note("removed exec.fifo")
        else:
            unlink(path, *args, **kwargs)

    subprocess.Popen.__init__ = started
    oci_runtime.wait_readable = waited
    os.unlink = unlinked
    try:
        yield
    finally:
        subprocess.Popen.__init__ = popen
        oci_runtime.wait_readable = wait
        os.unlink = unlink
