"""A container's counters in the format of ``GET /containers/{name}/stats``."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.runtime.cgroups import ContainerStats

_NEVER = "0001-01-01T00:00:00Z"


def sample(
    container: Container, before: ContainerStats | None, now: ContainerStats
) -> dict[str, Any]:
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


def _reading(now: ContainerStats | None) -> dict[str, Any]:
    read = _NEVER if now is None else _moment(now.read_at)
    entries = [] if now is None else [("read", now.block_read), ("write", now.block_written)]
    memory: dict[str, Any] = {}
    if now is not None:
        limit = now.memory_limit or os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
        memory = {"usage": now.memory, "max_usage": now.memory_peak, "stats": {}, "limit": limit}
    return {
        "read": read,
        "pids_stats": {"current": now.pids, "limit": now.pids_limit} if now else {},
        "blkio_stats": {
            "io_service_bytes_recursive": [
                {"major": 0, "minor": 0, "op": word, "value": value} for word, value in entries
            ],
            "io_serviced_recursive": None,
            "io_queue_recursive": None,
            "io_service_time_recursive": None,
            "io_wait_time_recursive": None,
            "io_merged_recursive": None,
            "io_time_recursive": None,
            "sectors_recursive": None,
        },
        "num_procs": 0,
        "storage_stats": {},
        "cpu_stats": _cpu(now),
        "memory_stats": memory,
    }


def _cpu(reading: ContainerStats | None) -> dict[str, Any]:
    throttling = {"periods": 0, "throttled_periods": 0, "throttled_time": 0}
    if reading is None:
        usage = {"total_usage": 0, "usage_in_kernelmode": 0, "usage_in_usermode": 0}
        return {"cpu_usage": usage, "throttling_data": throttling}
    count = os.cpu_count() or 1
    return {
        "cpu_usage": {
            "total_usage": reading.cpu_ns,
            "usage_in_kernelmode": 0,
            "usage_in_usermode": 0,
        },
        # The time of all processors since boot: Docker's clients divide by it.
        "system_cpu_usage": int(reading.read_at * 1e9) * count,
        "online_cpus": count,
        "throttling_data": {
            "periods": 0,
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
