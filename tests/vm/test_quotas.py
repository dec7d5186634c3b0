"""The administrator's limits on cgroup v2; tests/vm/__main__.py has the file that says them."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from jupyter_containers.engine import Container, Engine
from jupyter_containers.errors import QuotaError
from tests.vm.test_cgroup2 import group_of

Start = Callable[..., Container]


@pytest.fixture
def start(engine: Engine) -> Iterator[Start]:
    """Return a command that runs a shell script in a container, which is removed afterwards."""
    started: list[Container] = []

    def run(script: str, **flags: Any) -> Container:
        command = ["sh", "-c", script]
        started.append(engine.run("busybox", command, detach=True, network="none", **flags))
        return started[-1]

    yield run
    for container in started:
        engine.containers.remove(container.id, force=True)


def test_all_containers_share_the_memory(engine: Engine, start: Start) -> None:
    """Each of two has less than it may have, and both together more than the user may."""
    fill = "dd if=/dev/zero of=/dev/shm/x bs=1M count=40 2>/dev/null && sleep 1000"
    flags = {"shm_size": "60m", "memory": "50m", "memory_swap": "50m"}
    both = [start(fill, **flags) for _ in range(2)]
    deadline = time.monotonic() + 120
    ended: list[int] = []
    while not ended and time.monotonic() < deadline:
        time.sleep(0.2)
        states = [engine.system.inspect(one.name)["State"] for one in both]
        ended = [state["ExitCode"] for state in states if state["Status"] == "exited"]
    assert ended == [137]


def test_all_containers_share_the_processors(engine: Engine, start: Start) -> None:
    both = [start("while :; do :; done", memory="10m") for _ in range(2)]
    above = group_of(engine, both[0].name).parent
    assert above == group_of(engine, both[1].name).parent
    assert (above / "cpu.max").read_text() == "50000 100000\n"
    used = []
    began = time.monotonic()
    for wait in (4.0, 0.0):
        lines = (above / "cpu.stat").read_text().splitlines()
        used.append(int(dict(line.split() for line in lines)["usage_usec"]) / 1e6)
        time.sleep(wait)
    assert used[1] - used[0] <= 0.55 * (time.monotonic() - began)


def test_no_more_than_allowed(engine: Engine, start: Start) -> None:
    for _ in range(3):
        start("sleep 100", memory="8m")
    with pytest.raises(QuotaError, match="3 containers run, and your limit is 3"):
        engine.run("busybox", ["true"], rm=True, memory="8m")
    with pytest.raises(QuotaError, match="--memory 1GiB is over your limit, 64MiB"):
        engine.run("busybox", ["true"], rm=True, memory="1g")
