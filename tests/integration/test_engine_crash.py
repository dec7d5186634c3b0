"""Kernels that are killed, and interrupts: nothing is lost, nothing is left, work goes on."""

from __future__ import annotations

import contextlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from operator import attrgetter
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken, Event, TaskFinished, TaskOutput
from jupyter_containers.store.uppers import tree_size
from tests.integration.engine_fixtures import Place, demolish, nothing_left, settled, traces
from tests.integration.forker import Forker
from tests.integration.registry_server import DockerRegistry, ScriptedRegistry, missing_registry
from tests.integration.served_image import ServedImage, member, tar
from tests.integration.waiting import until

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

KERNEL = """
import sys
from operator import attrgetter
from pathlib import Path
from jupyter_containers import Engine
root, run, verb, *arguments = sys.argv[1:]
with Engine(root=root, run_root=run) as engine:
    print("ready", flush=True)
    if verb == "build":
        context, text = arguments
        engine.build(context, dockerfile=text, tag="victim:1")
    elif verb == "import":
        engine.images.import_archive(arguments[0], "victim:1")
    else:
        attrgetter(verb)(engine)(arguments[0])
    print("done", flush=True)
"""

BUILD = """\
FROM busybox
COPY big /big
RUN cat /big /big > /twice; sleep 0.05; echo 1 > /one
RUN sleep 0.05; echo 2 > /two
COPY big /again/
RUN sleep 0.1 & sleep 0.05; echo 3 > /three
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Place]:
    """A store with busybox and an image that has to survive."""
    place = Place.under(tmp_path / "home")
    context = tmp_path / "context"
    context.mkdir()
    (context / "big").write_bytes(random.Random(1).randbytes(3_000_000))
    with place.engine() as engine:
        engine.images.bootstrap("busybox")
        engine.build(context, dockerfile="FROM busybox\nRUN echo safe > /safe\n", tag="survivor:1")
    yield place
    with place.engine() as engine:
        demolish(engine)


def kill_after(forker: Forker, place: Place, seconds: float, verb: str, *arguments: str) -> bool:
    """Work in another kernel, kill it that long after it is ready; return whether it was done.

    It is a fork, which has imported all that it needs: it is killed at its work.
    """
    return forker.kill(seconds, work, place, verb, *arguments).returncode == 0


def work(place: Place, verb: str, *rest: Any) -> None:
    """Be that kernel."""
    *arguments, ready = rest
    with place.engine() as engine:
        ready()
        if verb == "build":
            context, text = arguments
            engine.build(context, dockerfile=text, tag="victim:1")
        elif verb == "import":
            engine.images.import_archive(arguments[0], "victim:1")
        else:
            attrgetter(verb)(engine)(arguments[0])


def kill_when(place: Place, wait: Callable[[], object], *arguments: str) -> bool:
    """Start another kernel, kill it when ``wait`` returns; return whether it was done."""
    roots = (str(place.root), str(place.run_root))
    with subprocess.Popen(
        [sys.executable, "-c", KERNEL, *roots, *arguments],
        stdout=subprocess.PIPE,
        start_new_session=True,
    ) as kernel:
        assert kernel.stdout is not None
        assert kernel.stdout.readline() == b"ready\n"
        wait()
        kernel.kill()
        return kernel.stdout.read() == b"done\n"


def is_whole(engine: Engine) -> None:
    """Fail when something was lost, or left behind."""
    none = frozenset[str]()
    # A runtime that the dead kernel has just called ends a moment later; the next sweep is its own.
    settled(engine, replace(traces(engine), processes=none))
    engine._sweep()
    found = traces(engine)
    usual = frozenset(name for name in found.cgroups if "build-" not in name)
    rest = replace(found, mounts=none, states=none, processes=none, links=none, cgroups=usual)
    left = settled(engine, rest)
    assert not left
    root, run_root = engine.settings.root, engine.settings.run_root
    assert not list((root / "staging").iterdir())
    assert not list((run_root / "builds").glob("*"))
    assert not engine._context.store.leases.protected()
    result = engine.run("survivor:1", ["cat", "/safe"], rm=True, network="none")
    assert result.stdout == b"safe\n"
    content = engine._context.store.content
    for digest in content.digests():
        if content.size(digest) < 4_000_000:
            content.read(digest)


def test_killed_while_building(forker: Forker, home: Place, tmp_path: Path) -> None:
    chance = random.Random(20)
    context = tmp_path / "context"
    arguments = ("build", str(context), BUILD)
    finished = 0
    for number in range(20):
        # Another kernel of the same store keeps working, and must not touch objects of others.
        finished += kill_after(forker, home, chance.uniform(0.0, 0.5), *arguments)
        with home.engine() as engine:
            is_whole(engine)
            if number % 7 == 6:
                engine.builds.prune()
    events: list[Event] = []
    with home.engine() as engine:
        image = engine.build(context, dockerfile=BUILD, emit=events.append)
        result = engine.run(image, ["cat", "/one", "/two", "/three"], rm=True, network="none")
        assert result.stdout == b"1\n2\n3\n"
        again: list[Event] = []
        assert engine.build(context, dockerfile=BUILD, emit=again.append) == image
        assert {e.outcome for e in again if isinstance(e, TaskFinished)} == {"cached"}
        is_whole(engine)


def test_a_build_goes_on_from_its_cache(home: Place, tmp_path: Path) -> None:
    context = tmp_path / "context"
    text = "FROM busybox\nCOPY big /\nRUN echo first > /first\nRUN sleep 60\n"
    events: list[Event] = []

    def kept() -> int:
        with home.engine() as engine:
            entries = engine._context.store.records.cache_entries()
        return len([entry for entry in entries if entry.chain_id])

    # A step's layer is written while the next one runs.
    both = kept() + 2
    kill_when(home, lambda: until(lambda: kept() == both), "build", str(context), text)
    with home.engine() as engine:
        is_whole(engine)
        text = text.replace("sleep 60", "true")
        engine.build(context, dockerfile=text, emit=events.append)
    outcomes = [event.outcome for event in events if isinstance(event, TaskFinished)]
    assert outcomes == ["cached", "cached", "cached", "done"]


def test_a_sweep_lets_other_kernels_build(home: Place, tmp_path: Path) -> None:
    roots = (str(home.root), str(home.run_root))
    text = "FROM busybox\nRUN sleep 1; echo 1 > /f\n"
    kernel = subprocess.Popen(
        [sys.executable, "-c", KERNEL, *roots, "build", str(tmp_path / "context"), text],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    assert kernel.stdout is not None
    assert kernel.stdout.readline() == b"ready\n"
    for _ in range(5):
        time.sleep(0.2)
        with home.engine() as engine:
            engine.system.prune(all=False)
    out, errors = kernel.communicate(timeout=30)
    assert out == b"done\n", errors
    with home.engine() as engine:
        assert engine.run("victim:1", ["cat", "/f"], rm=True, network="none").stdout == b"1\n"


def test_builds_runs_and_prunes_beside_each_other(home: Place, tmp_path: Path) -> None:
    end, counts = time.monotonic() + 3, [0, 0]

    def build(engine: Engine, number: int) -> None:
        chance = random.Random(number)
        while time.monotonic() < end:
            one, two = chance.randrange(4), chance.randrange(4)
            text = f"FROM busybox\nRUN echo {one} > /one\nRUN echo {two} > /two\n"
            fresh = chance.random() < 0.3
            image = engine.build(tmp_path, dockerfile=text, tag=f"own:{number}", no_cache=fresh)
            result = engine.run(image, ["cat", "/one", "/two"], rm=True, network="none")
            assert result.stdout.split() == [b"%d" % one, b"%d" % two]
            counts[0] += 1

    def prune() -> None:
        chance = random.Random(24)
        while time.monotonic() < end:
            with home.engine() as engine:
                chance.choice([engine.images.prune, engine.builds.prune])()
                engine.system.df()
            counts[1] += 1
            time.sleep(0.03)

    with home.engine() as engine, ThreadPoolExecutor(4) as pool:
        work = [pool.submit(build, engine, number) for number in range(3)]
        for future in [*work, pool.submit(prune)]:
            future.result()
        assert min(counts) > 5
        is_whole(engine)


def test_killed_while_pulling(forker: Forker, home: Place) -> None:
    served = ServedImage(pace=0.02)
    layers = [tar(member(f"f{n}", random.Random(n).randbytes(900_000))) for n in range(4)]
    served.image(layers, "1")
    total = sum(len(blob) for blob in served.blobs.values())
    chance = random.Random(21)

    def pulled(name: str) -> int:
        """Return how many pulls were killed before one came to its end."""
        rounds = 0
        # Each kernel gets longer than the last: on a slow machine, too, one gets there.
        while not kill_after(
            forker, home, chance.uniform(0.0, 0.12) + rounds**2 / 500, "pull", name
        ):
            rounds += 1
            assert rounds < 60, "the pull never came to its end"
            with home.engine() as engine:
                is_whole(engine)
                partials = list((home.root / "ingest").iterdir())
                assert sum(path.stat().st_size for path in partials) <= total
        return rounds

    with ScriptedRegistry(served) as registry:
        name = f"{registry.host}/victim:1"
        for _ in range(5):  # on a busy machine a kernel may be killed before or after all downloads
            rounds = pulled(name)
            resumed = [r for r in registry.requests("GET", "/blobs/") if r.headers["Range"]]
            if rounds >= 3 and resumed:
                break
            with home.engine() as engine:
                engine.images.remove(name)
        assert rounds >= 3, "the pull was quicker than the kills"
        assert resumed, "no download went on where the last one stopped"
        with home.engine() as engine:
            image = engine.images.get(name)
            assert image.size == 4 * 900_000
            is_whole(engine)
            engine.pull(name)
        assert not list((home.root / "ingest").iterdir())


def test_an_interrupted_pull_fetches_only_the_rest(home: Place) -> None:
    served = ServedImage(pace=0.01)
    served.image([tar(member("f", random.Random(5).randbytes(3_000_000)))], "1")
    with ScriptedRegistry(served) as registry:
        name = f"{registry.host}/rest:1"
        partials = home.root / "ingest"
        kill_when(home, lambda: until(lambda: tree_size(partials) > 100_000), "pull", name)
        there = tree_size(partials)
        served.pace = 0
        with home.engine() as engine:
            engine.pull(name)
        last = registry.requests("GET", "/blobs/")[-1]
        assert last.headers["Range"].startswith(f"bytes={there}-")


@pytest.mark.skipif(bool(missing_registry()), reason=missing_registry() or "is there")
def test_killed_while_pushing(forker: Forker, home: Place, tmp_path: Path) -> None:
    chance = random.Random(22)
    with DockerRegistry(tmp_path / "registry") as registry:
        name = f"{registry.host}/victim:1"
        with home.engine() as engine:
            image = engine.build(
                tmp_path / "context",
                dockerfile="FROM busybox\nCOPY big /a\nRUN cat /a /a > /b\nRUN cat /b /a > /c\n",
                tag=name,
            )
        for _ in range(8):
            kill_after(forker, home, chance.uniform(0.0, 0.15), "push", name)
            with home.engine() as engine:
                is_whole(engine)
        with home.engine() as engine:
            assert engine.push(name) == image.digest
            engine.images.remove(name)
            assert engine.pull(name).digest == image.digest


def test_killed_while_importing(forker: Forker, home: Place, tmp_path: Path) -> None:
    chance = random.Random(23)
    members = [member(f"d{n % 50}/f{n}", random.Random(n).randbytes(2000)) for n in range(3000)]
    (tmp_path / "root.tar").write_bytes(tar(*members))
    for _ in range(10):
        done = kill_after(
            forker, home, chance.uniform(0.0, 0.4), "import", str(tmp_path / "root.tar")
        )
        with home.engine() as engine:
            is_whole(engine)
            victims = [image for image in engine.images() if "victim:1" in image.names]
            assert not done or victims
            for image in victims:
                assert image.size == 3000 * 2000
                image.remove()
    with home.engine() as engine:
        engine.images.import_archive(tmp_path / "root.tar", "victim:1")
        engine.system.prune(all=True)
        assert engine._context.store.content.digests() == []


@pytest.mark.skipif(not shutil.which("mmdebstrap"), reason="mmdebstrap is not installed")
def test_killed_while_bootstrapping(home: Place) -> None:
    kill_when(home, lambda: time.sleep(2.5), "images.bootstrap", "debian:bookworm-slim")
    deadline = time.monotonic() + 5
    while (found := _mentioning(str(home.root))) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not found, "the tool ends with the kernel that started it"
    with home.engine() as engine:
        is_whole(engine)


def _mentioning(text: str) -> list[str]:
    lines = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError):
            line = path.read_bytes().replace(b"\0", b" ").decode(errors="replace")
            if text in line:
                lines.append(line)
    return lines


# -- interrupts -----------------------------------------------------------------------------------


class Interrupter:
    """An event sink that sends SIGINT to this process when a step prints a word."""

    def __init__(self, word: bytes, *, times: int = 1) -> None:
        self.word, self.times, self.sent = word, times, 0.0
        self.outcomes: list[str] = []

    def __call__(self, event: Event) -> None:
        if isinstance(event, TaskFinished):
            self.outcomes.append(event.outcome)
        if isinstance(event, TaskOutput) and self.word in event.data and not self.sent:
            self.sent = time.monotonic()
            threading.Thread(target=self.send).start()

    def send(self) -> None:
        time.sleep(0.1)
        self.sent = time.monotonic()
        for _ in range(self.times):
            os.kill(os.getpid(), signal.SIGINT)
            time.sleep(0.01)


@pytest.mark.parametrize("times", [1, 3])
@pytest.mark.parametrize("ignoring", [False, True])
def test_an_interrupt_ends_a_run_step_at_once(
    engine: Engine, busybox: str, tmp_path: Path, ignoring: bool, times: int
) -> None:
    trap = "trap '' INT TERM; " if ignoring else ""
    text = (
        "FROM busybox\nRUN echo kept > /kept\n"
        f"RUN {trap}echo now; sleep 61 & sleep 62; echo never > /never\n"
    )
    with nothing_left(engine):
        interrupter = Interrupter(b"now", times=times)
        with pytest.raises(KeyboardInterrupt):
            engine.build(tmp_path, dockerfile=text, emit=interrupter)
        took = time.monotonic() - interrupter.sent
    assert took < 8  # the step sleeps a minute, and a grace is 10 seconds
    assert interrupter.outcomes[-1] == "cancelled"
    outcomes: list[str] = []

    def note(event: Event) -> None:
        if isinstance(event, TaskFinished):
            outcomes.append(event.outcome)

    text = text.replace("sleep 61 & sleep 62; ", "")
    image = engine.build(tmp_path, dockerfile=text, emit=note)
    assert outcomes[:2] == ["cached", "cached"]
    assert engine.run(image, ["cat", "/kept"], rm=True, network="none").stdout == b"kept\n"


def test_a_cancel_ends_a_run_step(engine: Engine, busybox: str, tmp_path: Path) -> None:
    token = CancelToken()

    def emit(event: Event) -> None:
        if isinstance(event, TaskOutput):
            token.cancel()

    started = time.monotonic()
    with nothing_left(engine), pytest.raises(OperationCancelledError):
        engine.build(
            tmp_path, dockerfile="FROM busybox\nRUN echo; sleep 60\n", emit=emit, cancel=token
        )
    assert time.monotonic() - started < 30  # the step sleeps a minute


# An interrupt may fall between opening a file and its with block; its collection closes the file.
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
@pytest.mark.parametrize("delay", [0.05, 0.1, 0.15, 0.2, 0.3])
def test_an_interrupt_ends_a_copy(
    engine: Engine, busybox: str, tmp_path: Path, delay: float
) -> None:
    for number in range(8000):
        (tmp_path / f"f{number}").write_bytes(b"x" * 3000)
    sent: list[float] = []  # in this process's own time: other tests run beside this one

    def interrupt() -> None:
        sent.append(time.process_time())
        os.kill(os.getpid(), signal.SIGINT)

    with nothing_left(engine):
        threading.Timer(delay, interrupt).start()
        with pytest.raises(KeyboardInterrupt):
            engine.build(tmp_path, dockerfile="FROM busybox\nCOPY . /all/\n", no_cache=True)
        took = time.process_time() - sent[0]
    assert took < 0.5, "what was copied is deleted first"
    assert not list((engine.settings.root / "staging").iterdir())


def test_an_interrupt_ends_a_pull(engine: Engine, busybox: str) -> None:
    served = ServedImage(pace=0.1)  # it would take 16 seconds
    served.image(
        [tar(member(f"f{n}", random.Random(n).randbytes(5_000_000))) for n in range(4)], "1"
    )
    with ScriptedRegistry(served) as registry, nothing_left(engine):
        timer = threading.Timer(0.4, os.kill, (os.getpid(), signal.SIGINT))
        timer.start()
        sent = time.monotonic() + 0.4
        with pytest.raises(KeyboardInterrupt):
            engine.pull(f"{registry.host}/slow:1")
        assert time.monotonic() - sent < 5
        assert not [t for t in threading.enumerate() if t.name.startswith("containers")]
