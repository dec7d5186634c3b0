"""A store on a disk without a free byte, without a free inode, and on one that is read-only.

Verbs that free space or only read work there.  Seen to fail at 39323e0: every verb ended with
"cannot open the records: disk I/O error" (no byte), "unable to open database file" (no inode) or a
traceback of ``OSError`` (read-only).
"""

from __future__ import annotations

import contextlib
import os
import shlex
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.errors import DiskFullError, ReadOnlyStoreError
from jupyter_containers.store.reserve import PIECES
from tests.integration.commands import Commands
from tests.integration.engine_fixtures import Place, demolish
from tests.integration.registry_server import ScriptedRegistry
from tests.integration.served_image import ServedImage, member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, to mount a small disk")
SIZE = 64 * 1024 * 1024
INODES = 4000


class Small:
    """A store on a small disk, which the test fills and empties."""

    def __init__(self, disk: Path, run_root: Path, commands: Commands) -> None:
        self.disk = disk
        self.place = Place(disk / "root", run_root)
        self._commands = commands

    def fill(self) -> None:
        """Take every block."""
        with open(self.disk / "filler", "ab", buffering=0) as file:
            for size in (1 << 20, 4096, 1):
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(size))
        assert os.statvfs(self.disk).f_bfree == 0

    def fill_inodes(self) -> None:
        """Take every inode."""
        folder = self.disk / "files"
        folder.mkdir()
        with contextlib.suppress(OSError):
            for number in range(10**6):
                (folder / str(number)).touch()
        assert os.statvfs(self.disk).f_ffree == 0

    def empty(self) -> None:
        (self.disk / "filler").unlink(missing_ok=True)
        if (self.disk / "files").exists():
            for file in (self.disk / "files").iterdir():
                file.unlink()
            (self.disk / "files").rmdir()

    def command(self, line: str) -> subprocess.CompletedProcess[str]:
        environ = {**os.environ, **self.place.variables}
        done = self._commands.run(shlex.split(line), environ=environ)
        return subprocess.CompletedProcess(
            done.args, done.returncode, done.stdout.decode(), done.stderr.decode()
        )

    def says(self, line: str) -> str:
        """Return a command's output; it must succeed without errors."""
        done = self.command(line)
        assert done.returncode == 0, done.stderr
        return done.stdout


@pytest.fixture(scope="module")
def commands() -> Iterator[Commands]:
    with contextlib.closing(Commands()) as running:
        yield running


@pytest.fixture
def small(tmp_path: Path, commands: Commands) -> Iterator[Small]:
    """A small disk with a store of one image, a container that has ended and one that runs."""
    disk = tmp_path / "disk"
    disk.mkdir()
    options = f"size={SIZE},nr_inodes={INODES}"
    subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", disk], check=True)
    made = Small(disk, tmp_path / "run", commands)
    try:
        with made.place.engine() as engine:
            engine.images.bootstrap("busybox")
            grow = ["sh", "-c", "head -c 2000000 /dev/urandom > /big"]
            for name in ("big", "source"):
                engine.run("busybox", grow, name=name, network="none")
            engine.containers.commit("source", "extra")
            engine.containers.remove("source")
            engine.volumes.create("data")
            engine.run("busybox", ["echo", "said"], name="ended", network="none")
            script = "trap 'exit 5' TERM; echo here; while :; do sleep 0.1; done"
            command = ["sh", "-c", script]
            engine.run("busybox", command, name="running", network="none", detach=True)
        yield made
    finally:
        made.empty()
        with made.place.engine() as engine:
            demolish(engine)
        subprocess.run(["umount", "-l", disk], check=True)


def _ended(small: Small, name: str) -> bool:
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        if name not in small.says("ps --format {{.Names}}").split():
            return True
        time.sleep(0.1)
    return False


