"""Delegates the controllers of a cgroup v2 group to the groups below it.

The kernel allows no process beside groups that have limits (cgroups(7), "no internal processes"),
so the group's own processes are moved into a group ``ENGINE`` first.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from jupyter_containers.runtime.cgroups import ENGINE, UNIFIED, CgroupLayout

CONTROLLERS = ("cpu", "memory", "pids", "io", "cpuset")
_ROUNDS = 20


def delegate_controllers(layout: CgroupLayout, base: str) -> str:
    """Enable limits in the groups below ``base``; return why that is impossible, or ``""``."""
    folder = f"{layout.mounts[UNIFIED]}{base}"
    leaf = f"{folder}/{ENGINE}"
    try:
        os.makedirs(leaf, exist_ok=True)
        offered = set(Path(f"{folder}/cgroup.controllers").read_text().split())
        for _ in range(_ROUNDS):
            # One of them may start another at this moment.
            for pid in Path(f"{folder}/cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    Path(f"{leaf}/cgroup.procs").write_text(pid)
            if _enable(folder, [name for name in CONTROLLERS if name in offered]):
                break
        else:
            return f"{base or '/'} is never without processes"
    except OSError as error:
        return f"{base or '/'} cannot be used: {error.strerror}"
    return "" if offered & set(CONTROLLERS) else f"{base or '/'} was given no controllers"


def layout_for_root(layout: CgroupLayout) -> CgroupLayout:
    """Return the layout for root; in a pod of cgroup v2 its processes are moved first."""
    if layout.version != "v2":
        return layout
    point = layout.mounts[UNIFIED]
    # Only the machine's own root group has no type, and it may have processes.
    if not os.path.exists(f"{point}/cgroup.type"):
        return layout
    enabled = Path(f"{point}/cgroup.subtree_control").read_text().split()
    if "memory" not in enabled and delegate_controllers(layout, ""):
        return CgroupLayout("none", {}, frozenset())
    return layout


def _enable(folder: str, controllers: list[str]) -> bool:
    """Enable controllers in the groups below; return False while processes prevent it."""
    for name in controllers:
        try:
            Path(f"{folder}/cgroup.subtree_control").write_text(f"+{name}")
        except OSError:
            return False
    return True
