"""The options of ``run``, ``create`` and ``exec`` as values."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from typing import Any, Unpack

import msgspec

from jupyter_containers.errors import (
    FlagError,
    InvalidArgumentError,
    UnsupportedError,
    UsageError,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options import limits, network
from jupyter_containers.options.flag import Flag, declared, keywords
from jupyter_containers.options.flags import ExecFlags, RunFlags, UpdateFlags
from jupyter_containers.options.groupflags import HealthFlags, NetworkFlags
from jupyter_containers.options.health import HealthOptions, parse_health
from jupyter_containers.options.limits import DeviceLimit, DeviceRequest
from jupyter_containers.options.logs import KNOWN, LogOptions
from jupyter_containers.options.mounts import (
    MountRequest,
    VolumesFrom,
    parse_mount,
    parse_tmpfs,
    parse_volume,
)
from jupyter_containers.options.names import AddedHost
from jupyter_containers.options.network import NetworkRequest, parse_networks
from jupyter_containers.options.readers import client_checks, read
from jupyter_containers.options.restart import NEVER, RestartPolicy
from jupyter_containers.options.security import SecurityOption
from jupyter_containers.options.ulimits import Ulimit
from jupyter_containers.options.values import (
    PortMapping,
    as_command,
    as_sequence,
    check_name,
    parse_env,
    parse_labels,
)

MIN_MEMORY = 6 * 1024 * 1024
LOG_DRIVERS = ("json-file", "k8s-file", "local", "none")

# The default size of /dev/shm.
_LONGEST_FILE = 16 * 1024 * 1024
SHM_BYTES = 64 * 1024 * 1024


class RunOptions(msgspec.Struct, frozen=True, omit_defaults=True):
    """One container to create (Docker's ``run`` and ``create`` flags).

    Sizes are bytes, 0 meaning no limit; ``memory_swap`` is memory plus swap, -1 unlimited and 0
    twice the memory; ``memory_swappiness`` -1 is the kernel's default; ``stop_timeout`` is
    seconds, -1 the engine's default; ``pids_limit`` 0 is the engine's default and -1 unlimited;
    CPU periods and quotas are microseconds.  ``entrypoint`` None keeps the image's, ``health``
    None its health check.  ``pid``, ``ipc``, ``uts``, ``cgroupns`` and ``userns`` are empty if the
    container gets its own namespace.
    """

    image: str
    command: tuple[str, ...] = ()
    name: str = ""
    detach: bool = False
    attach: tuple[str, ...] = ()
    interactive: bool = False
    tty: bool = False
    rm: bool = False
    env: tuple[str, ...] = ()
    labels: Mapping[str, str] | None = None
    user: str = ""
    group_add: tuple[str, ...] = ()
    workdir: str = ""
    entrypoint: tuple[str, ...] | None = None
    hostname: str = ""
    network: str = "bridge"
    networks: tuple[NetworkRequest, ...] = ()
    publish: tuple[PortMapping, ...] = ()
    publish_all: bool = False
    expose: tuple[str, ...] = ()
    add_host: tuple[AddedHost, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_option: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    read_only: bool = False
    shm_size: int = SHM_BYTES
    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    cpus: float = 0.0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_rt_period: int = 0
    cpu_rt_runtime: int = 0
    kernel_memory: int = 0
    memory_swappiness: int = -1
    oom_kill_disable: bool = False
    oom_score_adj: int = 0
    blkio_weight: int = 0
    blkio_weight_device: tuple[DeviceLimit, ...] = ()
    device_read_bps: tuple[DeviceLimit, ...] = ()
    device_write_bps: tuple[DeviceLimit, ...] = ()
    device_read_iops: tuple[DeviceLimit, ...] = ()
    device_write_iops: tuple[DeviceLimit, ...] = ()
    pids_limit: int = 0
    ulimit: tuple[Ulimit, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[SecurityOption, ...] = ()
    privileged: bool = False
    device: tuple[DeviceRequest, ...] = ()
    device_cgroup_rule: tuple[str, ...] = ()
    sysctl: Mapping[str, str] | None = None
    annotation: Mapping[str, str] | None = None
    cgroup_parent: str = ""
    cgroupns: str = ""
    ipc: str = ""
    pid: str = ""
    uts: str = ""
    userns: str = ""
    domainname: str = ""
    volumes_from: tuple[VolumesFrom, ...] = ()
    volume_driver: str = ""
    isolation: str = ""
    disable_content_trust: bool = True
    storage_opt: Mapping[str, str] | None = None
    log_driver: str = ""
    log_opt: LogOptions | None = None
    health: HealthOptions | None = None
    init: bool = False
    restart: RestartPolicy = NEVER
    runtime: str = ""
    cidfile: str = ""
    stop_signal: str = ""
    stop_timeout: int = -1
    platform: str = ""
    pull: str = "missing"
    trust_host_ca: bool | None = None

    @classmethod
    def of(
        cls,
        image: str,
        command: str | Sequence[str] | None = None,
        **flags: Unpack[RunFlags],
    ) -> RunOptions:
        """Return the options for Docker's flags.

        ``flags`` are Docker's long flags in snake_case with values as users write them; ``volume``,
        ``mount`` and ``tmpfs`` are combined in ``mounts``, ``env_file`` goes into ``env``,
        ``label`` and ``label_file`` into ``labels``, ``health_*`` into ``health``, ``gpus`` into
        ``device``; ``net`` is ``network``.  Raises :class:`InvalidArgumentError`; for an unknown
        flag, with the closest ones.
        """
        values: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
        networks = parse_networks(_network_flags(values))
        mounts = tuple(
            parse(item)
            for flag, parse in _MOUNT_FLAGS.items()
            for item in as_sequence(values.pop(flag, None))
        )
        with client_checks():
            env = _env_files(values.pop("env_file", None)) + parse_env(
                values.pop("env", ()), os.environ
            )
            labels = _label_files(values.pop("label_file", None)) | parse_labels(
                values.pop("label", None) or values.pop("labels", ())
            )
        checks = {name: values.pop(name) for name in _HEALTH if name in values}
        with client_checks():
            gpus = limits.parse_gpus(values.pop("gpus")) if "gpus" in values else ()
        known = set(cls.__struct_fields__) - {"image", "command", "networks"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidArgumentError(
                f"unknown option {unknown[0]!r}",
                hint=nearest(unknown[0], known.union(_MOUNT_FLAGS, _HEALTH, _NETWORK)),
            )
        converted = {name: _read(name, value) for name, value in values.items()}
        mounts += converted.pop("mounts", ())
        converted["device"] = (*converted.get("device", ()), *gpus)
        if checks:
            with client_checks():
                converted["health"] = parse_health(checks)
        options = cls(
            image=str(image),
            command=as_command(command),
            env=env,
            labels=labels,
            mounts=mounts,
            network=networks[0].name,
            networks=networks,
            **converted,
        )
        return _checked(options)


def updated(options: RunOptions, **flags: Unpack[UpdateFlags]) -> RunOptions:
    """Return the options changed by Docker's ``update`` flags.

    Options that are not given keep their values, and so does swap if memory had a limit before.
    Raises :class:`InvalidArgumentError` for a change that contradicts another option.
    """
    given = {name: value for name, value in flags.items() if value is not None}
    updatable = set(keywords(UpdateFlags))
    unknown = sorted(set(given) - updatable)
    if unknown:
        raise InvalidArgumentError(
            f"{unknown[0]!r} cannot be updated", hint=nearest(unknown[0], updatable)
        )
    if not given:
        raise InvalidArgumentError("update needs at least one flag")
    values = {name: _read(name, value) for name, value in given.items()}
    if values.get("cpus") and (options.cpu_period or options.cpu_quota):
        raise InvalidArgumentError("cpus cannot be updated: cpu-period or cpu-quota is set")
    if options.cpus and (values.get("cpu_period") or values.get("cpu_quota")):
        raise InvalidArgumentError("cpu-period and cpu-quota cannot be updated: cpus is set")
    if "memory" in values and "memory_swap" not in values:
        swap = options.memory_swap or (2 * options.memory if options.memory else -1)
        if 0 < swap < values["memory"]:
            raise InvalidArgumentError(
                "memory would be above memory-swap", hint="give --memory-swap too"
            )
        values["memory_swap"] = swap
    return _checked(msgspec.structs.replace(options, **values))


def _checked(options: RunOptions) -> RunOptions:
    if options.name:
        check_name(options.name, "container")
    if options.memory and options.memory < MIN_MEMORY:
        raise InvalidArgumentError(
            "memory limit below 6m, the minimum for a container to start",
            hint=f"{options.memory} is bytes; {options.memory}m is megabytes"
            if options.memory < 4096
            else "",
        )
    if options.memory_swap > 0 and not options.memory:
        raise InvalidArgumentError("memory-swap needs memory to be set too")
    if 0 < options.memory_swap < options.memory:
        raise InvalidArgumentError("memory-swap (memory plus swap) is below memory")
    if options.memory_reservation and 0 < options.memory < options.memory_reservation:
        raise InvalidArgumentError("memory-reservation is above memory")
    _check_cpu(options)
    _check_namespaces(options)
    _check_log(options)
    if options.attach and options.detach:
        raise UsageError("attach and detach cannot be used together")
    if options.rm and options.restart.name != "no":
        raise FlagError("rm and restart cannot be used together")
    check_mode(options)
    if options.pull not in ("always", "missing", "never"):
        raise FlagError(f"invalid pull: {options.pull!r}", hint="always, missing or never")
    if options.workdir and not options.workdir.startswith("/"):
        raise InvalidArgumentError(f"workdir {options.workdir!r} is not an absolute path")
    return options


def _check_cpu(options: RunOptions) -> None:
    host_cpus = os.cpu_count() or 1
    if options.cpus > host_cpus:
        raise InvalidArgumentError(
            f"cpus {options.cpus:g} is more than this host has ({host_cpus})",
            hint=f"choose a value from 0.01 to {host_cpus}",
        )
    if options.cpus and (options.cpu_period or options.cpu_quota):
        word = "cpu-period" if options.cpu_period else "cpu-quota"
        raise InvalidArgumentError(f"cpus and {word} cannot both be set")
    if options.cpu_period and not 1000 <= options.cpu_period <= 1_000_000:
        raise InvalidArgumentError("cpu-period is not in the range 1ms to 1s (1000 to 1000000)")
    if 0 < options.cpu_quota < 1000:
        raise InvalidArgumentError("cpu-quota is below 1ms (1000)")
    if options.cpu_rt_runtime and options.cpu_rt_period < options.cpu_rt_runtime:
        raise InvalidArgumentError("cpu-rt-runtime is above cpu-rt-period")
    if not -1 <= options.memory_swappiness <= 100:
        raise FlagError("memory-swappiness is not in the range 0-100")
    if not -1000 <= options.oom_score_adj <= 1000:
        raise InvalidArgumentError("oom-score-adj is not in the range -1000 to 1000")


_NAMESPACE_WORDS = {
    "pid": ("host",),
    "ipc": ("host", "private", "shareable", "none"),
    "uts": ("host",),
    "cgroupns": ("host", "private"),
    "userns": ("host",),
}


def _check_namespaces(options: RunOptions) -> None:
    for flag, words in _NAMESPACE_WORDS.items():
        value = getattr(options, flag)
        of_another = flag in ("pid", "ipc") and value.startswith("container:") and value[10:]
        if value and value not in words and not of_another:
            kind = InvalidArgumentError if flag == "ipc" else FlagError
            raise kind(
                f"invalid {flag} mode: {value!r}",
                hint=", ".join((*words, *(["container:NAME"] if flag in ("pid", "ipc") else []))),
            )
    if options.uts == "host" and (options.hostname or options.domainname):
        raise InvalidArgumentError("hostname and domainname conflict with uts=host")
    limits.check_sysctls(
        options.sysctl or {},
        own_network=options.network != "host",
        own_ipc=options.ipc != "host",
    )


def _check_log(options: RunOptions) -> None:
    driver = options.log_driver or "json-file"
    if driver not in LOG_DRIVERS:
        raise UnsupportedError(
            f"the log driver {driver!r} is not supported here",
            capability=f"log driver {driver}",
            provided_by=f"use one of {', '.join(LOG_DRIVERS)}",
        )
    for name in options.log_opt or {}:
        if name not in KNOWN or driver == "none":
            raise InvalidArgumentError(f"unknown log opt {name!r} for the log driver {driver}")


def log_rotation(options: RunOptions) -> tuple[int, int]:
    """Return the maximum size of a log file in bytes (0: no limit) and the number of files."""
    return (options.log_opt.max_bytes, options.log_opt.files) if options.log_opt else (0, 1)


def check_mode(options: RunOptions) -> None:
    """Raise for options that conflict with another container's network, as in Docker."""
    if not options.network.startswith(network.OF_CONTAINER):
        return
    if not options.network.removeprefix(network.OF_CONTAINER):
        raise InvalidArgumentError("invalid network: container: needs a name")
    conflicts = {
        "hostname": options.hostname,
        "port publishing": options.publish or options.publish_all,
        "port exposing": options.expose,
        "dns": options.dns or options.dns_search or options.dns_option,
        "custom host-to-IP mapping": options.add_host,
    }
    for word, value in conflicts.items():
        if value:
            raise InvalidArgumentError(
                f"conflicting options: {word} and the network mode {options.network}"
            )


def _network_flags(values: dict[str, Any]) -> dict[str, Any]:
    """Remove the flags about networks from ``values`` and return the requests."""
    if "net" in values:
        values["network"] = values.pop("net")
    return {name: values.pop(name) for name in _NETWORK if name in values}


_MOUNT_FLAGS: dict[str, Callable[[str], MountRequest]] = {
    "volume": parse_volume,
    "mount": parse_mount,
    "tmpfs": parse_tmpfs,
}
_HEALTH, _NETWORK = keywords(HealthFlags), keywords(NetworkFlags)
_BY_KEY = {flag.key: flag for flag in declared(RunFlags)}


def _read(key: str, value: Any) -> Any:
    """Return an option's value for its field; a keyword without a flag is a value already."""
    return read(_BY_KEY.get(key, Flag(key)), value)


def _env_files(value: Any) -> tuple[str, ...]:
    entries = [line for name in as_sequence(value) for line in _lines(name, "env-file")]
    for entry in entries:
        if any(character.isspace() for character in entry.partition("=")[0]):
            raise InvalidArgumentError(
                f"invalid line of an env-file: {entry!r}", hint="write NAME=value without spaces"
            )
    # A bare name that is not set is ignored, while ``-e NAME`` removes the image's variable.
    return tuple(entry for entry in parse_env(entries, os.environ) if "=" in entry)


def _label_files(value: Any) -> dict[str, str]:
    entries = [line for name in as_sequence(value) for line in _lines(name, "label-file")]
    return parse_labels(entries)


def _lines(name: str, flag: str) -> list[str]:
    """Return a file's lines without a byte order mark, empty ones and comments."""
    try:
        with open(os.path.expanduser(name), encoding="utf-8-sig") as file:
            text = file.read(_LONGEST_FILE + 1)
    except (OSError, ValueError) as error:  # not UTF-8, or not a path
        raise InvalidArgumentError(f"cannot read {flag} {name}: {error}") from error
    if len(text) > _LONGEST_FILE:
        raise InvalidArgumentError(f"{flag} {name} is over the limit of 16 MiB")
    stripped = (line.rstrip("\r").lstrip() for line in text.split("\n"))
    return [line for line in stripped if line and not line.startswith("#")]


def nearest(name: str, known: set[str]) -> str:
    """Return a hint with the known words closest to ``name``, or an empty string."""
    import difflib

    matches = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(matches)}?" if matches else ""


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """One process to start in a running container (Docker's ``exec`` flags)."""

    command: tuple[str, ...]
    detach: bool = False
    interactive: bool = False
    tty: bool = False
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    privileged: bool = False

    @classmethod
    def of(cls, command: str | Sequence[str], **flags: Unpack[ExecFlags]) -> ExecOptions:
        """Return the options for Docker's ``exec`` flags; see :meth:`RunOptions.of`."""
        values: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
        env = _env_files(values.pop("env_file", None)) + parse_env(
            values.pop("env", ()), os.environ
        )
        known = {field.name for field in fields(cls)} - {"command"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidArgumentError(
                f"unknown option {unknown[0]!r}", hint=nearest(unknown[0], known)
            )
        argv = as_command(command)
        if not argv:
            raise InvalidArgumentError("exec needs a command")
        return cls(command=argv, env=env, **values)
