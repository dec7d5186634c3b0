"""A kernel that is killed at any moment: the next one finds the truth, and nothing is left."""

from __future__ import annotations

import itertools
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.oci.state import Status
from tests.integration.engine_fixtures import (
    BUSYBOX,
    Place,
    demolish,
    run_program,
    settled,
    traces,
)
from tests.integration.forker import Forker
from tests.integration.waiting import until

_ROUNDS = 30


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place.under(tmp_path)


@pytest.fixture
def own(place: Place) -> Iterator[Engine]:
    """Yield an engine on a store that no other test uses."""
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces, networks and cgroups")
    with place.engine() as engine:
        try:
            engine.images.bootstrap(BUSYBOX)
            yield engine
        finally:
            demolish(engine)


def busy(place: Place, verb: str, ready: Callable[[], object]) -> None:
    """Be a kernel that repeats its work until it is killed."""
    with place.engine() as engine:
        ready()
        for number in itertools.count():
            if verb == "run":
                engine.run(BUSYBOX, ["true"], rm=True, publish=["80"])
            elif verb == "start":
                flags = {"publish": ["80"], "volume": "/data", "name": f"start-{number}"}
                engine.run(BUSYBOX, ["sleep", "60"], detach=True, rm=True, **flags).stop(timeout=0)
            elif verb == "stop":
                container = engine.run(BUSYBOX, ["sleep", "60"], detach=True, network="none")
                container.stop(timeout=0)
                container.restart(timeout=0)
            else:
                container = engine.containers.create(BUSYBOX, ["true"], volume="/data")
                container.remove(volumes=True)


def test_thirty_kernels_are_killed_and_nothing_is_lost_or_left(
    own: Engine, place: Place, forker: Forker
) -> None:
    keeper = own.run(BUSYBOX, ["sleep", "600"], detach=True, name="keeper", publish=["80"])
    assert keeper.top()  # then its program is there, not the runtime's before it
    before = traces(own)
    moments = random.Random(20261124)  # the same moments in every run, as far as clocks allow
    for number in range(_ROUNDS):
        verb = ("run", "start", "stop", "rm")[number % 4]
        ended = forker.kill(moments.random() * 0.25, busy, place, verb)
        assert ended.returncode == -signal.SIGKILL
        with place.engine() as later:
            for container in later.containers(all=True):
                if container.name == "keeper":
                    assert container.status is Status.RUNNING
                    continue
                process = container.record.state.process
                assert container.status.alive == (process is not None and process.alive)
                later.containers.remove(container.id, force=True, volumes=True)
            left = settled(later, before, timeout=3)
            if left:
                # The container that was just being created is found by the next lookup.
                with place.engine() as again:
                    left = settled(again, before, timeout=3)
            assert not left, f"round {number}, {verb}: {left}"
            assert later.volumes() == [], f"round {number}, {verb}"
            folders = sorted(item.name for item in (place.root / "containers").iterdir())
            assert folders == [keeper.id], f"round {number}, {verb}"
    assert keeper.reload().status is Status.RUNNING
    keeper.stop(timeout=0)
    assert keeper.exit_code == 137


_UNSTARTED = """
import os, signal, sys
from jupyter_containers.engine import Engine
from jupyter_containers.engine.containers.lifecycle import Lifecycle

def die(*arguments, **keywords):
    os.kill(os.getpid(), signal.SIGKILL)

Lifecycle.start = die
engine = Engine(root=sys.argv[1], run_root=sys.argv[2])
engine.run("busybox", ["true"], network="none", rm=sys.argv[3] == "rm", volume="/data")
"""


@pytest.mark.parametrize(("rm", "left"), [("rm", 0), ("keep", 1)])
def test_killed_between_create_and_start(own: Engine, place: Place, rm: str, left: int) -> None:
    program = run_program(_UNSTARTED, str(place.root), str(place.run_root), rm)
    _, errors = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGKILL, errors
    with place.engine() as later:
        assert [item.status for item in later.containers(all=True)] == [Status.CREATED] * left
        assert len(later.volumes()) == left


