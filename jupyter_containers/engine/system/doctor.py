"""The host's capabilities for containers, for display."""

from __future__ import annotations

import os
import pwd
import re
from pathlib import Path
from typing import Any

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.rate_limits import known_limits
from jupyter_containers.engine.system.programs import (
    advisories,
    confinement,
    program_versions,
    seccomp,
)
from jupyter_containers.filesystems import file_system, is_remote
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import shutil
from jupyter_containers.runtime.confinement import profile_is_loaded
from jupyter_containers.runtime.host import Capability, HostCapabilities, probe
from jupyter_containers.runtime.restrictions import system_files_restriction
from jupyter_containers.settings import LOCAL
from jupyter_containers.store.additional import layers_open

_ESSENTIAL = ("runtime", "conmon", "mounts")
_INSTALL = "apt-get install "


@dataclass(frozen=True, slots=True)
class DoctorReport:
    """The capabilities of a host, for ``root`` or another user; ``remark`` is a text below."""

    capabilities: tuple[Capability, ...]
    root: bool = True
    remark: str = ""

    @property
    def healthy(self) -> bool:
        """Whether nothing essential is missing."""
        return all(item.found for item in self.capabilities if item.name in _ESSENTIAL)

    @property
    def packages(self) -> tuple[str, ...]:
        """The Debian packages that would provide what is missing, in the order of the table."""
        lines = [item.provided_by for item in self.capabilities if not item.found]
        commands = [part.strip() for line in lines for part in line.split(":")[-1].split(";")]
        names = [
            name
            for command in commands
            if command.startswith(_INSTALL)
            for name in command.removeprefix(_INSTALL).split()
        ]
        return tuple(dict.fromkeys(names))


