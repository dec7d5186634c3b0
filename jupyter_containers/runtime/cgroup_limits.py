"""A limit for several containers together, set on their parent control group."""

from __future__ import annotations

import os

from jupyter_containers.runtime.cgroups import CgroupLayout
from jupyter_containers.runtime.resources import CPU_PERIOD


def limit_group(layout: CgroupLayout, path: str, *, memory: int, cpus: float) -> bool:
    """Limit a group as a whole to ``memory`` bytes and ``cpus`` CPUs; 0 means no limit.

    Creates the group if it is missing.  Returns whether the memory is limited now; a limit that
    this process cannot set has no effect.
    """
    unified = layout.version == "v2"
    memory_file = "memory.max" if unified else "memory.limit_in_bytes"
    cpu_file = "cpu.max" if unified else "cpu.cfs_quota_us"
    quota = int(cpus * CPU_PERIOD)
    wanted = f"{quota} {CPU_PERIOD}" if unified else str(quota)
    if cpus:
        _set(layout.folder(path, "cpu"), cpu_file, wanted)
    return bool(memory) and _set(layout.folder(path, "memory"), memory_file, str(memory))


def _set(folder: str, name: str, text: str) -> bool:
    if not folder:
        return False
    try:
        os.makedirs(folder, exist_ok=True)
        with open(f"{folder}/{name}", encoding="ascii") as file:
            if file.read().split() == text.split():
                return True
        with open(f"{folder}/{name}", "w", encoding="ascii") as file:
            file.write(text)
    except OSError:
        return False
    return True
