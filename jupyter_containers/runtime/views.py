"""The kernel's view of an isolated process, read from ``/proc`` and the cgroup files.

Vocabulary: *inside* is the view of a process in the container, *outside* that of the host.  A
namespace is named by its inode number: two processes with the same number share it. Everything is
read on demand and may be gone a moment later: the values of a process that has ended are empty,
never an error.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.runtime.cgroups import CgroupLayout
from jupyter_containers.runtime.security import capability_names

NAMESPACES = ("pid", "mnt", "net", "uts", "ipc", "user", "cgroup", "time")

# A limit's name, its controller, and its file in cgroup v1 and v2.
_LIMITS = (
    ("memory limit", "memory", "memory.limit_in_bytes", "memory.max"),
    ("memory used", "memory", "memory.usage_in_bytes", "memory.current"),
    ("memory with swap, limit", "memory", "memory.memsw.limit_in_bytes", ""),
    ("swap limit", "memory", "", "memory.swap.max"),
    ("CPU quota, µs per period", "cpu", "cpu.cfs_quota_us", "cpu.max"),
    ("CPU period, µs", "cpu", "cpu.cfs_period_us", ""),
    ("CPU weight", "cpu", "cpu.shares", "cpu.weight"),
    ("CPU time used", "cpuacct", "cpuacct.usage", ""),
    ("CPUs", "cpuset", "cpuset.effective_cpus", "cpuset.cpus.effective"),
    ("processes, limit", "pids", "pids.max", "pids.max"),
    ("processes now", "pids", "pids.current", "pids.current"),
)


_LOOKS, _BETWEEN_LOOKS = 5, 0.002


@dataclass(frozen=True, slots=True)
class ProcessView:
    """One process by both its numbers; ``uid`` is the host's."""

    pid: int
    pid_inside: int
    uid: int
    command: str


@dataclass(frozen=True, slots=True)
class Privileges:
    """The privileges of a process: capabilities by name, and the locks on gaining more."""

    capabilities: frozenset[str]
    seccomp: str
    no_new_privileges: bool


@dataclass(frozen=True, slots=True)
class MountView:
    """One mount as the process sees it; ``options`` are the mount's own (``ro``, ``nosuid``)."""

    target: str
    type: str
    source: str
    options: str


@dataclass(frozen=True, slots=True)
class CgroupFile:
    """One value of a control group: its label, its path on the host, its text."""

    meaning: str
    path: str
    value: str


def namespaces(pid: int) -> dict[str, int]:
    """Return the inode numbers of the namespaces of a process by name (namespaces(7))."""
    found = {}
    for name in NAMESPACES:
        try:
            found[name] = os.stat(f"/proc/{pid}/ns/{name}").st_ino
        except OSError:
            continue
    return found


def process_view(pid: int) -> ProcessView | None:
    """Return a process by its number outside and inside, or None if it has ended."""
    status = _status(pid)
    if not status:
        return None
    # NSpid has the number in every pid namespace, from the reader's to the innermost (proc(5)).
    inside = status.get("NSpid", str(pid)).split()[-1]
    command = _command(pid) or f"[{status.get('Name', '')}]"
    return ProcessView(pid, int(inside), int(status["Uid"].split()[1]), command)


def _command(pid: int) -> str:
    """Return a process's command line; empty if it has none, as for a zombie."""
    for _ in range(_LOOKS):
        raw = _bytes(f"/proc/{pid}/cmdline").rstrip(b"\0").replace(b"\0", b" ")
        if raw:
            return raw.decode("utf-8", "replace")
        # While a process executes another program it has none for a moment.
        time.sleep(_BETWEEN_LOOKS)
    return ""


def privileges(pid: int) -> Privileges:
    """Return the privileges of a process, from its ``/proc/PID/status``."""
    status = _status(pid)
    modes = {"0": "off", "1": "strict", "2": "filter"}
    return Privileges(
        capability_names(int(status.get("CapEff", "0"), 16)),
        modes.get(status.get("Seccomp", "0"), "unknown"),
        status.get("NoNewPrivs", "0") == "1",
    )


def id_map(pid: int) -> str:
    """Return the user IDs of a process's user namespace as ``inside → outside; …``."""
    lines = _bytes(f"/proc/{pid}/uid_map").decode().splitlines()
    words = [line.split() for line in lines]
    return "; ".join(
        f"{inside}-{int(inside) + int(count) - 1} → {outside}-{int(outside) + int(count) - 1}"
        for inside, outside, count in words
    )


def mounts(pid: int) -> list[MountView]:
    """Return the mounts that a process sees, in order of creation (proc(5), mountinfo)."""
    text = _bytes(f"/proc/{pid}/mountinfo").decode("utf-8", "replace")
    found = []
    for line in text.splitlines():
        left, _, right = line.partition(" - ")
        fields, kind = left.split(), right.split()
        if len(fields) >= 6 and len(kind) >= 2:
            found.append(MountView(_unescaped(fields[4]), kind[0], _unescaped(kind[1]), fields[5]))
    return found


def interfaces(pid: int) -> list[str]:
    """Return the network interfaces that a process sees."""
    lines = _bytes(f"/proc/{pid}/net/dev").decode().splitlines()[2:]
    return [line.partition(":")[0].strip() for line in lines]


def cgroup_files(layout: CgroupLayout, path: str) -> Iterator[CgroupFile]:
    """Yield the limits and figures of a control group that exist on this host."""
    for meaning, controller, v1, v2 in _LIMITS:
        name = v2 if layout.version == "v2" else v1
        folder = layout.folder(path, controller)
        if not name or not folder:
            continue
        value = _bytes(f"{folder}/{name}").decode().strip()
        if value:
            yield CgroupFile(meaning, f"{folder}/{name}", value)


def _status(pid: int) -> dict[str, str]:
    lines = _bytes(f"/proc/{pid}/status").decode("utf-8", "replace").splitlines()
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _bytes(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError:
        return b""


def _unescaped(text: str) -> str:
    for code, char in (("\\040", " "), ("\\011", "\t"), ("\\012", "\n"), ("\\134", "\\")):
        text = text.replace(code, char)
    return text
