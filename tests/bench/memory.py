"""Resident memory of the processes beside a detached container."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping
from pathlib import Path


def processes(word: str) -> set[int]:
    """Return the pids of the processes whose program's name begins with ``word``."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                name = Path(f"/proc/{entry}/comm").read_text().strip()
            except OSError:
                continue
            if name.startswith(word):
                found.add(int(entry))
    return found


def group(leader: int) -> set[int]:
    """Return the processes of a process group."""
    found = set()
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            with contextlib.suppress(OSError):
                if os.getpgid(int(entry)) == leader:
                    found.add(int(entry))
    return found


def total(pids: Iterable[int], field: str) -> float:
    """Return the sum of ``Rss`` or ``Pss`` (shared pages divided by their users) in megabytes.

    A process that has ended in the meantime, such as a health check, has none.
    """
    return sum(_fields(pid).get(field, 0.0) for pid in pids) / 1000


def _fields(pid: int) -> Mapping[str, float]:
    try:
        lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:]
    except (FileNotFoundError, ProcessLookupError):
        return {}
    return {
        name: float(rest.split()[0]) * 1.024
        for name, _, rest in (line.partition(":") for line in lines)
    }
