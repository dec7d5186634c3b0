"""Builds a container's runtime spec, by a pure function whose result can be printed.

Vocabulary: the *context* holds what the engine resolved for this one container — IDs, files, mounts
— in contrast to the image's defaults (``ExecutionConfig``) and the user's request (``RunOptions``).
If both the user and the image set a value, Docker's precedence applies.

OCI Runtime Specification 1.1 (config.md, config-linux.md).  The result is plain JSON data; keys
are the specification's.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.options.values import set_variables
from jupyter_containers.runtime.confinement import NO_LABELS, Labels
from jupyter_containers.runtime.host import HostCapabilities
from jupyter_containers.runtime.resources import resources, rlimits
from jupyter_containers.runtime.rlimit_fallback import memory_rlimits
from jupyter_containers.runtime.seccomp import seccomp_profile
from jupyter_containers.runtime.security import (
    CAPABILITY_NAMES,
    MASKED_PATHS,
    READONLY_PATHS,
    SecurityOptions,
    effective_capabilities,
    security_options,
)
from jupyter_containers.runtime.users import User

Spec = dict[str, Any]

OCI_VERSION = "1.0.2"
DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
CGROUP_PARENT = "/jupyter-containers"
INIT_TARGET = "/sbin/docker-init"
_LAST_PING_GROUP = 2**31 - 1
_TTY_GROUP = 5  # in every distribution that images are made from


@dataclass(frozen=True, slots=True)
class BindMount:
    """A host path bound into the container; ``propagation`` is a mount(8) word.

    ``recursion`` determines how the mounts below it are treated (Docker's bind-recursive); empty
    means that there are none.
    """

    source: str
    target: str
    read_only: bool = False
    propagation: str = "rprivate"
    recursion: str = ""


@dataclass(frozen=True, slots=True)
class TmpfsMount:
    """An empty file system in memory; ``size`` in bytes, 0 for the kernel's default."""

    target: str
    size: int = 0
    mode: int = 0o1777
    read_only: bool = False
    options: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Device:
    """A device node to create in the container."""

    path: str
    kind: Literal["c", "b"]
    major: int
    minor: int
    mode: int = 0o666
    uid: int = 0
    gid: int = 0


@dataclass(frozen=True, slots=True)
class ContainerContext:
    """The values that the engine resolved for one container.

    ``rootfs`` is the path of the root file system in the private mount namespace. ``network`` is
    ``path`` (join ``netns``), ``new`` (a new, empty one: loopback only) or ``host``.  ``mounts``
    are volumes, binds and tmpfs from options and image, in any order. ``hosts_file``,
    ``resolv_conf`` and ``hostname_file`` are host paths, empty for none. ``seccomp`` is the profile
    from the file that a security option names. ``namespaces`` are the shared ones: by kind
    (``pid``, ``ipc``, ``uts``, ``cgroup``) a path to join, or ``host``.  ``shm`` is the host path
    of another container's /dev/shm. ``labels`` are those of the host's security modules.
    ``default_pids_limit`` 0 means none. ``compat32`` False is for an image known to hold no 32-bit
    program: its seccomp filter is built several milliseconds faster.  ``no_new_privileges`` is the
    default in the settings, for options that do not set it.
    """

    container_id: str
    rootfs: str
    host: HostCapabilities
    user: User = field(default_factory=User)
    hostname: str = ""
    network: Literal["path", "new", "host"] = "new"
    netns: str = ""
    mounts: tuple[BindMount | TmpfsMount, ...] = ()
    hosts_file: str = ""
    resolv_conf: str = ""
    hostname_file: str = ""
    cgroup_path: str = ""
    devices: tuple[Device, ...] = ()
    seccomp: Mapping[str, Any] | None = None
    namespaces: Mapping[str, str] = field(default_factory=dict)
    shm: str = ""
    default_pids_limit: int = 0
    compat32: bool = True
    labels: Labels = NO_LABELS
    no_new_privileges: bool = False
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def cgroup(self) -> str:
        """The container's cgroup path, the same in every hierarchy."""
        return self.cgroup_path or f"{CGROUP_PARENT}/{self.container_id}"


def runtime_spec(config: ExecutionConfig, options: RunOptions, context: ContainerContext) -> Spec:
    """Return ``config.json`` for a container of an image.

    Raises :class:`InvalidArgumentError` for an inconsistent request and :class:`UnsupportedError`
    for one that this host cannot fulfil.
    """
    security = security_options(
        options.security_opt,
        privileged=options.privileged,
        no_new_privileges=context.no_new_privileges,
    )
    capabilities = effective_capabilities(
        options.cap_add,
        options.cap_drop,
        privileged=options.privileged,
        available=context.host.kernel_capabilities,
    )
    spec: Spec = {
        "ociVersion": OCI_VERSION,
        "process": _process(config, options, context, security, capabilities),
        "root": {"path": context.rootfs, "readonly": options.read_only},
        "mounts": _mounts(options, context),
        "linux": _linux(options, context, security, capabilities),
        "annotations": dict(context.annotations),
    }
    if "uts" not in context.namespaces:
        spec["hostname"] = _hostname(context)
    return spec


def process_args(config: ExecutionConfig, options: RunOptions) -> tuple[str, ...]:
    """Return the argument vector: entrypoint plus command.

    Arguments replace the image's CMD; ``entrypoint`` (even an empty one) drops it.
    """
    if options.entrypoint is not None:
        entrypoint = tuple(item for item in options.entrypoint if item)
        command = options.command
    else:
        entrypoint = config.entrypoint or ()
        command = options.command or config.cmd or ()
    args = (*entrypoint, *command)
    if not args:
        raise InvalidArgumentError(
            "no command specified", hint="the image names none: give one after the image"
        )
    return args


def environment(
    config: ExecutionConfig,
    options: RunOptions,
    *,
    hostname: str,
    home: str,
) -> list[str]:
    """Return ``NAME=value`` entries: defaults < image < options; later ones replace in place.

    A bare ``NAME`` among the options removes the variable.
    """
    values = {"PATH": DEFAULT_PATH, "HOSTNAME": hostname}
    if options.tty:
        values["TERM"] = "xterm"
    set_variables(values, (entry for entry in config.env if "=" in entry))
    set_variables(values, options.env)
    values.setdefault("HOME", home)
    return [f"{name}={value}" for name, value in values.items()]


def exec_process(
    spec: Mapping[str, Any],
    options: ExecOptions,
    user: User | None = None,
    *,
    available: frozenset[str] = frozenset(CAPABILITY_NAMES),
) -> Spec:
    """Return the process of an ``exec`` in the container described by ``spec``.

    Environment, folder, rights and limits are the container's unless the options set them; ``user``
    is the resolved ``options.user`` or None to keep the container's; ``available`` are the host's
    kernel capabilities, all of which a privileged exec gets.
    """
    process: Spec = {**spec["process"], "args": list(options.command), "terminal": options.tty}
    process.pop("consoleSize", None)
    values = dict(entry.partition("=")[::2] for entry in process["env"])
    if user is not None:
        process["user"] = user.spec()
        values["HOME"] = user.home
    if options.tty:
        values.setdefault("TERM", "xterm")
    home = values.get("HOME", "/")
    set_variables(values, options.env)
    values.setdefault("HOME", home)
    process["env"] = [f"{name}={value}" for name, value in values.items()]
    if options.workdir:
        process["cwd"] = options.workdir
    if options.privileged:
        process["capabilities"] = _capability_sets(
            [name for name in CAPABILITY_NAMES if name in available]
        )
        process["noNewPrivileges"] = False
    return process


def _process(
    config: ExecutionConfig,
    options: RunOptions,
    context: ContainerContext,
    security: SecurityOptions,
    capabilities: Sequence[str],
) -> Spec:
    args = process_args(config, options)
    if options.init:
        args = (INIT_TARGET, "--", *args)
    hostname = _hostname(context)
    context.host.require_user(context.user.uid, context.user.gid)
    process: Spec = {
        "terminal": options.tty,
        "user": context.user.spec(),
        "args": list(args),
        "env": environment(config, options, hostname=hostname, home=context.user.home),
        "cwd": options.workdir or config.cwd,
        "capabilities": _capability_sets(capabilities),
        "noNewPrivileges": security.no_new_privileges,
        "rlimits": [*memory_rlimits(options, context.host), *rlimits(options.ulimit, context.host)],
    }
    if options.oom_score_adj:
        process["oomScoreAdj"] = options.oom_score_adj
    if context.labels.profile:
        process["apparmorProfile"] = context.labels.profile
    if context.labels.process:
        process["selinuxLabel"] = context.labels.process
    return process


def _hostname(context: ContainerContext) -> str:
    return context.hostname or context.container_id[:12]


def _capability_sets(names: Sequence[str]) -> dict[str, list[str]]:
    # Nothing is inheritable or ambient: a program run as another user starts with none.
    return {kind: list(names) for kind in ("bounding", "effective", "permitted")}


def _linux(
    options: RunOptions,
    context: ContainerContext,
    security: SecurityOptions,
    capabilities: Sequence[str],
) -> Spec:
    linux: Spec = {
        "namespaces": _namespaces(context),
        "devices": [_device(device) for device in context.devices],
        "maskedPaths": [] if security.unmasked else list(MASKED_PATHS),
        "readonlyPaths": [] if security.unmasked else list(READONLY_PATHS),
    }
    if context.labels.mount:
        linux["mountLabel"] = context.labels.mount
    context.host.require_cgroups()
    limits = resources(options, context.host, default_pids_limit=context.default_pids_limit)
    if context.host.cgroups.version != "none":
        linux |= {"cgroupsPath": context.cgroup, "resources": limits}
    if sysctl := _sysctl(options, context):
        linux["sysctl"] = sysctl
    profile = _seccomp(context, security, capabilities)
    if profile is not None:
        linux["seccomp"] = profile
    return linux


def _sysctl(options: RunOptions, context: ContainerContext) -> dict[str, str]:
    result: dict[str, str] = {}
    if context.network != "host":
        # Inside its own network namespace, low ports and ping need no privilege.
        result["net.ipv4.ip_unprivileged_port_start"] = "0"
        last = min(context.host.groups.last, _LAST_PING_GROUP)
        result["net.ipv4.ping_group_range"] = f"0 {last}"
    if options.domainname:
        # Current runtimes do not know the specification's own field yet.
        result["kernel.domainname"] = options.domainname
    return result | dict(options.sysctl or {})


def _seccomp(
    context: ContainerContext, security: SecurityOptions, capabilities: Sequence[str]
) -> Mapping[str, Any] | None:
    if security.seccomp == "unconfined":
        return None
    if security.seccomp:
        if context.seccomp is None:
            raise InvalidArgumentError(f"seccomp profile {security.seccomp} was not loaded")
        return context.seccomp
    if not context.host.seccomp:
        return None
    return seccomp_profile(
        context.host.architecture,
        capabilities,
        compat32=context.compat32,
        single_user=context.host.users.size == 1,
    )


def _namespaces(context: ContainerContext) -> list[dict[str, str]]:
    kinds = ["pid", "mount", "ipc", "uts"]
    if context.host.cgroup_namespaces:
        kinds.append("cgroup")
    result = []
    for kind in kinds:
        place = context.namespaces.get(kind, "")
        if place != "host":
            result.append({"type": kind, **({"path": place} if place else {})})
    if context.network == "path":
        result.append({"type": "network", "path": context.netns})
    elif context.network == "new":
        result.append({"type": "network"})
    return result


def _device(device: Device) -> dict[str, Any]:
    return {
        "path": device.path,
        "type": device.kind,
        "major": device.major,
        "minor": device.minor,
        "fileMode": device.mode,
        "uid": device.uid,
        "gid": device.gid,
    }


def _mounts(options: RunOptions, context: ContainerContext) -> list[dict[str, Any]]:
    wanted = [_user_mount(mount) for mount in (*_file_mounts(options, context), *context.mounts)]
    if options.init:
        if not context.host.init_program:
            raise UnsupportedError(
                "--init needs a statically linked init program",
                capability="init",
                provided_by="apt-get install catatonit",
            )
        wanted.append(_user_mount(BindMount(context.host.init_program, INIT_TARGET, True)))
    # A later mount on the same target replaces an earlier one, the standard ones included.
    unique = {mount["destination"]: mount for mount in wanted}
    chosen = [
        mount for mount in _standard_mounts(options, context) if mount["destination"] not in unique
    ]
    # Outer folders first, so that an inner mount is not covered.
    return chosen + sorted(unique.values(), key=lambda mount: mount["destination"].count("/"))


def _standard_mounts(options: RunOptions, context: ContainerContext) -> list[dict[str, Any]]:
    locked = ["nosuid", "noexec", "nodev"]
    access = "rw" if options.privileged else "ro"
    pts = [*locked[:2], "newinstance", "ptmxmode=0666", "mode=0620"]
    if context.host.groups.has(_TTY_GROUP):
        pts.append(f"gid={_TTY_GROUP}")
    shm = [*locked, "mode=1777", f"size={options.shm_size}"]
    mounts = [
        _proc(options, context, locked),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount("/dev/pts", "devpts", "devpts", pts),
        _sysfs(context, [*locked, access]),
    ]
    if context.host.cgroups.version != "none":
        mounts.append(_mount("/sys/fs/cgroup", "cgroup", "cgroup", [access, *locked]))
    mounts.append(_mount("/dev/mqueue", "mqueue", "mqueue", locked))
    if context.shm:
        mounts.append(_mount("/dev/shm", "bind", context.shm, ["bind", "rprivate", *locked]))
    elif options.ipc != "none":
        mounts.append(_mount("/dev/shm", "tmpfs", "shm", shm))
    return mounts


def _proc(options: RunOptions, context: ContainerContext, locked: list[str]) -> dict[str, Any]:
    if options.pid == "host" and not context.host.users.initial:
        # Only the owner of a pid namespace may mount its /proc.
        return _mount("/proc", "bind", "/proc", ["rbind", *locked])
    return _mount("/proc", "proc", "proc", locked)


def _sysfs(context: ContainerContext, options: list[str]) -> dict[str, Any]:
    if context.network == "host" and not context.host.users.initial:
        # Only the owner of a network namespace may mount its /sys.
        return _mount("/sys", "bind", "/sys", ["rbind", *options])
    return _mount("/sys", "sysfs", "sysfs", options)


def _file_mounts(options: RunOptions, context: ContainerContext) -> list[BindMount]:
    # As in Docker: read-only if the root is.
    pairs = (
        (context.resolv_conf, "/etc/resolv.conf"),
        (context.hostname_file, "/etc/hostname"),
        (context.hosts_file, "/etc/hosts"),
    )
    return [BindMount(source, target, options.read_only) for source, target in pairs if source]


def _user_mount(mount: BindMount | TmpfsMount) -> dict[str, Any]:
    target = "/" + mount.target.strip("/")
    if isinstance(mount, BindMount):
        options = [
            "bind" if mount.recursion == "disabled" else "rbind",
            mount.propagation,
            "ro" if mount.read_only else "rw",
        ]
        if mount.read_only and mount.recursion in ("enabled", "readonly"):
            options.append("rro")  # and the mounts below it too (mount_setattr, Linux 5.12)
        return _mount(target, "bind", mount.source, options)
    # As in Docker, programs in it cannot be executed unless "exec" is among the options.
    defaults = {"noexec": "exec", "nosuid": "suid", "nodev": "dev"}
    options = [word for word, opposite in defaults.items() if opposite not in mount.options]
    options += [option for option in mount.options if option not in options]
    options.append(f"mode={mount.mode:o}")
    if mount.size:
        options.append(f"size={mount.size}")
    if mount.read_only:
        options.append("ro")
    return _mount(target, "tmpfs", "tmpfs", options)


def _mount(target: str, kind: str, source: str, options: list[str]) -> dict[str, Any]:
    return {"destination": target, "type": kind, "source": source, "options": options}
