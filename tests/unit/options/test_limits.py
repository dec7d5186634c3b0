from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options import RunOptions, limits
from jupyter_containers.options.limits import DeviceLimit, DeviceRequest
from jupyter_containers.options.run import log_rotation


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/dev/fuse", DeviceRequest("/dev/fuse", "/dev/fuse")),
        ("/dev/fuse:/dev/x", DeviceRequest("/dev/fuse", "/dev/x")),
        ("/dev/fuse:r", DeviceRequest("/dev/fuse", "/dev/fuse", "r")),
        ("/dev/fuse:/dev/x:rw", DeviceRequest("/dev/fuse", "/dev/x", "rw")),
        ("nvidia.com/gpu=0", DeviceRequest(cdi="nvidia.com/gpu=0")),
        ("nvidia.com/gpu=GPU-1:2", DeviceRequest(cdi="nvidia.com/gpu=GPU-1:2")),
    ],
)
def test_devices(text: str, expected: DeviceRequest) -> None:
    assert limits.parse_device(text) == expected


@pytest.mark.parametrize("text", ["fuse", "/dev/x:q", "/dev/x:rw:/dev/y", "/a:/b:r:w", "x/y=z"])
def test_bad_devices(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match="invalid device"):
        limits.parse_device(text)


@pytest.mark.parametrize(
    ("text", "names"),
    [
        ("all", ["all"]),
        ("2", ["0", "1"]),
        ("device=0,GPU-7", ["0", "GPU-7"]),
        ('"device=1,2"', ["1", "2"]),
        ("count=1,capabilities=gpu", ["0"]),
    ],
)
def test_gpus_are_cdi_devices(text: str, names: list[str]) -> None:
    expected = tuple(f"nvidia.com/gpu={name}" for name in names)
    assert tuple(device.cdi for device in RunOptions.of("i", gpus=text).device) == expected


def test_rates_and_weights_of_devices() -> None:
    options = RunOptions.of(
        "i",
        device_read_bps="/dev/sda:1mb",
        device_write_iops=["/dev/sda:100", "/dev/sdb:7"],
        blkio_weight=10,
        blkio_weight_device="/dev/sda:1000",
    )
    assert options.device_read_bps == (DeviceLimit("/dev/sda", 2**20),)
    assert [limit.value for limit in options.device_write_iops] == [100, 7]
    assert options.blkio_weight_device[0].value == 1000


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        ({"device_read_bps": "sda:1"}, "invalid device-read-bps"),
        ({"device_read_iops": "/dev/sda:1mb"}, "invalid device-read-iops"),
        ({"blkio_weight": 9}, "not in the range 10-1000"),
        ({"blkio_weight_device": "/dev/sda:1001"}, "not in the range 10-1000"),
        ({"device_cgroup_rule": "x 1:1 r"}, "invalid device-cgroup-rule"),
        ({"cpuset_cpus": "0-"}, "invalid cpuset-cpus"),
        ({"cpuset_mems": "a"}, "invalid cpuset-mems"),
        ({"cpu_period": 999}, "cpu-period"),
        ({"cpu_quota": 999}, "cpu-quota"),
        ({"cpus": 1, "cpu_quota": 5000}, "cpus and cpu-quota cannot both be set"),
        ({"cpu_rt_period": 10, "cpu_rt_runtime": 20}, "cpu-rt-runtime"),
        ({"memory_swappiness": 101}, "memory-swappiness"),
        ({"oom_score_adj": 1001}, "oom-score-adj"),
        ({"sysctl": "vm.swappiness=1"}, "sysctl vm.swappiness"),
        ({"sysctl": "net.core.somaxconn=1", "network": "host"}, "host's network"),
        ({"sysctl": "kernel.shmmax=1", "ipc": "host"}, "host's ipc"),
        ({"sysctl": "net.x"}, "invalid sysctl"),
        ({"pid": "private-ish"}, "invalid pid mode"),
        ({"pid": "container:"}, "invalid pid mode"),
        ({"uts": "host", "hostname": "x"}, "conflict with uts=host"),
        ({"userns": "auto"}, "invalid userns mode"),
        ({"log_opt": "colour=red"}, "unknown log opt"),
        ({"log_opt": ["max-size=1m", "max-file=0"]}, "below 1"),
        ({"log_driver": "none", "log_opt": "max-size=1m"}, "unknown log opt"),
        ({"volumes_from": "x:wild"}, "invalid volumes-from"),
        ({"gpus": "some"}, "invalid gpus"),
        ({"no_healthcheck": True, "health_cmd": "x"}, "conflicts"),
        ({"health_interval": "10us"}, "below 1ms"),
        ({"health_retries": -1}, "below 0"),
    ],
)
def test_what_makes_no_sense_is_refused(flags: dict[str, Any], words: str) -> None:
    with pytest.raises(InvalidArgumentError, match=words):
        RunOptions.of("i", **flags)


def test_a_log_driver_that_is_not_here_is_named() -> None:
    with pytest.raises(UnsupportedError) as caught:
        RunOptions.of("i", log_driver="syslog")
    assert caught.value.capability == "log driver syslog"


def test_log_rotation() -> None:
    assert log_rotation(RunOptions.of("i")) == (0, 1)
    assert log_rotation(RunOptions.of("i", log_opt="max-file=3")) == (0, 1)
    options = RunOptions.of("i", log_opt=["max-size=10k", "max-file=3"])
    assert log_rotation(options) == (10240, 3)


def test_health_flags_come_together() -> None:
    options = RunOptions.of("i", health_cmd="test -f /ok", health_interval="1m30s")
    assert options.health is not None
    assert (options.health.command, options.health.interval) == ("test -f /ok", 90.0)
    disabled = RunOptions.of("i", no_healthcheck=True).health
    assert disabled is not None
    assert disabled.disabled
    assert RunOptions.of("i").health is None


def test_labels_from_files_come_first(tmp_path: Any) -> None:
    (tmp_path / "labels").write_text("# note\na=1\nb\n")
    options = RunOptions.of("i", label_file=tmp_path / "labels", label=["a=2"])
    assert options.labels == {"a": "2", "b": ""}
