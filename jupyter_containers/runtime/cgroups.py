"""Control groups of containers: paths, usage, killing and removal.

Vocabulary: a *layout* holds the mount point of each controller's hierarchy (cgroup v1: one for each
controller; v2: one for all; hybrid: v1 plus an almost empty v2).  A container's *cgroup path* is
the same text in every hierarchy, ``/jupyter-containers/<id>``.  A user without root may have a
*delegated* group of the v2 hierarchy: it is the layout's *base*, and contains the user's containers
and, in the group *ENGINE*, the processes that start them: the kernel allows no group to have both
processes and limits below it (cgroups(7), "no internal processes").

Lifecycle: the runtime creates the groups at ``create``; :func:`stats` and :func:`oom_kills` read
them; :func:`kill_all` empties them; :func:`remove` removes the empty directories.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Literal

from jupyter_containers.lazy_dataclasses import dataclass

Version = Literal["v1", "v2", "hybrid", "none"]
UNIFIED = ""
ENGINE = "jupyter-containers-engine"
_BLOCK = 1 << 16
_V1_CONTROLLERS = frozenset(
    {"cpu", "cpuacct", "cpuset", "memory", "devices", "freezer", "blkio", "pids", "hugetlb"}
)


@dataclass(frozen=True, slots=True)
class CgroupLayout:
    """Mount points by controller; the key ``""`` is the unified (v2) hierarchy.

    ``top`` is the group at the root of the unified mount, ``base`` the user's delegated group.
    """

    version: Version
    mounts: Mapping[str, str]
    controllers: frozenset[str]
    top: str = "/"
    base: str = ""

    @classmethod
    def read(cls, mountinfo: str | None = None) -> CgroupLayout:
        """Return the layout described by ``/proc/self/mountinfo`` (or by the given text)."""
        if mountinfo is None:
            with open("/proc/self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
                mountinfo = file.read()
        mounts: dict[str, str] = {}
        top = "/"
        for line in mountinfo.splitlines():
            left, _, right = line.partition(" - ")
            fields, kind = left.split(), right.split()
            if len(fields) < 5 or len(kind) < 3 or kind[0] not in ("cgroup", "cgroup2"):
                continue
            if kind[0] == "cgroup2":
                top = top if UNIFIED in mounts else fields[3]
                mounts.setdefault(UNIFIED, fields[4])
                continue
            for option in kind[2].split(","):
                if option in _V1_CONTROLLERS or option.startswith("name="):
                    mounts.setdefault(option, fields[4])
        v1 = _V1_CONTROLLERS & set(mounts)
        if v1:
            return cls("hybrid" if UNIFIED in mounts else "v1", mounts, frozenset(v1))
        if UNIFIED in mounts:
            words = text_in(f"{mounts[UNIFIED]}/cgroup.controllers") or ""
            # v2 has no controllers for these: programs attached to the group replace them.
            return cls("v2", mounts, frozenset(words.split()) | {"devices", "freezer"}, top)
        return cls("none", mounts, frozenset())

    def of_user(self, own: str | None = None) -> CgroupLayout:
        """Return the layout for a user without root: the hierarchies in which it can create groups.

        ``own`` is the text of ``/proc/self/cgroup``: in v2 the base derives from this process's
        group.
        """
        if self.version == "v2":
            group = self.own_group(own)
            base, _, name = group.rpartition("/")
            if name != ENGINE or not os.access(f"{self.mounts[UNIFIED]}{base}", os.W_OK):
                return CgroupLayout("none", {}, frozenset())
            words = text_in(f"{self.mounts[UNIFIED]}{base}/cgroup.subtree_control") or ""
            enabled = frozenset(words.split()) | {"freezer"}
            return CgroupLayout("v2", self.mounts, enabled, self.top, base)
        return self.writable()

    def writable(self) -> CgroupLayout:
        """Return the layout without the hierarchies in which this process may not create groups."""
        mounts = {name: point for name, point in self.mounts.items() if os.access(point, os.W_OK)}
        if mounts == self.mounts:
            return self
        left = frozenset() if self.version == "v2" else frozenset(self.controllers & set(mounts))
        return CgroupLayout(self.version if left else "none", mounts if left else {}, left)

    def own_group(self, own: str | None = None) -> str:
        """Return this process's group of the v2 hierarchy; empty if the mount does not show it.

        ``own`` is the text of ``/proc/self/cgroup``.
        """
        own = text_in("/proc/self/cgroup") or "" if own is None else own
        lines = [line.removeprefix("0::") for line in own.splitlines() if line.startswith("0::/")]
        top = self.top.rstrip("/")
        group = lines[0] if lines else ""
        if not group.startswith(f"{top}/") or "/.." in group:
            return ""
        return group.removeprefix(top)

    def folders(self, path: str) -> tuple[str, ...]:
        """Return the directories of the cgroup ``path`` in all hierarchies, each once."""
        relative = path.strip("/")
        if not relative or ".." in relative.split("/"):
            return ()
        points = dict.fromkeys(self.mounts.values())
        return tuple(f"{point}/{relative}" for point in points)

    def folder(self, path: str, controller: str) -> str:
        """Return the directory of ``path`` for ``controller``; empty if there is none."""
        point = self.mounts.get(controller)
        if point is None:
            point = self.mounts.get(UNIFIED) if self.version == "v2" else None
        return f"{point}/{path.strip('/')}" if point else ""


@dataclass(frozen=True, slots=True)
class ContainerStats:
    """One reading: times in nanoseconds, sizes in bytes, ``memory_limit`` 0 for no limit.

    ``memory`` excludes file pages that the kernel may drop at once (``inactive_file``), as in
    Docker.
    """

    read_at: float
    cpu_ns: int = 0
    throttled_periods: int = 0
    throttled_ns: int = 0
    memory: int = 0
    memory_peak: int = 0
    memory_limit: int = 0
    pids: int = 0
    pids_limit: int = 0
    block_read: int = 0
    block_written: int = 0
    oom_kills: int = 0


def stats(layout: CgroupLayout, path: str) -> ContainerStats | None:
    """Return the present usage of the group, or None if it does not exist."""
    memory = layout.folder(path, "memory")
    cpu = layout.folder(path, "cpu")
    if not any(os.path.isdir(folder) for folder in (memory, cpu) if folder):
        return None
    reader = _v2_stats if layout.version == "v2" else _v1_stats
    return reader(layout, path)


def oom_kills(layout: CgroupLayout, path: str) -> int:
    """Return how many of the group's processes the kernel's OOM killer has killed."""
    name = "memory.events" if layout.version == "v2" else "memory.oom_control"
    return pairs_in(f"{layout.folder(path, 'memory')}/{name}").get("oom_kill", 0)


def processes(layout: CgroupLayout, path: str) -> set[int]:
    """Return the pids in the group and in the groups below it."""
    found: set[int] = set()
    for top in layout.folders(path):
        for folder, _, _ in os.walk(top):
            text = text_in(f"{folder}/cgroup.procs") or ""
            found.update(int(word) for word in text.split())
    found.discard(0)
    return found


def kill_all(layout: CgroupLayout, path: str, *, timeout: float = 5.0) -> bool:
    """Kill every process of the group; return whether none is left after ``timeout`` seconds.

    With a unified hierarchy (hybrid hosts included) the kernel does it in one step; elsewhere the
    group is frozen, so that no process forks between reading and killing.
    """
    unified = layout.mounts.get(UNIFIED)
    deadline = time.monotonic() + timeout
    killed_at_once = unified is not None and _write(f"{unified}/{path.strip('/')}/cgroup.kill", "1")
    while processes(layout, path):
        if not killed_at_once:
            _kill_one_by_one(layout, path)
        killed_at_once = False
        _thaw(layout, path)
        pause = 0.001
        while processes(layout, path) and pause < 0.2 and time.monotonic() < deadline:
            time.sleep(pause)
            pause *= 2
        if time.monotonic() >= deadline:
            return not processes(layout, path)
    return True


def exists(layout: CgroupLayout, path: str) -> bool:
    """Return whether the group exists in any hierarchy."""
    return any(map(os.path.isdir, layout.folders(path)))


def remove(layout: CgroupLayout, path: str, *, timeout: float = 2.0) -> bool:
    """Remove the group and its subgroups in all hierarchies; return whether it is gone.

    A group stays busy for a moment after its last process has ended, hence the retries.
    """
    deadline = time.monotonic() + timeout
    pause = 0.001
    while True:
        left = [folder for folder in layout.folders(path) if not _remove_tree(folder)]
        if not left:
            return True
        if time.monotonic() >= deadline:
            return False
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def is_frozen(layout: CgroupLayout, path: str) -> bool:
    """Return whether the group is paused."""
    if layout.version == "v2":
        return pairs_in(f"{layout.folder(path, UNIFIED)}/cgroup.events").get("frozen", 0) == 1
    state = text_in(f"{layout.folder(path, 'freezer')}/freezer.state") or ""
    return state.strip() in ("FROZEN", "FREEZING")


def await_frozen(layout: CgroupLayout, path: str, timeout: float) -> None:
    """Wait until every process of a group that is being paused stands still.

    crun returns while some still run towards a place where they can be frozen (cgroup v1).
    """
    freezer = layout.folder(path, "freezer")
    deadline = time.monotonic() + timeout
    while layout.version != "v2" and freezer and time.monotonic() < deadline:
        if (text_in(f"{freezer}/freezer.state") or "").strip() != "FREEZING":
            return
        time.sleep(0.001)


def _kill_one_by_one(layout: CgroupLayout, path: str) -> None:
    freezer = layout.folder(path, "freezer")
    if layout.version != "v2" and freezer:
        _write(f"{freezer}/freezer.state", "FROZEN")
    try:
        for pid in processes(layout, path):
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
    finally:
        _thaw(layout, path)


def _thaw(layout: CgroupLayout, path: str) -> None:
    # Also after cgroup.kill: a task frozen by the v1 freezer cannot die.
    if layout.version == "v2":
        return
    freezer = layout.folder(path, "freezer")
    if freezer and is_frozen(layout, path):
        _write(f"{freezer}/freezer.state", "THAWED")


def _remove_tree(top: str) -> bool:
    try:
        os.rmdir(top)
        return True
    except FileNotFoundError:
        return True
    except OSError:
        pass
    for folder, _, _ in os.walk(top, topdown=False):
        with suppress(OSError):
            os.rmdir(folder)
    return not os.path.isdir(top)


def _v1_stats(layout: CgroupLayout, path: str) -> ContainerStats:
    memory = layout.folder(path, "memory")
    detail = pairs_in(f"{memory}/memory.stat")
    throttle = pairs_in(f"{layout.folder(path, 'cpu')}/cpu.stat")
    limit = number_in(f"{memory}/memory.limit_in_bytes")
    blkio = layout.folder(path, "blkio")
    inactive = detail.get("total_inactive_file", detail.get("inactive_file", 0))
    read, written = _v1_block(f"{blkio}/blkio.throttle.io_service_bytes")
    return ContainerStats(
        read_at=time.time(),
        cpu_ns=number_in(f"{layout.folder(path, 'cpuacct')}/cpuacct.usage"),
        throttled_periods=throttle.get("nr_throttled", 0),
        throttled_ns=throttle.get("throttled_time", 0),
        memory=max(0, number_in(f"{memory}/memory.usage_in_bytes") - inactive),
        memory_peak=number_in(f"{memory}/memory.max_usage_in_bytes"),
        # The kernel writes "no limit" as the largest multiple of a page.
        memory_limit=0 if limit >= 1 << 62 else limit,
        pids=number_in(f"{layout.folder(path, 'pids')}/pids.current"),
        pids_limit=number_in(f"{layout.folder(path, 'pids')}/pids.max"),
        block_read=read,
        block_written=written,
        oom_kills=oom_kills(layout, path),
    )


def _v2_stats(layout: CgroupLayout, path: str) -> ContainerStats:
    folder = layout.folder(path, UNIFIED)
    cpu = pairs_in(f"{folder}/cpu.stat")
    current = number_in(f"{folder}/memory.current")
    read = written = 0
    for line in (text_in(f"{folder}/io.stat") or "").splitlines():
        values = dict(item.partition("=")[::2] for item in line.split()[1:])
        read += int(values.get("rbytes", 0))
        written += int(values.get("wbytes", 0))
    return ContainerStats(
        read_at=time.time(),
        cpu_ns=cpu.get("usage_usec", 0) * 1000,
        throttled_periods=cpu.get("nr_throttled", 0),
        throttled_ns=cpu.get("throttled_usec", 0) * 1000,
        memory=max(0, current - pairs_in(f"{folder}/memory.stat").get("inactive_file", 0)),
        memory_peak=number_in(f"{folder}/memory.peak"),
        memory_limit=number_in(f"{folder}/memory.max"),
        pids=number_in(f"{folder}/pids.current"),
        pids_limit=number_in(f"{folder}/pids.max"),
        block_read=read,
        block_written=written,
        oom_kills=oom_kills(layout, path),
    )


def _v1_block(name: str) -> tuple[int, int]:
    read = written = 0
    for line in (text_in(name) or "").splitlines():
        words = line.split()
        if len(words) == 3 and words[1] == "Read":
            read += int(words[2])
        elif len(words) == 3 and words[1] == "Write":
            written += int(words[2])
    return read, written


def text_in(name: str) -> str | None:
    """Return what a file holds; None where it cannot be read."""
    # No file object: it would take two thirds of the time, and statistics read hundreds of files.
    try:
        descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        data = b""
        while chunk := os.read(descriptor, _BLOCK):
            data += chunk
        return data.decode()
    except OSError:
        return None
    finally:
        os.close(descriptor)


def number_in(name: str) -> int:
    """Return the number that a file holds; 0 for none, or for a word such as ``max``."""
    text = (text_in(name) or "0").strip()
    return int(text) if text.isdigit() else 0


def pairs_in(name: str) -> dict[str, int]:
    """Return the lines ``name number`` of a file."""
    words = [line.split() for line in (text_in(name) or "").splitlines()]
    return {pair[0]: int(pair[1]) for pair in words if len(pair) == 2 and pair[1].isdigit()}


def _write(name: str, text: str) -> bool:
    try:
        with open(name, "w", encoding="utf-8") as file:
            file.write(text)
        return True
    except OSError:
        return False
