"""Processes and resource usage of containers in a cluster, read inside the container.

The metrics API has no network and no disk traffic, is often missing, and needs a right that many
users do not have; the container's own files (``/proc``, ``/sys/fs/cgroup``) have all.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

from jupyter_containers.engine.collection import Items
from jupyter_containers.engine.results import StatsSample
from jupyter_containers.errors import ContainersError
from jupyter_containers.kubernetes.foreground import Foreground
from jupyter_containers.kubernetes.pods import Found
from jupyter_containers.kubernetes.unsupported import missing

_PAUSE = 0.2
# One reading: the control group's CPU time (nanoseconds), memory, limits, traffic and processes.
_READ = r"""
cg=/sys/fs/cgroup
if [ -f $cg/cgroup.controllers ]; then
 echo cpu $(( $(sed -n 's/^usage_usec //p' $cg/cpu.stat) * 1000 ))
 echo memory $(cat $cg/memory.current) $(cat $cg/memory.max)
 echo cache $(sed -n 's/^inactive_file //p' $cg/memory.stat)
 echo pids $(cat $cg/pids.current) $(cat $cg/pids.max)
else
 echo cpu $(cat $cg/cpuacct/cpuacct.usage)
 echo memory $(cat $cg/memory/memory.usage_in_bytes) $(cat $cg/memory/memory.limit_in_bytes)
 echo cache $(sed -n 's/^total_inactive_file //p' $cg/memory/memory.stat)
 echo pids $(cat $cg/pids/pids.current) $(cat $cg/pids/pids.max)
fi 2>/dev/null
sed -n 's/^ *eth0: */net /p' /proc/net/dev
true
"""
_UNLIMITED = 1 << 60


def samples(foreground: Foreground, chosen: Sequence[Found]) -> Items[StatsSample]:
    """Return the usage of running containers; CPU over a fifth of a second."""
    if not chosen:
        return []
    first = [(time.monotonic(), _reading(foreground, found)) for found in chosen]
    time.sleep(_PAUSE)
    return [
        _sample(found, began, before, time.monotonic(), _reading(foreground, found))
        for found, (began, before) in zip(chosen, first, strict=True)
    ]


def _reading(foreground: Foreground, found: Found) -> dict[str, list[int]]:
    code, text = foreground.call(found, ["sh", "-c", _READ])
    if code:
        raise missing(
            f"stats of {found.record.name}", "they are read by sh in the container, which has none"
        )
    values: dict[str, list[int]] = {}
    for line in text.splitlines():
        name, *words = line.split()
        values[name] = [int(word) if word.isdecimal() else 0 for word in words]
    return values


def _sample(
    found: Found,
    began: float,
    before: dict[str, list[int]],
    ended: float,
    after: dict[str, list[int]],
) -> StatsSample:
    def value(name: str, index: int = 0) -> int:
        values = after.get(name, [])
        return values[index] if index < len(values) else 0

    used = value("cpu") - (before.get("cpu") or [0])[0]
    limit = value("memory", 1)
    options = found.record.options
    return StatsSample(
        container_id=found.record.id,
        name=found.record.name,
        cpu_percent=max(0.0, used / ((ended - began) * 1e9) * 100.0),
        memory_usage=max(0, value("memory") - value("cache")),
        memory_limit=options.memory or (limit if limit < _UNLIMITED else 0),
        network_rx=value("net"),
        network_tx=value("net", 8),
        block_read=0,
        block_write=0,
        pids=value("pids"),
        pids_limit=value("pids", 1),
    )


def processes(
    foreground: Foreground, found: Found, options: Sequence[str]
) -> Items[dict[str, str]]:
    """Return the processes of a container by column, as its ``ps`` shows them."""
    try:
        code, text = foreground.call(found, ["ps", *(options or ("-ef",))])
        if code and not options:
            code, text = foreground.call(found, ["ps"])
    except ContainersError:
        code, text = -1, ""
    if code:
        raise missing(
            f"top of {found.record.name}", "it is ps in the container, which does not have it"
        )
    head, *lines = text.splitlines()
    columns = head.split()
    return [dict(zip(columns, line.split(None, len(columns) - 1), strict=False)) for line in lines]
