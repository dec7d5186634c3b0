"""Measured limits: a container's usage, changes by `update`, and its complete end."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import (
    ContainerFailedError,
    InvalidArgumentError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.runtime import cgroups
from tests.integration.engine_fixtures import BUSYBOX, Place, run_program
from tests.integration.waiting import until

MIB = 2**20
NONE = {"network": "none"}
BURN = ["sh", "-c", "while :; do :; done"]
# The first process forks once and no more: one that cannot would end, and all with it.
FORK_BOMB = "(f() { sleep 30 & f & f & wait; }; f) & exec sleep 60"


def cpu_share(engine: Engine, *names: str, seconds: float = 1.0) -> list[float]:
    """Return how many CPUs each container used over a second."""
    runtime = engine._context.runtime

    def used() -> list[int]:
        paths = [runtime.cgroup_path(engine.containers.get(name).id) for name in names]
        readings = [cgroups.stats(runtime.layout, path) for path in paths]
        return [reading.cpu_ns if reading else 0 for reading in readings]

    begun, before = time.monotonic(), used()
    time.sleep(seconds)
    after, passed = used(), time.monotonic() - begun
    return [(b - a) / passed / 1e9 for a, b in zip(before, after, strict=True)]


def processes_of(engine: Engine, container_id: str) -> set[int]:
    runtime = engine._context.runtime
    return cgroups.processes(runtime.layout, runtime.cgroup_path(container_id))


def test_who_uses_too_much_memory_is_killed_and_says_so(engine: Engine, busybox: str) -> None:
    with pytest.raises(ContainerFailedError) as caught:
        engine.run(
            busybox,
            ["sh", "-c", "head -c 200m /dev/zero | tail -c 190m >/dev/null; exit $?"],
            name="hungry",
            memory="16m",
            memory_swap="16m",
            **NONE,
        )
    assert caught.value.oom_killed
    assert engine.system.inspect("hungry")["State"]["OOMKilled"] is True
    actions = [
        event.action
        for event in engine.system.events(filters={"container": ["hungry"]}, follow=False)
    ]
    assert "oom" in actions
    by_hand = ["sh", "-c", "sh -c 'kill -9 $$'; exit $?"]
    killed = engine.run(busybox, by_hand, name="shot", check=False, **NONE)
    assert (killed.exit_code, killed.oom_killed) == (137, False)


def test_cpus_are_what_was_given_over_a_second(engine: Engine, busybox: str) -> None:
    engine.run(busybox, BURN, detach=True, name="quarter", cpus=0.25, **NONE)
    (share,) = cpu_share(engine, "quarter")
    assert 0.1 < share < 0.32
    engine.containers.update("quarter", cpus=0.5)
    (share,) = cpu_share(engine, "quarter")
    assert share < 0.6
    assert engine.system.inspect("quarter")["HostConfig"]["NanoCpus"] == 500_000_000


def test_shares_divide_one_cpu(engine: Engine, busybox: str) -> None:
    for name, shares in (("small", 256), ("large", 1024)):
        engine.run(
            busybox, BURN, detach=True, name=name, cpu_shares=shares, cpuset_cpus="0", **NONE
        )
    small, large = cpu_share(engine, "small", "large")
    assert large > 2 * small


def test_no_more_processes_than_allowed(engine: Engine, busybox: str) -> None:
    script = "i=0; while [ $i -lt 20 ]; do sleep 5 & i=$((i+1)); done; wait"
    result = engine.run(busybox, ["sh", "-c", script], rm=True, pids_limit=6, check=False, **NONE)
    assert b"can't fork" in result.stderr


def test_a_limit_is_changed_while_the_container_runs(engine: Engine, busybox: str) -> None:
    container = engine.run(busybox, ["sleep", "60"], detach=True, name="live", memory="64m", **NONE)
    assert engine.containers.stats(["live"])[0].memory_limit == 64 * MIB
    container.update(memory="32m", pids_limit=9, cpu_shares=300, cpuset_cpus="0")
    sample = engine.containers.stats(["live"])[0]
    assert (sample.memory_limit, sample.pids_limit) == (32 * MIB, 9)
    host = engine.system.inspect("live")["HostConfig"]
    assert (host["Memory"], host["MemorySwap"]) == (32 * MIB, 128 * MIB)
    assert (host["PidsLimit"], host["CpuShares"], host["CpusetCpus"]) == (9, 300, "0")
    with pytest.raises(InvalidArgumentError, match="above memory-swap"):
        container.update(memory="256m")
    container.update(memory="256m", memory_swap="-1")
    assert engine.containers.stats(["live"])[0].memory_limit == 256 * MIB
    with pytest.raises(InvalidArgumentError, match="at least one flag"):
        container.update()
    with pytest.raises(UnsupportedError):
        container.update(kernel_memory="32m")
    with pytest.raises(InvalidArgumentError, match="this host has"):
        container.update(cpuset_cpus="4095")
    engine.containers.stop("live", timeout=0)
    container.update(memory="48m", memory_swap="96m", restart="on-failure:2")
    policy = engine.system.inspect("live")["HostConfig"]["RestartPolicy"]
    assert policy == {"Name": "on-failure", "MaximumRetryCount": 2}
    engine.containers.start("live")
    assert engine.containers.stats(["live"])[0].memory_limit == 48 * MIB


def test_a_restart_policy_given_later_holds(engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["sleep", "60"], detach=True, name="later", **NONE)
    engine.containers.update("later", restart="always")
    process = engine.containers.get("later").record.state.process
    assert process is not None
    process.signal()
    until(lambda: engine.system.inspect("later")["RestartCount"] == 1)


def test_stats_are_the_cgroups_own_numbers(engine: Engine, busybox: str) -> None:
    script = "head -c 20m /dev/zero > /dev/shm/held; sleep 60"
    engine.run(busybox, ["sh", "-c", script], detach=True, name="seen", memory="64m", **NONE)
    until(lambda: engine.containers.stats(["seen"])[0].memory_usage > 20 * MIB)
    sample = engine.containers.stats(["seen"])[0]
    runtime = engine._context.runtime
    path = runtime.cgroup_path(sample.container_id)
    if runtime.layout.version != "v2":
        folder = Path(runtime.layout.folder(path, "memory"))
        usage = int((folder / "memory.usage_in_bytes").read_text())
        assert abs(sample.memory_usage - usage) < 2 * MIB
    # The shell may be about to start the next program just now.
    until(
        lambda: (
            engine.containers.stats(["seen"])[0].pids
            == len(processes_of(engine, sample.container_id))
        )
    )
    assert sample.memory_limit == 64 * MIB


@pytest.mark.parametrize("script", [FORK_BOMB, "trap '' TERM INT HUP; (sleep 60) & sleep 60"])
def test_forced_removal_leaves_no_process(engine: Engine, busybox: str, script: str) -> None:
    container = engine.run(
        busybox, ["sh", "-c", script], detach=True, name="bomb", pids_limit=200, **NONE
    )
    until(lambda: len(processes_of(engine, container.id)) >= 2)
    time.sleep(0.3)
    members = processes_of(engine, container.id)
    assert members
    engine.containers.remove("bomb", force=True)
    assert processes_of(engine, container.id) == set()
    layout = engine._context.host.cgroups
    assert not any(map(os.path.isdir, layout.folders(f"/jupyter-containers/{container.id}")))
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                assert container.id not in (entry / "cgroup").read_text()
            except OSError:
                continue


def test_the_end_ends_also_what_shares_the_hosts_processes(engine: Engine, busybox: str) -> None:
    """With the host's processes no namespace ends with its first process; the cgroup holds them."""
    script = "sleep 321 & sleep 0.1; exit 0"
    engine.run(busybox, ["sh", "-c", script], pid="host", name="left", **NONE)
    container = engine.containers.get("left")
    assert container.exit_code == 0
    assert processes_of(engine, container.id) == set()
    for entry in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            assert b"sleep\x00321" not in entry.read_bytes()
        except OSError:
            continue


