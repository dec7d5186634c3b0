"""A user without delegated control groups: weaker limits, and honest reports of them."""

from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.errors import UnsupportedError

QUIET = {"network": "none"}


def test_doctor_says_why_and_what_would_help(engine: Engine) -> None:
    found = {item.name: item for item in engine.system.doctor().capabilities}
    delegated = found["delegated cgroup"]
    assert not delegated.found
    assert "/system.slice/given.service is not this user's" in delegated.detail
    assert "loginctl enable-linger" in delegated.provided_by
    info = engine.system.info()
    assert info["CgroupVersion"] == "0"
    assert not info["MemoryLimit"]


def test_limits_are_those_of_each_process(engine: Engine) -> None:
    told: list[Any] = []
    script = "grep data /proc/self/limits; nproc"
    done = engine.run(
        "busybox",
        ["sh", "-c", script],
        memory="200m",
        cpus=0.5,
        rm=True,
        emit=told.append,
        **QUIET,
    )
    assert done.output.split()[3:5] == ["209715200", "209715200"]
    assert done.output.split()[-1] == "1"
    assert sum("No control group is delegated" in str(event) for event in told) == 2


def test_what_has_no_stand_in_is_refused(engine: Engine) -> None:
    with pytest.raises(UnsupportedError, match="cgroup controller pids"):
        engine.run("busybox", ["true"], pids_limit=5, rm=True, **QUIET)
    with engine.run("busybox", ["sleep", "100"], detach=True, **QUIET) as sleeper:
        with pytest.raises(UnsupportedError) as caught:
            engine.containers.pause(sleeper.name)
        assert caught.value.capability == "cgroup controller freezer"