def _looked(small: Small) -> None:
    assert set(small.says("ps -a --format {{.Names}}").split()) == {"big", "ended", "running"}
    assert "busybox" in small.says("images")
    assert small.says("logs ended") == "said\n"
    assert "Images" in small.says("system df")
    assert '"ended"' in small.says("inspect ended").replace("/", "")
    assert "data" in small.says("volume ls")


def _removed(small: Small) -> None:
    small.says("rm ended")
    assert "ended" not in small.says("ps -a --format {{.Names}}").split()


def _stopped(small: Small) -> None:
    small.says("stop -t 5 running")
    assert _ended(small, "running")
    small.says("rm running")


def _killed(small: Small) -> None:
    small.says("kill running")
    assert _ended(small, "running")


def _forced(small: Small) -> None:
    small.says("rm -f running")
    assert _ended(small, "running")


def _untagged(small: Small) -> None:
    before = os.statvfs(small.disk).f_bfree
    small.says("rmi extra")
    assert (os.statvfs(small.disk).f_bfree - before) * 4096 > 3_900_000, "layer and archive"
    assert "extra" not in small.says("images")


def _volume_gone(small: Small) -> None:
    small.says("volume rm data")
    assert "data" not in small.says("volume ls")


def _pruned(small: Small) -> None:
    small.says("system prune --force --all")
    assert "ended" not in small.says("ps -a --format {{.Names}}").split()
    assert "extra" not in small.says("images")


VERBS: dict[str, Callable[[Small], None]] = {
    "looking": _looked,
    "rm": _removed,
    "rm -f": _forced,
    "stop": _stopped,
    "kill": _killed,
    "rmi": _untagged,
    "volume rm": _volume_gone,
    "prune": _pruned,
}


def _whole_again(small: Small) -> None:
    """With free space again everything works, and no unreferenced files remain."""
    small.empty()
    with small.place.engine() as engine:
        assert engine.run("busybox", ["echo", "works"], rm=True, network="none").output == "works\n"
        assert engine.system.check().problems == (), engine.system.check()
        assert len(os.listdir(small.place.root / "reserve")) == PIECES


@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_a_full_disk(small: Small, verb: str, what: str) -> None:
    if what == "bytes":
        small.fill()
    else:
        small.fill_inodes()
    VERBS[verb](small)
    _whole_again(small)


def test_a_full_disk_without_a_reserve(small: Small) -> None:
    """The reserve was used by another process at the same moment, or the store is older."""
    for file in (small.place.root / "reserve").iterdir():
        file.unlink()
    small.fill()
    _looked(small)
    small.says("kill running")
    for line in ("tag busybox other", "volume create more"):
        done = small.command(line)
        assert done.returncode == 1
        first, *rest = done.stderr.splitlines()
        assert "disk full" in first
        assert rest == ["hint: free space, or remove what is unused with prune"]
    small.says("rm big")
    small.says("rm ended")
    _whole_again(small)


def test_a_container_that_takes_every_byte_that_is_given_up(small: Small) -> None:
    """A container that keeps filling the disk can still be inspected and stopped."""
    greedy = "while :; do cat /dev/zero >> /greedy 2>/dev/null || :; done"
    with small.place.engine() as engine:
        engine.run("busybox", ["sh", "-c", greedy], name="greedy", network="none", detach=True)
    deadline = time.monotonic() + 20
    while os.statvfs(small.disk).f_bfree and time.monotonic() < deadline:
        time.sleep(0.05)
    for _ in range(3):
        assert "greedy" in small.says("ps --format {{.Names}}").split()
    small.says("kill greedy")
    assert _ended(small, "greedy")
    small.says("rm greedy")
    assert os.statvfs(small.disk).f_bfree * 4096 > SIZE // 2
    _whole_again(small)


