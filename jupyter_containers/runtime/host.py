"""The capabilities of this machine, probed once and passed around as a value.

Vocabulary: a *capability* (of the host) is a requirement of a feature: whether it was found, why it
matters and what provides it; ``kernel_capabilities`` are those of capabilities(7) in this process's
bounding set.

How the runtime is chosen: crun starts faster, so it comes first — except on a hybrid host (cgroup
v1 controllers and a cgroup v2 mount side by side), which crun refuses.  The mount table decides
that without starting a program; a runtime named in the settings is used as it is.
"""

from __future__ import annotations

import ctypes
import os
import platform
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Literal

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import shutil
from jupyter_containers.oci.idmap import IDMap
from jupyter_containers.runtime.cgroups import UNIFIED, CgroupLayout
from jupyter_containers.runtime.confinement import (
    NO_MODULES,
    SecurityModules,
    security_modules,
)
from jupyter_containers.runtime.security import CAPABILITY_NAMES, capability_names

RuntimeName = Literal["crun", "runc"]
_INSTALL = "apt-get install runc conmon"
_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
_LOCAL_CERTIFICATES = (
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/ca-certificates/trust-source/anchors",
)
_BUNDLE_VARIABLES = ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")


_EVERYBODY = IDMap.parse("0 0 4294967295")


@dataclass(frozen=True, slots=True)
class Capability:
    """A capability that the host has or lacks; ``detail`` is a version, a path or a reason."""

    name: str
    found: bool
    detail: str
    why: str
    provided_by: str = ""


@dataclass(frozen=True, slots=True)
class RuntimeFacts:
    """An OCI runtime of this host; ``version`` is empty until requested."""

    name: RuntimeName
    path: str
    version: str = ""


@dataclass(frozen=True, slots=True)
class HostCA:
    """The host's certificate authorities; ``extra`` if some are not the distribution's own."""

    bundle: Path | None
    extra: bool
    detail: str


@dataclass(frozen=True, slots=True)
class HostCapabilities:
    """All facts of the runtime room about the machine; read once, never changed."""

    capabilities: tuple[Capability, ...]
    runtime: RuntimeFacts | None
    conmon: str
    conmon_version: str
    cgroups: CgroupLayout
    kernel_capabilities: frozenset[str]
    architecture: str
    cpus: int
    seccomp: bool
    swap_accounting: bool
    cgroup_namespaces: bool
    init_program: str
    ca: HostCA
    users: IDMap = _EVERYBODY
    groups: IDMap = _EVERYBODY
    modules: SecurityModules = NO_MODULES

    def has(self, name: str) -> bool:
        """Return whether the capability of that name was found."""
        return any(item.found for item in self.capabilities if item.name == name)

    @property
    def raises_limits(self) -> bool:
        """Whether hard limits can be raised: rights in a user namespace do not count."""
        return self.users.initial and "CAP_SYS_RESOURCE" in self.kernel_capabilities

    def require_runtime(self) -> RuntimeFacts:
        """Return the runtime; raise :class:`UnsupportedError` with a way to install one."""
        if self.runtime is None:
            raise self._missing("runtime")
        return self.runtime

    def require_conmon(self) -> str:
        """Return the path of conmon; raise :class:`UnsupportedError`."""
        if not self.conmon:
            raise self._missing("conmon")
        return self.conmon

    def require_cgroups(self) -> None:
        """Raise :class:`UnsupportedError` if root can create no control groups.

        Without them nothing would keep root's containers from the machine's devices.
        """
        if self.users.initial and self.cgroups.version == "none":
            raise self._missing("cgroups")

    def require_user(self, uid: int, gid: int) -> None:
        """Raise :class:`UnsupportedError` for a user or group that does not exist inside."""
        if self.users.has(uid) and self.groups.has(gid):
            return
        many = self.users.size > 1
        raise UnsupportedError(
            f"user {uid}:{gid} does not exist here: you have {self.users.size:,}"
            f" {'ids' if many else 'id'}",
            capability="subordinate ids",
            provided_by="--user 0 (root inside, nobody but you outside); or as root:"
            " usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
        )

    def _missing(self, name: str) -> UnsupportedError:
        item = next(item for item in self.capabilities if item.name == name)
        return UnsupportedError(
            f"no usable {name} on this host: {item.detail}",
            capability=name,
            provided_by=item.provided_by,
        )


