"""What this host can do for containers, in words."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_containers.engine.ratelimits import noted
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.runtime.host import Capability, probe

_ESSENTIAL = ("runtime", "conmon", "overlay", "cgroups")


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The capabilities of a host; ``healthy`` when containers can run at all."""

    capabilities: tuple[Capability, ...]

    @property
    def healthy(self) -> bool:
        """True when nothing essential is missing."""
        return all(item.found for item in self.capabilities if item.name in _ESSENTIAL)


def examine(rooms: Rooms) -> DoctorReport:
    """Return what the host has, what it lacks and what would provide it."""
    host = probe(rooms.settings.runtime, versions=True)
    free = shutil.disk_usage(rooms.settings.root).free
    mmdebstrap = shutil.which("mmdebstrap")
    forwarding = _read_flag("/proc/sys/net/ipv4/ip_forward")
    ours = (
        Capability(
            "mmdebstrap",
            mmdebstrap is not None,
            mmdebstrap or "not found",
            "base images without a registry (bootstrap)",
            "apt-get install mmdebstrap",
        ),
        Capability(
            "disk space",
            free > 2**30,
            f"{free // 2**20} MiB free in {rooms.settings.root}",
            "images, layers and volumes",
            "free some space, or set another root",
        ),
        Capability(
            "IP forwarding",
            forwarding,
            "on" if forwarding else "off: switched on with the first bridge network",
            "containers on a bridge network reach other machines",
            "sysctl -w net.ipv4.ip_forward=1",
        ),
    )
    return DoctorReport((*host.capabilities, *ours))


def info(rooms: Rooms, statuses: list[str], images: int) -> dict[str, Any]:
    """Return the facts of ``docker info`` that have a meaning here."""
    import os
    import platform

    from jupyter_containers.version import __version__

    host = probe(rooms.settings.runtime, versions=True)
    machine = os.uname()
    return {
        "ServerVersion": __version__,
        "Containers": len(statuses),
        "ContainersRunning": statuses.count("running"),
        "ContainersPaused": statuses.count("paused"),
        "ContainersStopped": statuses.count("exited") + statuses.count("created"),
        "Images": images,
        "Driver": "overlay",
        "DefaultRuntime": host.runtime.name if host.runtime else "",
        "RuntimeVersion": host.runtime.version if host.runtime else "",
        "MonitorVersion": host.conmon_version,
        "CgroupVersion": {"v2": "2", "none": "0"}.get(host.cgroups.version, "1"),
        "CgroupDriver": "cgroupfs",
        "SecurityOptions": ["seccomp"] if host.seccomp else [],
        "KernelVersion": machine.release,
        "OperatingSystem": _system_name(),
        "OSType": "linux",
        "Architecture": machine.machine,
        "NCPU": os.cpu_count() or 1,
        "Name": machine.nodename,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Rootless": os.geteuid() != 0,
        "DockerRootDir": str(rooms.settings.root),
        "RunRoot": str(rooms.settings.run_root),
        "InsecureRegistries": [*rooms.settings.insecure_registries, *rooms.registry_files.insecure],
        "RegistryMirrors": [*rooms.settings.registry_mirrors, *rooms.registry_files.hub_mirrors],
        "RateLimits": noted(rooms.store),
        "PythonVersion": platform.python_version(),
    }


def _read_flag(name: str) -> bool:
    try:
        return Path(name).read_text().strip() == "1"
    except OSError:
        return False


def _system_name() -> str:
    import platform

    try:
        return str(platform.freedesktop_os_release()["PRETTY_NAME"])
    except (OSError, KeyError):
        return platform.system()