@pytest.mark.parametrize("what", ["bytes", "inodes"])
def test_what_needs_room_fails_in_plain_words(small: Small, what: str) -> None:
    """The verbs that cannot work say so, and leave nothing: the check at the end looks."""
    recipe = small.place.run_root.parent / "Dockerfile"
    recipe.write_text("FROM busybox\nRUN head -c 9000000 /dev/urandom > /more\n")
    (recipe.parent / "context").mkdir()
    archive = small.place.run_root.parent / "archive.tar"
    small.says(f"save -o {archive} extra")
    small.says("rmi extra")
    if what == "bytes":
        small.fill()
    else:
        small.fill_inodes()
    for line in (
        f"build --no-cache -t more -f {recipe} {recipe.parent}/context",
        f"load -i {archive}",
        "commit big more",
        "run --network none --name more busybox sh -c 'head -c 9000000 /dev/zero > /x'",
        "run --network none busybox sh -c 'mkdir /a && cd /a && touch $(seq 99)'",
    ):
        done = small.command(line)
        assert "Traceback" not in done.stderr, done.stderr
    _whole_again(small)
    with small.place.engine() as engine:
        assert os.listdir(small.place.root / "staging") == []
        engine.system.prune(all=True)
        assert _used(small) < 12_000_000


def test_an_engine_that_is_open_already(small: Small) -> None:
    with small.place.engine() as engine:
        small.fill()
        with pytest.raises(DiskFullError):
            engine.images.load(b"".join([tar(member("x", os.urandom(3_000_000)))]))
        assert len(engine.containers(all=True)) == 3
        engine.containers.stop("running", timeout=1)
        engine.containers.remove("big")
        engine.containers.remove("running")
        engine.containers.remove("ended")
        assert engine.containers(all=True) == []
        small.empty()
    _whole_again(small)


def test_a_pull_that_met_a_full_disk_leaves_nothing_that_prune_does_not_find(small: Small) -> None:
    """Seen to leave the received part of the layer, which ``prune`` did not remove."""
    served = ServedImage()
    served.image([tar(member("big", os.urandom(80_000_000)))], "1")
    with ScriptedRegistry(served) as registry, small.place.engine() as engine:
        before = _used(small)
        with pytest.raises(DiskFullError):
            engine.pull(f"{registry.host}/big:1")
        assert _used(small) - before > 8_000_000
        assert sum(line.size for line in engine.system.df()) > 8_000_000
        freed = engine.system.prune().freed
        assert freed > 8_000_000
        assert _used(small) - before < 1_000_000
    _whole_again(small)


def _used(small: Small) -> int:
    state = os.statvfs(small.disk)
    return (state.f_blocks - state.f_bfree) * state.f_frsize


@contextlib.contextmanager
def read_only(small: Small) -> Iterator[None]:
    """Bind the store read-only over itself."""
    root = str(small.place.root)
    subprocess.run(["mount", "--bind", root, root], check=True)
    try:
        subprocess.run(["mount", "-o", "remount,bind,ro", root], check=True)
        yield
    finally:
        subprocess.run(["umount", "-l", root], check=True)


@pytest.mark.parametrize("open_elsewhere", [False, True])
def test_a_read_only_store(small: Small, open_elsewhere: bool) -> None:
    """With an engine that has it open, some of the records are in the write-ahead log only."""
    with contextlib.ExitStack() as stack:
        if open_elsewhere:
            stack.enter_context(small.place.engine()).images.tag("busybox", "logged")
        with read_only(small):
            _looked(small)
            if open_elsewhere:
                assert "logged" in small.says("images")
            writing = ("rm ended", "tag busybox other", "rmi extra", "volume rm data")
            for line in (*writing, "create busybox"):
                done = small.command(line)
                assert done.returncode == 1, (line, done.stdout)
                assert done.stderr.count("\n") == 2, done.stderr
                first, hint = done.stderr.splitlines()
                assert "read-only" in first, line
                assert hint.startswith("hint: ")
            with small.place.engine() as engine, pytest.raises(ReadOnlyStoreError):
                engine.volumes.create("new")
    _whole_again(small)
