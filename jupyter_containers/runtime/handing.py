"""Handing the controllers of a cgroup v2 group on to the groups below it.

The kernel wants no process beside groups that have limits (cgroups(7), "no internal processes"),
so those of the group move into one of their own, ``ENGINE``, first.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from jupyter_containers.runtime.cgroups import ENGINE, UNIFIED, CgroupLayout

CONTROLLERS = ("cpu", "memory", "pids", "io", "cpuset")
_ROUNDS = 20


def hand_on(layout: CgroupLayout, base: str) -> str:
    """Make the group ``base`` one that has limits below it; return why that is not possible."""
    folder = f"{layout.mounts[UNIFIED]}{base}"
    leaf = f"{folder}/{ENGINE}"
    try:
        os.makedirs(leaf, exist_ok=True)
        offered = set(Path(f"{folder}/cgroup.controllers").read_text().split())
        for _ in range(_ROUNDS):
            # One of them may start another meanwhile.
            for pid in Path(f"{folder}/cgroup.procs").read_text().split():
                with suppress(ProcessLookupError):
                    Path(f"{leaf}/cgroup.procs").write_text(pid)
            if _enabled(folder, [name for name in CONTROLLERS if name in offered]):
                break
        else:
            return f"{base or '/'} is never without processes"
    except OSError as error:
        return f"{base or '/'} cannot be used: {error.strerror}"
    return "" if offered & set(CONTROLLERS) else f"{base or '/'} was given no controllers"


def make_room(layout: CgroupLayout) -> CgroupLayout:
    """Return what root may use: in a pod of cgroup v2 its processes move out of the way first."""
    if layout.version != "v2":
        return layout
    point = layout.mounts[UNIFIED]
    # Only the machine's own root group has no type, and it may have processes.
    if not os.path.exists(f"{point}/cgroup.type"):
        return layout
    enabled = Path(f"{point}/cgroup.subtree_control").read_text().split()
    if "memory" not in enabled and hand_on(layout, ""):
        return CgroupLayout("none", {}, frozenset())
    return layout


def _enabled(folder: str, controllers: list[str]) -> bool:
    """Hand controllers on to the groups below; return False while processes are in the way."""
    for name in controllers:
        try:
            Path(f"{folder}/cgroup.subtree_control").write_text(f"+{name}")
        except OSError:
            return False
    return True
