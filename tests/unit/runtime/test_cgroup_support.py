from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options import RunOptions
from jupyter_containers.options.limits import DeviceLimit
from jupyter_containers.runtime.cgroup_support import block_device, check_cgroup_support, members
from jupyter_containers.runtime.cgroups import CgroupLayout

V2 = CgroupLayout("v2", {"": "/nowhere"}, frozenset({"cpu", "memory", "pids", "cpuset"}))


@pytest.mark.parametrize(
    ("flags", "capability"),
    [
        ({"kernel_memory": "64m"}, "kernel memory limit"),
        ({"memory_swappiness": 10}, "memory-swappiness"),
        ({"oom_kill_disable": True}, "oom-kill-disable"),
        ({"cpu_rt_period": 100, "cpu_rt_runtime": 50}, "real-time CPU of control groups"),
        ({"blkio_weight": 100}, "block I/O weight (scheduler bfq)"),
        ({"device_read_bps": "/dev/sda:1"}, "device-read-bps"),
    ],
)
def test_what_the_host_cannot_honour_is_named(flags: dict[str, Any], capability: str) -> None:
    with pytest.raises(UnsupportedError) as caught:
        check_cgroup_support(RunOptions.of("i", **flags), V2, "/p")
    assert caught.value.capability == capability
    assert caught.value.provided_by


def test_a_file_of_the_host_makes_it_possible(tmp_path: Path) -> None:
    layout = CgroupLayout("v1", {"memory": str(tmp_path)}, frozenset({"memory"}))
    options = RunOptions.of("i", memory_swappiness=10)
    with pytest.raises(UnsupportedError):
        check_cgroup_support(options, layout, "/p")
    (tmp_path / "memory.swappiness").touch()
    check_cgroup_support(options, layout, "/p")


def test_real_time_needs_a_grant_of_the_parent(tmp_path: Path) -> None:
    layout = CgroupLayout("v1", {"cpu": str(tmp_path)}, frozenset({"cpu"}))
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "cpu.rt_runtime_us").write_text("500\n")
    check_cgroup_support(RunOptions.of("i", cpu_rt_period=1000, cpu_rt_runtime=500), layout, "/p")
    with pytest.raises(UnsupportedError):
        check_cgroup_support(
            RunOptions.of("i", cpu_rt_period=1000, cpu_rt_runtime=501), layout, "/p"
        )


def test_a_cpu_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cpuset.cpus.effective").write_text("0-1\n")
    layout = CgroupLayout("v2", {"": str(tmp_path)}, frozenset({"cpuset"}))
    check_cgroup_support(RunOptions.of("i", cpuset_cpus="0,1"), layout, "/p")
    with pytest.raises(InvalidArgumentError, match="this host has 0-1"):
        check_cgroup_support(RunOptions.of("i", cpuset_cpus="1-2"), layout, "/p")


def test_lists_and_block_devices() -> None:
    assert members("0-2,5") == {0, 1, 2, 5}
    assert members("") == set()
    with pytest.raises(InvalidArgumentError, match="no such device"):
        block_device(DeviceLimit("/dev/no-such", 1))
    with pytest.raises(InvalidArgumentError, match="not a block device"):
        block_device(DeviceLimit(os.devnull, 1))