def test_an_interrupt_leaves_no_process(place: Place, engine: Engine, busybox: str) -> None:
    import signal

    script = (
        "import sys\nfrom pathlib import Path\nfrom jupyter_containers.engine import Engine\n"
        "with Engine(root=Path(sys.argv[1]), run_root=Path(sys.argv[2])) as engine:\n"
        "    engine.run('busybox', ['sh', '-c', sys.argv[3]], name='interrupted',"
        " network='none', rm=True, pids_limit=150)\n"
    )
    program = run_program(script, str(place.root), str(place.run_root), FORK_BOMB)
    until(lambda: any(item.name == "interrupted" for item in engine.containers()))
    container = engine.containers.get("interrupted")
    until(lambda: len(processes_of(engine, container.id)) >= 3)
    program.send_signal(signal.SIGINT)
    program.communicate(timeout=20)
    assert processes_of(engine, container.id) == set()
    assert all(item.name != "interrupted" for item in engine.containers(all=True))


def test_waiting_for_a_stop_can_be_given_up(engine: Engine, busybox: str) -> None:
    engine.run(BUSYBOX, ["sleep", "60"], detach=True, name="waited", **NONE)
    token = CancelToken()
    threading.Timer(0.2, token.cancel).start()
    begun = time.monotonic()
    with pytest.raises(Exception, match="cancel"):
        engine.containers.wait("waited", cancel=token)
    assert time.monotonic() - begun < 30  # the container sleeps a minute
