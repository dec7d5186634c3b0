"""Explanations of a container: what it sees inside, beside what the host sees.

An explanation is for learners: every line shows one fact twice, as the container's first process
sees it and as the host sees it.  Facts of a running container are omitted if it does not run.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import NotFoundError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import socket
from jupyter_containers.runtime import cgroups, views

_ISOLATES = {
    "pid": "process IDs",
    "mnt": "the mounted file systems",
    "net": "interfaces, addresses, ports",
    "uts": "the host name",
    "ipc": "shared memory and message queues",
    "user": "user and group IDs",
    "cgroup": "the root of the control groups",
    "time": "boot and monotonic clocks",
}
_PROCESSES_SHOWN = 20


@dataclass(frozen=True, slots=True)
class Line:
    """One fact, seen from inside and from outside."""

    what: str
    inside: str
    outside: str


@dataclass(frozen=True, slots=True)
class Section:
    """Lines about one mechanism of the kernel, and a sentence that explains it."""

    title: str
    sentence: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Explanation:
    """The explanation of a container: its sections in the order of a lesson."""

    container_id: str
    name: str
    image: str
    running: bool
    sections: tuple[Section, ...]

    def section(self, title: str) -> Section:
        """Return the section with this title; raise :class:`NotFoundError` if there is none."""
        for section in self.sections:
            if section.title == title:
                return section
        known = ", ".join(section.title for section in self.sections)
        raise NotFoundError(f"no section {title!r}", hint=f"there are: {known}")


def explain(
    context: EngineContext, record: ContainerRecord, document: Mapping[str, Any]
) -> Explanation:
    """Return the explanation of a container; ``document`` is its ``inspect`` object."""
    process = record.state.process if record.state.status.alive else None
    pid = process.pid if process else 0
    if process:
        context.runtime.await_program(process)
    group = context.runtime.cgroup_path(record.id)
    sections: list[Section] = []
    if pid:
        sections += [
            _namespaces(pid),
            _processes(context, group),
            _cgroups(context, group),
        ]
    sections.append(_layers(context, record))
    if pid:
        sections += [_mounts(record, pid), _privileges(pid)]
    sections.append(_network(document, pid))
    return Explanation(record.id, record.name, record.options.image, bool(pid), tuple(sections))


def _namespaces(pid: int) -> Section:
    inside, outside = views.namespaces(pid), views.namespaces(os.getpid())
    lines = [
        Line(
            f"{name}: {_ISOLATES[name]}",
            f"{name}:[{number}]" + (" (the host's own)" if number == outside.get(name) else ""),
            f"{name}:[{outside[name]}]" if name in outside else "",
        )
        for name, number in inside.items()
    ]
    return Section(
        "Namespaces",
        "A namespace gives a group of processes its own view of one resource of the kernel. "
        "Where the numbers differ, the container has its own.",
        tuple(lines),
    )


def _processes(context: EngineContext, group: str) -> Section:
    pids = sorted(cgroups.processes(context.runtime.layout, group))
    seen = [view for view in map(views.process_view, pids) if view]
    lines = [
        Line(view.command, f"pid {view.pid_inside}", f"pid {view.pid}, uid {view.uid}")
        for view in seen[:_PROCESSES_SHOWN]
    ]
    if len(seen) > _PROCESSES_SHOWN:
        lines.append(Line(f"and {len(seen) - _PROCESSES_SHOWN} more", "", ""))
    return Section(
        "Processes",
        "A container's processes are ordinary processes of the host with a second process ID.",
        tuple(lines),
    )


def _cgroups(context: EngineContext, group: str) -> Section:
    layout = context.runtime.layout
    files = list(views.cgroup_files(layout, group))
    periods = [file.value for file in files if file.meaning.startswith("CPU period")]
    lines = [
        Line(
            file.meaning,
            _limit_words(file, *periods),
            f"{os.path.basename(file.path)} = {file.value}",
        )
        for file in files
    ]
    return Section(
        "Control groups",
        f"A control group (cgroup {layout.version}) measures and limits what its processes use. "
        "The limits are files: writing one changes the limit at once (that is what update does).",
        (Line("folder", "/", _folder(files, group)), *lines),
    )


def _folder(files: Sequence[views.CgroupFile], group: str) -> str:
    """Return the folder of the files as a shell pattern: cgroup v1 has one per controller."""
    folders = sorted({os.path.dirname(file.path) for file in files})
    if len(folders) <= 1:
        return folders[0] if folders else group
    return f"{os.path.commonpath([folder.removesuffix(group) for folder in folders])}/*{group}"


def _limit_words(file: views.CgroupFile, period: str = "") -> str:
    """Return a readable value: sizes in MiB, CPU quotas in CPUs, ``unlimited``.

    cgroup v1 has the quota's period in a separate file, v2 on the same line.
    """
    first, _, second = file.value.partition(" ")
    if first in ("max", "-1") or (first.isdigit() and int(first) >= 1 << 60):
        return "unlimited"
    if file.meaning.startswith(("memory", "swap")) and first.isdigit():
        return f"{int(first) / (1 << 20):.1f} MiB"
    if file.meaning == "CPU time used":
        return f"{int(first) / 1e9:.2f} s"
    if file.meaning.startswith("CPU quota"):
        return f"{int(first) / int(second or period):g} CPUs"
    return file.value


def _layers(context: EngineContext, record: ContainerRecord) -> Section:
    snapshots = context.store.snapshots
    lines: list[Line] = []
    mount = snapshots.mount(record.chain_id, record.id)
    if mount.upper is not None:
        size = snapshots.size_rw(record.id)
        lines.append(Line("writable layer", f"all changes: {size} B", str(mount.upper)))
    folders = snapshots.lower_folders(record.chain_id)
    lines += [
        Line(f"layer {len(folders) - number}, read-only", "/", str(folder))
        for number, folder in enumerate(folders)
    ]
    return Section(
        "Layers",
        "The root file system is an overlay: read-only folders that all containers of the image "
        "share, and on top of them one folder for this container's changes."
        if mount.lowers
        else "The root file system is a copy of all layers, because this host mounts no overlay.",
        tuple(lines),
    )


def _mounts(record: ContainerRecord, pid: int) -> Section:
    sources = {mount.target: mount for mount in record.mounts}
    lines = []
    for view in views.mounts(pid):
        own = sources.get(view.target)
        outside = f"{own.type} {own.name or own.source}".strip() if own else view.source
        if view.type == "overlay":
            outside = "the layers above"
        lines.append(Line(view.target, f"{view.type} ({view.options})", outside))
    return Section(
        "Mounts",
        "Only these file systems exist inside; none of them is visible outside.",
        tuple(lines),
    )


def _privileges(pid: int) -> Section:
    inside, outside = views.privileges(pid), views.privileges(os.getpid())
    lines = (
        Line(
            "capabilities",
            _names(inside.capabilities),
            f"{len(outside.capabilities)} capabilities (this notebook's)",
        ),
        Line("taken away", _names(outside.capabilities - inside.capabilities), ""),
        Line("system calls (seccomp)", inside.seccomp, outside.seccomp),
        Line("no new privileges", _yes(inside.no_new_privileges), _yes(outside.no_new_privileges)),
        Line("user ids", views.id_map(pid), views.id_map(os.getpid())),
    )
    return Section(
        "Privileges",
        "Root inside may do less than root outside: most capabilities are gone and a filter "
        "refuses dangerous system calls.",
        lines,
    )


def _network(document: Mapping[str, Any], pid: int) -> Section:
    settings = document["NetworkSettings"]
    lines = [Line("host name", document["Config"]["Hostname"], socket.gethostname())]
    for name, place in settings["Networks"].items():
        if place.get("IPAddress"):
            inside = f"{place['IPAddress']}/{place['IPPrefixLen']}, {place['MacAddress']}"
            lines.append(Line(f"address in {name}", inside, f"gateway {place['Gateway']}"))
    for port, bindings in (settings.get("Ports") or {}).items():
        places = ", ".join(f"{item['HostIp']}:{item['HostPort']}" for item in bindings or ())
        lines.append(Line("port", port, places or "not published"))
    if pid:
        lines.append(Line("interfaces", _some(views.interfaces(pid)), _own_interfaces()))
    return Section(
        "Network",
        f"Network mode {document['HostConfig']['NetworkMode']}: separate interfaces in a separate "
        "network namespace, joined to the host's bridge by a virtual cable, except in mode host.",
        tuple(lines),
    )


def _own_interfaces() -> str:
    return _some(views.interfaces(os.getpid()))


def _names(capabilities: Iterable[str]) -> str:
    return " ".join(sorted(name.removeprefix("CAP_") for name in capabilities)) or "none"


def _some(words: list[str], most: int = 8) -> str:
    rest = f" and {len(words) - most} more" if len(words) > most else ""
    return " ".join(words[:most]) + rest


def _yes(value: bool) -> str:
    return "yes" if value else "no"
