"""Checks which requested limits this host's control groups support.

Pure values describe the limits of a container (:mod:`~jupyter_containers.runtime.resources`); this
module reads the machine and refuses limits without effect, naming the missing capability: nothing
is dropped silently.  Only requested limits are checked.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable
from pathlib import Path

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options import RunOptions
from jupyter_containers.options.limits import DeviceLimit
from jupyter_containers.runtime.cgroups import CgroupLayout

_SCHEDULERS = "/sys/block"


def check_cgroup_support(options: RunOptions, layout: CgroupLayout, parent: str) -> None:
    """Raise :class:`UnsupportedError` for a limit that has no effect on this host.

    ``parent`` is the parent cgroup of the container's.
    """
    v1 = layout.version != "v2"
    if options.kernel_memory:
        raise UnsupportedError(
            "this kernel does not limit kernel memory apart (Linux 5.16 gave that up)",
            capability="kernel memory limit",
            provided_by="use --memory, which counts kernel memory too",
        )
    if options.memory_swappiness >= 0:
        _require(v1 and _has(layout, "memory", "memory.swappiness"), "memory-swappiness", v1=True)
    if options.oom_kill_disable:
        _require(v1 and _has(layout, "memory", "memory.oom_control"), "oom-kill-disable", v1=True)
    if options.cpu_rt_runtime or options.cpu_rt_period:
        _check_real_time(options, layout, parent)
    if options.blkio_weight or options.blkio_weight_device:
        _check_weight(layout)
    for flag in ("device_read_bps", "device_write_bps", "device_read_iops", "device_write_iops"):
        if getattr(options, flag):
            name = flag.replace("_", "-")
            file = f"blkio.throttle.{flag.split('_', 1)[1]}_device"
            offered = _has(layout, "blkio", file) if v1 else "io" in layout.controllers
            _require(offered, name, v1=False)
    if options.cpuset_cpus or options.cpuset_mems:
        _check_cpuset(options, layout)


def block_device(limit: DeviceLimit) -> tuple[int, int]:
    """Return major and minor number of a limit's block device."""
    try:
        status = os.stat(limit.path)
    except OSError as error:
        raise InvalidArgumentError(f"no such device: {limit.path}") from error
    if not stat.S_ISBLK(status.st_mode):
        raise InvalidArgumentError(f"{limit.path} is not a block device")
    return os.major(status.st_rdev), os.minor(status.st_rdev)


def _require(offered: bool, flag: str, *, v1: bool) -> None:
    if not offered:
        why = "cgroup v2 has no such control" if v1 else "this host's cgroups do not offer it"
        raise UnsupportedError(
            f"--{flag} has no effect here: {why}",
            capability=flag,
            provided_by="a host with cgroup v1" if v1 else "a kernel with block I/O control groups",
        )


def _has(layout: CgroupLayout, controller: str, file: str) -> bool:
    folder = layout.folder(layout.base, controller)
    return bool(folder) and os.path.exists(os.path.join(folder, file))


def _check_real_time(options: RunOptions, layout: CgroupLayout, parent: str) -> None:
    """A group's real-time CPU time is limited by that of its parent group."""
    folder = layout.folder(parent, "cpu")
    text = _first([f"{folder}/cpu.rt_runtime_us"])
    granted = int(text) if text.isdigit() else 0
    if layout.version == "v2" or granted < options.cpu_rt_runtime or not granted:
        raise UnsupportedError(
            "no real-time CPU time is granted to the containers' group on this host",
            capability="real-time CPU of control groups",
            provided_by=f"cgroup v1, and microseconds in {folder or 'cpu'}/cpu.rt_runtime_us",
        )


def _check_weight(layout: CgroupLayout, schedulers: str = _SCHEDULERS) -> None:
    """Weights are applied by an I/O scheduler of the disks: bfq, or v1's old cfq."""
    v1 = layout.version != "v2"
    active = any(
        word in text
        for text in _texts(Path(schedulers).glob("*/queue/scheduler"))
        for word in ("[bfq]", "[cfq]")
    )
    controller = "blkio" if v1 else "io"
    if not active or controller not in layout.controllers:
        raise UnsupportedError(
            "no disk of this host shares its time by weight",
            capability="block I/O weight (scheduler bfq)",
            provided_by="echo bfq > /sys/block/DISK/queue/scheduler",
        )


def _check_cpuset(options: RunOptions, layout: CgroupLayout) -> None:
    folder = layout.folder(layout.base, "cpuset")
    for word, asked in (("cpus", options.cpuset_cpus), ("mems", options.cpuset_mems)):
        text = _first(
            f"{folder}/{name}"
            for name in (f"cpuset.{word}.effective", f"cpuset.effective_{word}", f"cpuset.{word}")
        )
        missing = members(asked) - members(text) if text else set()
        if missing:
            raise InvalidArgumentError(
                f"cpuset-{word} {asked}: this host has {text}",
                hint=f"it has no number {min(missing)}",
            )


def members(text: str) -> set[int]:
    """Return the numbers in a list such as ``0-3,5``."""
    found: set[int] = set()
    for part in filter(None, text.strip().split(",")):
        first, _, last = part.partition("-")
        found.update(range(int(first), int(last or first) + 1))
    return found


def _first(names: Iterable[str]) -> str:
    return next((text.strip() for text in _texts(Path(name) for name in names) if text.strip()), "")


def _texts(paths: Iterable[Path]) -> Iterable[str]:
    for path in paths:
        try:
            yield path.read_text()
        except OSError:
            continue