def probe(runtime: str = "auto", *, versions: bool = False) -> HostCapabilities:
    """Return the capabilities of this host; ``runtime`` is a name, a path, or ``auto``.

    No program is started unless ``versions`` is requested (some 5 ms).
    """
    users = IDMap.of_users()
    groups = IDMap.parse(Path("/proc/self/gid_map").read_text())
    mounted = CgroupLayout.read()
    layout = mounted.writable() if users.initial else mounted.of_user()
    # crun looks at the mounts, whether or not this user may use them.
    chosen, reason = _choose_runtime(runtime, mounted)
    conmon = find_program("conmon")
    conmon_version = ""
    if versions:
        if chosen is not None:
            chosen = RuntimeFacts(chosen.name, chosen.path, _version_of(chosen.path))
        conmon_version = _version_of(conmon) if conmon else ""
    kernel = _bounding_set()
    ca = host_ca()
    initial = HostCapabilities(
        capabilities=(),
        runtime=chosen,
        conmon=conmon,
        conmon_version=conmon_version,
        cgroups=layout,
        kernel_capabilities=kernel,
        architecture=platform.machine(),
        cpus=os.cpu_count() or 1,
        seccomp=os.path.exists("/proc/sys/kernel/seccomp/actions_avail"),
        swap_accounting=_swap_accounting(layout),
        cgroup_namespaces=os.path.exists("/proc/self/ns/cgroup"),
        init_program=_static_init(),
        ca=ca,
        users=users,
        groups=groups,
        modules=security_modules(),
    )
    return _with_capabilities(initial, reason)


def host_ca(environ: Mapping[str, str] | None = None) -> HostCA:
    """Return the CA bundle that programs of this host use, and whether it holds private CAs."""
    environ = os.environ if environ is None else environ
    system = next((name for name in _BUNDLES if os.path.isfile(name)), "")
    chosen = next(
        (
            environ[name]
            for name in _BUNDLE_VARIABLES
            if environ.get(name) and os.path.isfile(environ[name])
        ),
        "",
    )
    local = [
        os.path.join(folder, name)
        for top in _LOCAL_CERTIFICATES
        for folder, _, names in os.walk(top)
        for name in names
        if name.endswith((".crt", ".pem", ".cer"))
    ]
    if chosen and system and not os.path.samefile(chosen, system):
        return HostCA(Path(chosen), True, f"named by the environment: {chosen}")
    bundle = Path(chosen or system) if chosen or system else None
    if local:
        return HostCA(bundle, bundle is not None, f"added by the administrator: {local[0]}")
    return HostCA(bundle, False, str(bundle or "no CA bundle"))


def _choose_runtime(wish: str, layout: CgroupLayout) -> tuple[RuntimeFacts | None, str]:
    names: tuple[RuntimeName, ...] = ("crun", "runc")
    if wish != "auto":
        path = wish if "/" in wish else find_program(wish)
        if not path or not os.access(path, os.X_OK):
            return None, f"{wish} (from the settings) is not a program here"
        # Any other name is assumed to be a build of runc, whose command line all of them follow.
        name: RuntimeName = "crun" if "crun" in os.path.basename(path) else "runc"
        return RuntimeFacts(name, path), "chosen in the settings"
    for name in names:
        if name == "crun" and layout.version == "hybrid":
            continue
        path = find_program(name)
        if path:
            return RuntimeFacts(name, path), "hybrid cgroups" if layout.version == "hybrid" else ""
    if layout.version == "hybrid" and shutil.which("crun"):
        return None, "crun refuses hosts with cgroup v1 and v2 side by side, and runc is missing"
    return None, "neither crun nor runc was found"


def find_program(name: str) -> str:
    """Return the path of a program, or an empty text."""
    return shutil.which(name) or _in_system_folders(name)


def _in_system_folders(name: str) -> str:
    # A notebook server's PATH often lacks the administrator's folders.
    folders = ("/usr/sbin", "/usr/local/sbin", "/sbin", "/usr/bin", "/usr/libexec/podman")
    candidates = (f"{folder}/{name}" for folder in folders)
    return next((path for path in candidates if os.access(path, os.X_OK)), "")


def _version_of(path: str) -> str:
    return (version_output(path).splitlines() or [""])[0].rpartition(" ")[2]


