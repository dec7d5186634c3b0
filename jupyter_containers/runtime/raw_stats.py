"""A control group's counters as the kernel has them, for programs that compute with them.

:class:`~jupyter_containers.runtime.cgroups.ContainerStats` is what a person reads; here each
counter is its file's: memory with all of the page cache, processor time by processor (v1), block
devices one by one.
"""

from __future__ import annotations

import os
import time

from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.runtime.cgroups import (
    UNIFIED,
    CgroupLayout,
    number_in,
    pairs_in,
    text_in,
)

_V2_WORDS = {"rbytes": ("read", True), "wbytes": ("write", True),
             "rios": ("read", False), "wios": ("write", False)}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BlockCount:
    """Bytes or operations of one kind on one block device."""

    major: int
    minor: int
    operation: str
    value: int


@dataclass(frozen=True, slots=True)
class RawStats:
    """One reading: times in nanoseconds, sizes in bytes, a limit of 0 is none.

    ``processors`` is empty where the kernel counts all of them together (v2).
    """

    read_at: float
    cpu_ns: int = 0
    cpu_user_ns: int = 0
    cpu_kernel_ns: int = 0
    processors: tuple[int, ...] = ()
    system_ns: int = 0
    periods: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    memory: int = 0
    memory_peak: int = 0
    memory_limit: int = 0
    memory_detail: dict[str, int] = field(default_factory=dict)
    memory_failures: int = 0
    pids: int = 0
    pids_limit: int = 0
    block_bytes: tuple[BlockCount, ...] = ()
    block_operations: tuple[BlockCount, ...] = ()


def raw_stats(layout: CgroupLayout, path: str) -> RawStats | None:
    """Return the present counters of the group, or None if it does not exist."""
    folders = (layout.folder(path, "memory"), layout.folder(path, "cpu"))
    if not any(os.path.isdir(folder) for folder in folders if folder):
        return None
    return (_v2 if layout.version == "v2" else _v1)(layout, path)


def _v1(layout: CgroupLayout, path: str) -> RawStats:
    memory, cpuacct, pids, blkio = (
        layout.folder(path, name) for name in ("memory", "cpuacct", "pids", "blkio")
    )
    throttle = pairs_in(f"{layout.folder(path, 'cpu')}/cpu.stat")
    limit = number_in(f"{memory}/memory.limit_in_bytes")
    processors = (text_in(f"{cpuacct}/cpuacct.usage_percpu") or "").split()
    return RawStats(
        read_at=time.time(),
        cpu_ns=number_in(f"{cpuacct}/cpuacct.usage"),
        cpu_user_ns=number_in(f"{cpuacct}/cpuacct.usage_user"),
        cpu_kernel_ns=number_in(f"{cpuacct}/cpuacct.usage_sys"),
        processors=tuple(int(word) for word in processors if word.isdigit()),
        system_ns=_system_ns(),
        periods=throttle.get("nr_periods", 0),
        throttled_periods=throttle.get("nr_throttled", 0),
        throttled_ns=throttle.get("throttled_time", 0),
        memory=number_in(f"{memory}/memory.usage_in_bytes"),
        memory_peak=number_in(f"{memory}/memory.max_usage_in_bytes"),
        # The kernel writes "no limit" as the largest multiple of a page.
        memory_limit=0 if limit >= 1 << 62 else limit,
        memory_detail=pairs_in(f"{memory}/memory.stat"),
        memory_failures=number_in(f"{memory}/memory.failcnt"),
        pids=number_in(f"{pids}/pids.current"),
        pids_limit=number_in(f"{pids}/pids.max"),
        block_bytes=_v1_block(f"{blkio}/blkio.throttle.io_service_bytes_recursive"),
        block_operations=_v1_block(f"{blkio}/blkio.throttle.io_serviced_recursive"),
    )


def _v1_block(name: str) -> tuple[BlockCount, ...]:
    found = []
    for line in (text_in(name) or "").splitlines():
        words = line.split()
        major, _, minor = words[0].partition(":") if len(words) == 3 else ("", "", "")
        if major.isdigit() and minor.isdigit() and words[2].isdigit():
            found.append(BlockCount(int(major), int(minor), words[1].lower(), int(words[2])))
    return tuple(found)


def _v2(layout: CgroupLayout, path: str) -> RawStats:
    folder = layout.folder(path, UNIFIED)
    cpu = pairs_in(f"{folder}/cpu.stat")
    sizes: list[BlockCount] = []
    operations: list[BlockCount] = []
    for line in (text_in(f"{folder}/io.stat") or "").splitlines():
        device, *words = line.split()
        major, _, minor = device.partition(":")
        for word in words:
            name, _, value = word.partition("=")
            if name in _V2_WORDS and value.isdigit() and major.isdigit() and minor.isdigit():
                kind, is_size = _V2_WORDS[name]
                count = BlockCount(int(major), int(minor), kind, int(value))
                (sizes if is_size else operations).append(count)
    return RawStats(
        read_at=time.time(),
        cpu_ns=cpu.get("usage_usec", 0) * 1000,
        cpu_user_ns=cpu.get("user_usec", 0) * 1000,
        cpu_kernel_ns=cpu.get("system_usec", 0) * 1000,
        system_ns=_system_ns(),
        periods=cpu.get("nr_periods", 0),
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_usec", 0) * 1000,
        memory=number_in(f"{folder}/memory.current"),
        memory_peak=number_in(f"{folder}/memory.peak"),
        memory_limit=number_in(f"{folder}/memory.max"),
        memory_detail=pairs_in(f"{folder}/memory.stat"),
        memory_failures=pairs_in(f"{folder}/memory.events").get("oom", 0),
        pids=number_in(f"{folder}/pids.current"),
        pids_limit=number_in(f"{folder}/pids.max"),
        block_bytes=tuple(sizes),
        block_operations=tuple(operations),
    )


def _system_ns() -> int:
    """Return the time of all processors since the machine started, idle or not."""
    first = (text_in("/proc/stat") or "").partition("\n")[0].split()[1:9]
    return sum(int(word) for word in first) * (10**9 // os.sysconf("SC_CLK_TCK"))