def examine(context: EngineContext) -> DoctorReport:
    """Return the host's capabilities, missing ones with the way to provide them."""
    host = probe(context.settings.runtime, versions=True)
    free = shutil.disk_usage(context.settings.root).free
    mmdebstrap = shutil.which("mmdebstrap")
    forwarding = _read_flag("/proc/sys/net/ipv4/ip_forward")
    ours = (
        Capability(
            "mmdebstrap",
            mmdebstrap is not None,
            mmdebstrap or "not found",
            "base images without a registry (bootstrap)",
            "apt-get install mmdebstrap debian-archive-keyring",
        ),
        _store_disk(context),
        *_open_layers(context),
        Capability(
            "disk space",
            free > 2**30,
            f"{free // 2**20} MiB free in {context.settings.root}",
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
    root = host.users.initial and os.geteuid() == 0
    kernel = [item for item in host.capabilities if item.name not in ("overlay", "seccomp")]
    outputs = program_versions(host)
    found = (*_privileges(context, host), *_files(context), *kernel, seccomp(host, outputs), *ours)
    further = confinement(host, loaded=profile_is_loaded())
    return DoctorReport((*found, *further, *advisories(outputs)), root)


def _files(context: EngineContext) -> tuple[Capability, ...]:
    """Return the way in which an image's layers become a container's files."""
    driver = context.driver
    refusal = driver.refusal
    words = {
        "overlay": "overlayfs",
        "fuse-overlayfs": f"by the program fuse-overlayfs: {driver.reason}",
        "vfs": f"files are copied instead (vfs): {driver.reason}",
    }
    return (
        Capability(
            "mounts",
            refusal is None,
            driver.no_mounts or "private mount namespaces",
            "containers and RUN steps",
            (refusal.provided_by if refusal else ""),
        ),
        Capability(
            "overlay",
            driver.name != "vfs",
            words[driver.name],
            "containers and steps start at once and share the files of their image",
            "a root on a local disk, and for users Linux 5.11 or newer; or, as root: apt-get"
            " install fuse-overlayfs; chmod 666 /dev/fuse",
        ),
    )


def _store_disk(context: EngineContext) -> Capability:
    """Return the kind of disk that the store is on."""
    root = context.settings.root
    kind = file_system(root)
    remote, memory = is_remote(kind), kind in ("tmpfs", "ramfs")
    detail = f"{kind or 'unknown'}, {root}"
    if remote:
        detail = f"{kind} is on another machine: {root}"
    elif memory:
        detail = f"{kind}: files in {root} take memory and are lost at a restart"
    elif root.parent == LOCAL:
        detail += " (because the home is on another machine)"
    return Capability(
        "store",
        not remote and not memory,
        detail,
        "images and containers are kept, and several kernels can share them",
        "JUPYTER_CONTAINERS_ROOT, or root in the configuration: a folder on a local disk",
    )


def _open_layers(context: EngineContext) -> tuple[Capability, ...]:
    """Return the shared stores whose layers every user of the machine can enter."""
    return tuple(
        Capability(
            "shared layers",
            False,
            f"every user can enter {store.root / 'layers'}, with set-user-ID programs of images",
            "images can be shared without giving users the rights of root",
            "as root: jupyter container store ls (it closes what is open)",
        )
        for store in context.store.additional
        if layers_open(store.root)
    )


def _privileges(context: EngineContext, host: HostCapabilities) -> tuple[Capability, ...]:
    """Return the engine's privileges on this host."""
    why = "the users of a container, as seen by the host"
    user = context.settings.layout.user
    if host.users.initial and os.geteuid() == 0:
        return (Capability("rights", True, "root of this machine", why),)
    if host.users.initial:
        denied, _, needed = _text(user.denied).partition("\n")
        denied = denied or "no user namespaces"
        return (Capability("rights", False, denied, "containers and RUN steps", needed),)
    single, missing = _text(user.single), _text(user.no_uplink)
    if host.users.size > 1:
        rights = Capability(
            "rights", True, f"a user with {host.users.size - 1:,} subordinate ids", why
        )
    else:
        rights = Capability(
            "rights",
            False,
            f"a user with one id ({single}): all users of a container map to it",
            why,
            "as root: apt-get install uidmap; usermod --add-subuids 100000-165535"
            " --add-subgids 100000-165535 USER",
        )
    uplink = Capability(
        "uplink",
        not missing,
        missing or "slirp4netns",
        "bridge networks reach other machines, and ports are published",
        "as root: apt-get install slirp4netns; chmod 666 /dev/net/tun",
    )
    weaker = _text(user.uplink_weaker)
    confined = Capability(
        "uplink sandbox",
        not missing and not weaker,
        missing or weaker or "slirp4netns sees no files and makes few system calls",
        "packets that containers make cannot turn slirp4netns against this user's files",
        "" if missing else "slirp4netns 0.4 or newer, and an /etc/resolv.conf in /etc or /run",
    )
    refused, _, remedy = _text(user.no_cgroup).partition("\n")
    delegation = Capability(
        "delegated cgroup",
        not refused,
        refused or _cgroup_location(host.cgroups.base),
        "limits of memory, CPU and processes for a container as a whole",
        remedy,
    )
    withheld = system_files_restriction()
    files = Capability(
        "/proc and /sys",
        withheld is None,
        withheld.reason if withheld else "a container's own",
        "a container sees only its own processes and network",
        withheld.remedy if withheld else "",
    )
    return rights, uplink, confined, delegation, files


def _cgroup_location(base: str, lingering: Path = Path("/var/lib/systemd/linger")) -> str:
    """Return the location of a user's control groups, and whether they end with the login."""
    found = re.search(r"/user@(\d+)\.service", base)
    if found is None:
        return base or "/"
    try:
        name = pwd.getpwuid(int(found[1])).pw_name
    except KeyError:
        return base
    if (lingering / name).exists():
        return base
    return f"{base} (containers end with the last login; as root: loginctl enable-linger {name})"


def _text(file: Path) -> str:
    try:
        return file.read_text()
    except OSError:
        return ""


def info(context: EngineContext, statuses: list[str], images: int) -> dict[str, Any]:
    """Return the facts of ``docker info`` that apply here."""
    import platform

    from jupyter_containers.version import __version__

    host = probe(context.settings.runtime, versions=True)
    machine = os.uname()
    return {
        "ServerVersion": __version__,
        "Containers": len(statuses),
        "ContainersRunning": statuses.count("running"),
        "ContainersPaused": statuses.count("paused"),
        "ContainersStopped": statuses.count("exited") + statuses.count("created"),
        "Images": images,
        "Driver": context.driver.name,
        "DefaultRuntime": host.runtime.name if host.runtime else "",
        "RuntimeVersion": host.runtime.version if host.runtime else "",
        "MonitorVersion": host.conmon_version,
        "CgroupVersion": {"v2": "2", "none": "0"}.get(host.cgroups.version, "1"),
        "CgroupDriver": "cgroupfs",
        "SecurityOptions": [
            *(["seccomp"] if host.seccomp else []),
            *(name for name in ("apparmor", "selinux") if host.modules.has(name)),
        ],
        "KernelVersion": machine.release,
        "OperatingSystem": _system_name(),
        "OSType": "linux",
        "Architecture": machine.machine,
        "NCPU": os.cpu_count() or 1,
        "Name": machine.nodename,
        "MemTotal": os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"),
        "Rootless": not (host.users.initial and os.geteuid() == 0),
        # As in docker info: false if a limit is missing, or applies to single processes only.
        "MemoryLimit": "memory" in host.cgroups.controllers,
        "SwapLimit": host.swap_accounting and "memory" in host.cgroups.controllers,
        "CpuCfsQuota": "cpu" in host.cgroups.controllers,
        "CPUShares": "cpu" in host.cgroups.controllers,
        "CPUSet": "cpuset" in host.cgroups.controllers,
        "PidsLimit": "pids" in host.cgroups.controllers,
        "Limits": context.quotas.facts(context),
        "AdditionalStores": [str(store.root) for store in context.store.additional],
        "DockerRootDir": str(context.settings.root),
        "RunRoot": str(context.settings.run_root),
        "InsecureRegistries": [
            *context.settings.insecure_registries,
            *context.registry_files.insecure,
        ],
        "RegistryMirrors": [
            *context.settings.registry_mirrors,
            *context.registry_files.hub_mirrors,
        ],
        "RateLimits": known_limits(context.store),
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