def version_output(path: str) -> str:
    """Return a program's ``--version`` output; empty if it cannot be started."""
    import subprocess

    try:
        done = subprocess.run(
            [path, "--version"], capture_output=True, text=True, timeout=10, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout


def _bounding_set() -> frozenset[str]:
    with open("/proc/self/status", encoding="utf-8") as file:
        for line in file:
            if line.startswith("CapBnd:"):
                return capability_names(int(line.split()[1], 16))
    return frozenset(CAPABILITY_NAMES)


def _swap_accounting(layout: CgroupLayout) -> bool:
    if layout.version == "v2":
        return os.path.exists("/proc/swaps")
    memory = layout.mounts.get("memory", "")
    return bool(memory) and os.path.exists(f"{memory}/memory.memsw.limit_in_bytes")


def _static_init() -> str:
    """Return a small static init, which runs in any image; an empty text if there is none."""
    for name in ("catatonit", "tini-static", "docker-init", "tini"):
        path = find_program(name)
        if path and _is_static(path):
            return path
    return ""


def _is_static(path: str) -> bool:
    import struct

    with suppress(OSError, struct.error), open(path, "rb") as file:
        head = file.read(64)
        if head[:5] != b"\x7fELF\x02":
            return False
        order = "<" if head[5] == 1 else ">"
        (offset,) = struct.unpack_from(f"{order}Q", head, 32)
        size, count = struct.unpack_from(f"{order}HH", head, 54)
        file.seek(offset)
        table = file.read(size * count)
        interpreter = 3  # PT_INTERP of elf(5)
        return all(
            struct.unpack_from(f"{order}I", table, index * size)[0] != interpreter
            for index in range(count)
        )
    return False


def _has_openat2() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    how = (ctypes.c_uint64 * 3)(os.O_PATH | os.O_CLOEXEC, 0, 0)
    number, current = 437, -100
    result = int(
        libc.syscall(ctypes.c_long(number), ctypes.c_long(current), b"/", how, ctypes.c_size_t(24))
    )
    if result >= 0:
        os.close(result)
    return result >= 0


def _file_systems() -> set[str]:
    try:
        with open("/proc/filesystems", encoding="utf-8") as file:
            return {line.split()[-1] for line in file if line.strip()}
    except OSError:
        return set()


def _positive(name: str) -> bool:
    with suppress(OSError, ValueError), open(name, encoding="utf-8") as file:
        return int(file.read()) > 0
    return False


def _with_capabilities(facts: HostCapabilities, reason: str) -> HostCapabilities:
    from jupyter_containers.lazy_dataclasses import replace

    return replace(facts, capabilities=(*_programs(facts, reason), *_kernel(facts)))


def _programs(facts: HostCapabilities, reason: str) -> tuple[Capability, ...]:
    runtime = facts.runtime
    nft = find_program("nft")
    chosen = f"{runtime.path} {runtime.version}".strip() if runtime else ""
    if runtime and reason:
        chosen = f"{chosen} ({reason})"
    return (
        Capability(
            "runtime", runtime is not None, chosen or reason, "starts every container", _INSTALL
        ),
        Capability(
            "conmon",
            bool(facts.conmon),
            f"{facts.conmon} {facts.conmon_version}".strip() or "not found",
            "keeps containers running and logged without an engine",
            _INSTALL,
        ),
        Capability(
            "nft",
            bool(nft),
            nft or "not found",
            "published ports and outgoing connections of bridge networks",
            "apt-get install nftables",
        ),
        Capability(
            "init",
            bool(facts.init_program),
            facts.init_program or "no statically linked init found",
            "run --init",
            "apt-get install catatonit",
        ),
        Capability(
            "host CA extras",
            facts.ca.extra,
            facts.ca.detail,
            "RUN steps reach package indexes through a proxy with a private CA",
        ),
    )


def _cgroups_remedy(facts: HostCapabilities) -> str:
    if facts.users.initial:
        return (
            "as root: mount cgroup v2; with docker run: --privileged --cgroupns=private;"
            " in a pod: securityContext.privileged"
        )
    return (
        "as root: mount cgroup v2, or delegate cpu, memory and pids to this user"
        " (systemd: Delegate=yes)"
    )


def _kernel(facts: HostCapabilities) -> tuple[Capability, ...]:
    layout = facts.cgroups
    systems = _file_systems()
    users = os.path.exists("/proc/self/ns/user") and _positive("/proc/sys/user/max_user_namespaces")
    wanted = {"cpu", "memory", "pids"}
    lacking = sorted(wanted - layout.controllers)
    detail = f"{layout.version}: {' '.join(sorted(layout.controllers - {UNIFIED}))}"
    if layout.version == "none":
        reason = "/sys/fs/cgroup is mounted read-only, or not at all"
        detail = reason if facts.users.initial else "none is given to this user"
    modules = [name for name in ("apparmor", "selinux") if facts.modules.has(name)]
    return (
        Capability(
            "cgroups",
            layout.version != "none" and not lacking,
            f"{detail} (lacks {' '.join(lacking)})" if lacking else detail,
            "limits on memory, CPU and processes",
            _cgroups_remedy(facts),
        ),
        Capability(
            "seccomp",
            facts.seccomp,
            "kernel filter" if facts.seccomp else "not in this kernel",
            "containers cannot use dangerous system calls",
            "a kernel with CONFIG_SECCOMP_FILTER",
        ),
        Capability(
            "overlay",
            "overlay" in systems,
            "overlayfs" if "overlay" in systems else "not in /proc/filesystems",
            "layers of an image become one root file system",
            "modprobe overlay",
        ),
        Capability(
            "user namespaces", users, "" if users else "disabled", "containers without root rights"
        ),
        Capability(
            "CAP_SYS_RESOURCE",
            facts.raises_limits,
            "",
            "run --ulimit above this process's own hard limits",
            "start the notebook server with CAP_SYS_RESOURCE",
        ),
        Capability(
            "openat2", _has_openat2(), "", "paths from archives stay in their root", "Linux 5.6"
        ),
        Capability(
            "security modules",
            bool(modules),
            " ".join(modules) or "none active",
            "further confinement by the host",
        ),
    )
