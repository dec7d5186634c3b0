"""A container's counters in the format of ``GET /containers/{name}/stats``."""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.runtime.raw_stats import BlockCount, RawStats

_NEVER = "0001-01-01T00:00:00Z"
# Of control groups of version 1; Docker's daemon has no others either.
_NO_BLOCK: dict[str, list[Any]] = {
    f"{name}_recursive": []
    for name in ("io_queue", "io_service_time", "io_wait_time", "io_merged", "io_time", "sectors")
}


def sample(container: Container, before: RawStats | None, now: RawStats) -> dict[str, Any]:
    """Return one reading together with the previous one."""
    name = {"name": f"/{container.name}", "id": container.id}
    if not container.status.alive:
        return {**_reading(None), "preread": _NEVER, "precpu_stats": _cpu(None), **name}
    return {
        **_reading(now),
        "preread": _moment(before.read_at) if before else _NEVER,
        "precpu_stats": _cpu(before),
        **name,
        "networks": _networks(container),
    }


def _reading(now: RawStats | None) -> dict[str, Any]:
    if now is None:
        nothing = {**_NO_BLOCK, "io_service_bytes_recursive": [], "io_serviced_recursive": []}
        return {
            "read": _NEVER,
            "pids_stats": {},
            "blkio_stats": dict.fromkeys(nothing),
            "num_procs": 0,
            "storage_stats": {},
            "cpu_stats": _cpu(None),
            "memory_stats": {},
        }
    pids = {"current": now.pids, **({"limit": now.pids_limit} if now.pids_limit else {})}
    return {
        "read": _moment(now.read_at),
        "pids_stats": pids,
        "blkio_stats": {
            **_NO_BLOCK,
            "io_service_bytes_recursive": _blocks(now.block_bytes),
            "io_serviced_recursive": _blocks(now.block_operations),
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(now),
        "memory_stats": _memory(now),
    }


def _blocks(counts: Sequence[BlockCount]) -> list[dict[str, Any]]:
    return [
        {"major": one.major, "minor": one.minor, "op": one.operation, "value": one.value}
        for one in counts
    ]


def _memory(now: RawStats) -> dict[str, Any]:
    # All of it: clients take the page cache off themselves, from the details.
    return {
        "usage": now.memory,
        "max_usage": now.memory_peak,
        "stats": now.memory_detail,
        **({"failcnt": now.memory_failures} if now.memory_failures else {}),
        "limit": now.memory_limit or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
    }


def _cpu(reading: RawStats | None) -> dict[str, Any]:
    throttling = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}
    if reading is None:
        usage = {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}
        return {"cpu_usage": usage, "throttling_data": throttling}
    return {
        "cpu_usage": {
            "total_usage": reading.cpu_ns,
            **({"percpu_usage": list(reading.processors)} if reading.processors else {}),
            "usage_in_kernelmode": reading.cpu_kernel_ns,
            "usage_in_usermode": reading.cpu_user_ns,
        },
        "system_cpu_usage": reading.system_ns,
        "online_cpus": os.cpu_count() or 1,
        "throttling_data": {
            "periods": reading.periods,
            "throttled_periods": reading.throttled_periods,
            "throttled_time": reading.throttled_ns,
        },
    }


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat().replace("+00:00", "Z")


def _networks(container: Container) -> dict[str, Any]:
    process = container.record.state.process
    if process is None or not container.record.endpoints:
        return {}
    try:
        text = Path(f"/proc/{process.pid}/net/dev").read_text()
    except OSError:
        return {}
    found = {}
    for line in text.splitlines()[2:]:
        name, _, values = line.partition(":")
        fields = values.split()
        if name.strip() != "lo" and len(fields) >= 12:
            found[name.strip()] = {
                "rx_bytes": int(fields[0]),
                "rx_packets": int(fields[1]),
                "rx_errors": int(fields[2]),
                "rx_dropped": int(fields[3]),
                "tx_bytes": int(fields[8]),
                "tx_packets": int(fields[9]),
                "tx_errors": int(fields[10]),
                "tx_dropped": int(fields[11]),
            }
    return found