_DETACHED = """
import os, signal, sys
from jupyter_containers.engine import Engine

root, run_root, script, *flags = sys.argv[1:]
engine = Engine(root=root, run_root=run_root)
options = {"publish": [flags[0]]} if flags[0] else {"network": "none"}
engine.run("busybox", ["sh", "-c", script], detach=True, name="orphan", rm=flags[1] == "rm",
           **options)
print(engine.containers.get("orphan").record.ports[0].host_port if flags[0] else "", flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def orphan(place: Place, script: str, publish: str = "", rm: str = "", **keywords: str) -> str:
    """Start a detached container from a kernel that is killed right afterwards."""
    program = run_program(
        _DETACHED, str(place.root), str(place.run_root), script, publish, rm, **keywords
    )
    output, errors = program.communicate(timeout=30)
    assert program.returncode == -signal.SIGKILL, errors
    return output.strip()


def is_held(port: str) -> bool:
    with socket.socket() as probe:
        try:
            probe.bind(("127.0.0.1", int(port)))
        except OSError:
            return True
        return False


def test_a_container_outlives_its_kernel_and_ends_without_one(own: Engine, place: Place) -> None:
    before = traces(own)
    port = orphan(place, "sleep 0.7; echo done; exit 6", publish="80")
    assert is_held(port)
    assert own._context.firewall.current() != {}
    # No lookup: only the records are read, without settling anything.
    records = own._context.containers
    until(lambda: records.by_name("orphan").state.status is Status.EXITED)
    assert records.by_name("orphan").state.exit_code == 6
    until(lambda: not is_held(port))
    left = settled(own, before)
    assert not left
    assert own._context.firewall.current() == {}
    assert [line.data for line in own.containers.logs("orphan")] == [b"done\n"]
    own.run(BUSYBOX, ["true"], publish=[f"{port}:80"], rm=True)


def test_it_removes_itself_without_a_kernel(own: Engine, place: Place) -> None:
    orphan(place, "sleep 0.3", rm="rm")
    assert own._context.containers.by_name("orphan") is not None
    until(lambda: own._context.containers.by_name("orphan") is None)
    until(lambda: list((place.root / "containers").iterdir()) == [])


def test_it_is_stopped_by_another_kernel(own: Engine, place: Place) -> None:
    orphan(place, "sleep 60", publish="80")
    container = own.containers.get("orphan")
    assert container.status is Status.RUNNING
    assert container.exec(["echo", "alive"]).output == "alive\n"
    container.stop(timeout=0)
    assert (container.status, container.exit_code) == (Status.EXITED, 137)


def test_the_end_is_recorded_with_the_package_in_another_environment(
    own: Engine, place: Place, tmp_path: Path
) -> None:
    """The package comes from a folder that only the kernel's PYTHONPATH names."""
    source = Path(sys.modules["jupyter_containers"].__file__).parent
    shutil.copytree(source, tmp_path / "library" / "jupyter_containers")
    script = f"import sys; sys.path.insert(0, {str(tmp_path / 'library')!r})\n" + _DETACHED
    program = run_program(script, str(place.root), str(place.run_root), "sleep 0.3; exit 4", "", "")
    program.communicate(timeout=30)
    records = own._context.containers
    until(lambda: records.by_name("orphan").state.status is Status.EXITED)
    assert records.by_name("orphan").state.exit_code == 4


def test_a_killed_monitor_is_told_and_cleaned_up(own: Engine, place: Place) -> None:
    before = traces(own)
    container = own.run(BUSYBOX, ["sleep", "60"], detach=True, publish=["80"])
    assert container.record.state.monitor is not None
    os.kill(container.record.state.monitor.pid, signal.SIGKILL)
    time.sleep(0.1)
    assert container.reload().status is Status.RUNNING
    container.stop(timeout=0)
    assert (container.status, container.exit_code) == (Status.EXITED, 255)
    assert "monitor" in container.inspect()["State"]["Error"]
    container.start()
    assert container.status is Status.RUNNING
    container.remove(force=True)
    assert not settled(own, before)


def test_monitor_and_container_killed_together(own: Engine, place: Place) -> None:
    before = traces(own)
    container = own.run(BUSYBOX, ["sleep", "60"], detach=True, publish=["80"], name="both")
    state = container.record.state
    assert state.monitor is not None
    assert state.process is not None
    os.kill(state.monitor.pid, signal.SIGKILL)
    os.kill(state.process.pid, signal.SIGKILL)
    until(lambda: not state.process.alive)
    assert [item.exit_code for item in own.containers(all=True)] == [255]
    own.containers.remove("both")
    assert not settled(own, before)


def test_a_reboot_leaves_no_container_running(own: Engine, place: Place) -> None:
    """Simulate a restart of the machine: processes and the run folder are gone."""
    container = own.run(BUSYBOX, ["sleep", "60"], detach=True, publish=["80"], name="old")
    port = container.record.ports[0].host_port
    own._context.runtime.kill_all(container.id)
    until(lambda: not own._lifecycle.running(container.record))
    shutil.rmtree(place.run_root)
    with place.engine() as later:
        assert later.containers.get("old").status is Status.EXITED
        later.containers.start("old")
        assert later.containers.get("old").status is Status.RUNNING
        later.containers.remove("old", force=True)
        later.run(BUSYBOX, ["true"], publish=[f"{port}:80"], rm=True)
