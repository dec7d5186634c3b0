from __future__ import annotations

import resource
from dataclasses import replace
from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options import RunOptions
from jupyter_containers.options.ulimits import Ulimit
from jupyter_containers.runtime.cgroups import CgroupLayout
from jupyter_containers.runtime.resources import device_rules, limits, rlimits
from tests.unit.runtime.test_spec import HOST

MIB = 1024 * 1024


@pytest.mark.parametrize(
    ("flags", "expected"),
    [
        ({}, {}),
        ({"memory": "64m"}, {"memory": {"limit": 64 * MIB, "swap": 128 * MIB}}),
        (
            {"memory": "64m", "memory_swap": "-1"},
            {"memory": {"limit": 64 * MIB, "swap": -1}},
        ),
        (
            {"memory": "64m", "memory_swap": "64m", "memory_reservation": "32m"},
            {"memory": {"limit": 64 * MIB, "swap": 64 * MIB, "reservation": 32 * MIB}},
        ),
        ({"cpus": "0.5"}, {"cpu": {"period": 100000, "quota": 50000}}),
        ({"cpus": 0.001}, {"cpu": {"period": 100000, "quota": 1000}}),
        ({"cpu_shares": 512, "cpuset_cpus": "0"}, {"cpu": {"shares": 512, "cpus": "0"}}),
        ({"pids_limit": 9}, {"pids": {"limit": 9}}),
        ({"pids_limit": -1}, {"pids": {"limit": -1}}),
    ],
)
def test_limits(flags: dict[str, Any], expected: dict[str, Any]) -> None:
    assert limits(RunOptions.of("i", **flags), HOST) == expected


def test_the_default_pids_limit_gives_way() -> None:
    bare = replace(HOST, cgroups=CgroupLayout("v2", {"": "/c"}, frozenset()))
    options = RunOptions.of("i")
    assert limits(options, HOST, default_pids_limit=5) == {"pids": {"limit": 5}}
    assert limits(options, bare, default_pids_limit=5) == {}
    for flags in ({"pids_limit": 5}, {"memory": "64m"}, {"cpus": 1}, {"cpuset_cpus": "0"}):
        with pytest.raises(UnsupportedError, match="controller"):
            limits(RunOptions.of("i", **flags), bare)


def test_swap_without_accounting() -> None:
    host = replace(HOST, swap_accounting=False)
    assert limits(RunOptions.of("i", memory="64m"), host) == {"memory": {"limit": 64 * MIB}}
    with pytest.raises(UnsupportedError, match="swap"):
        limits(RunOptions.of("i", memory="64m", memory_swap="128m"), host)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("nofile=10:20", ("nofile", 10, 20)),
        ("nofile=10", ("nofile", 10, 10)),
        ("core=-1", ("core", -1, -1)),
        ("core=0:-1", ("core", 0, -1)),
    ],
)
def test_ulimit_values(text: str, expected: tuple[str, int, int]) -> None:
    limit = Ulimit(text)
    assert (limit.name, limit.soft, limit.hard) == expected


@pytest.mark.parametrize(
    "text", ["", "nofile", "nofile=", "nofile=x", "nofile=2:1", "nofile=-1:5", "no=1", "core=-2"]
)
def test_bad_ulimits(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid ulimit"):
        Ulimit(text)


def test_a_hard_limit_is_raised_only_with_the_capability() -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    assert rlimits([], HOST) == []
    asked = [Ulimit(f"nofile=10:{hard + 1}")]
    assert rlimits(asked, HOST)[0]["hard"] == hard + 1
    weak = replace(HOST, kernel_capabilities=frozenset())
    with pytest.raises(UnsupportedError) as caught:
        rlimits(asked, weak)
    assert caught.value.capability == "CAP_SYS_RESOURCE"
    expected = [{"type": "RLIMIT_NOFILE", "soft": 10, "hard": hard}]
    same = [Ulimit(f"nofile=10:{hard}")]
    assert rlimits(same, weak) == expected


def test_device_rules_deny_first() -> None:
    rules = device_rules(privileged=False)
    assert rules[0]["allow"] is False
    assert not any(rule.get("access") == "rwm" and "major" not in rule for rule in rules[1:])
