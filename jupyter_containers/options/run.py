"""What ``run``, ``create`` and ``exec`` are asked to do."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.values import (
    MountRequest,
    PortMapping,
    as_command,
    as_sequence,
    check_name,
    parse_cpus,
    parse_env,
    parse_exposed,
    parse_labels,
    parse_mount,
    parse_publish,
    parse_restart,
    parse_size,
    parse_tmpfs,
    parse_volume,
)

MIN_MEMORY = 6 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class RunOptions:
    """One container to be created (Docker's ``run`` and ``create`` flags).

    Sizes are bytes, 0 meaning no limit; ``memory_swap`` is memory plus swap, -1 unlimited and 0
    twice the memory; ``stop_timeout`` is seconds, -1 the engine's default; ``pids_limit`` 0 is the
    engine's default and -1 unlimited.  ``entrypoint`` None keeps the image's.
    """

    image: str
    command: tuple[str, ...] = ()
    name: str = ""
    detach: bool = False
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
    publish: tuple[PortMapping, ...] = ()
    publish_all: bool = False
    expose: tuple[str, ...] = ()
    add_host: tuple[str, ...] = ()
    dns: tuple[str, ...] = ()
    dns_search: tuple[str, ...] = ()
    dns_option: tuple[str, ...] = ()
    mounts: tuple[MountRequest, ...] = ()
    read_only: bool = False
    shm_size: int = 64 * 1024 * 1024
    memory: int = 0
    memory_swap: int = 0
    memory_reservation: int = 0
    cpus: float = 0.0
    cpu_shares: int = 0
    cpuset_cpus: str = ""
    pids_limit: int = 0
    ulimit: tuple[str, ...] = ()
    cap_add: tuple[str, ...] = ()
    cap_drop: tuple[str, ...] = ()
    security_opt: tuple[str, ...] = ()
    privileged: bool = False
    init: bool = False
    restart: str = "no"
    stop_signal: str = ""
    stop_timeout: int = -1
    platform: str = ""
    pull: str = "missing"
    trust_host_ca: bool | None = None

    @classmethod
    def of(cls, image: str, command: str | Sequence[str] | None = None, **flags: Any) -> RunOptions:
        """Return the options that Docker's flags mean.

        ``flags`` are Docker's long flags in snake_case with the values people write; ``volume``,
        ``mount`` and ``tmpfs`` come together in ``mounts``, ``env_file`` goes into ``env``,
        ``label`` into ``labels``, ``net`` is ``network``.  Raises :class:`InvalidArgumentError`,
        with the nearest flags when one is unknown.
        """
        values = {name: value for name, value in flags.items() if value is not None}
        values["network"] = values.pop("net", values.get("network", "bridge"))
        mounts = tuple(
            parse(item)
            for flag, parse in _MOUNT_FLAGS.items()
            for item in as_sequence(values.pop(flag, None))
        )
        env = _env_files(values.pop("env_file", None)) + parse_env(
            values.pop("env", ()), os.environ
        )
        labels = parse_labels(values.pop("label", None) or values.pop("labels", ()))
        known = {field.name for field in fields(cls)} - {"image", "command"}
        unknown = sorted(set(values) - known)
        if unknown:
            raise InvalidArgumentError(
                f"unknown option {unknown[0]!r}",
                hint=nearest(unknown[0], known | set(_MOUNT_FLAGS)),
            )
        converted = {name: _CONVERTERS.get(name, _plain)(value) for name, value in values.items()}
        mounts += converted.pop("mounts", ())
        options = cls(
            image=str(image),
            command=as_command(command),
            env=env,
            labels=labels,
            mounts=mounts,
            **converted,
        )
        return _checked(options)


def _checked(options: RunOptions) -> RunOptions:
    if options.name:
        check_name(options.name, "container")
    if options.memory and options.memory < MIN_MEMORY:
        raise InvalidArgumentError("memory limit below 6m, the least a container can start with")
    if options.memory_swap > 0 and not options.memory:
        raise InvalidArgumentError("memory-swap needs memory to be set too")
    if 0 < options.memory_swap < options.memory:
        raise InvalidArgumentError("memory-swap (memory plus swap) is below memory")
    if options.memory_reservation and 0 < options.memory < options.memory_reservation:
        raise InvalidArgumentError("memory-reservation is above memory")
    host_cpus = os.cpu_count() or 1
    if options.cpus > host_cpus:
        raise InvalidArgumentError(
            f"cpus {options.cpus:g} is more than this host has ({host_cpus})",
            hint=f"choose a value from 0.01 to {host_cpus}",
        )
    if options.rm and parse_restart(options.restart)[0] != "no":
        raise InvalidArgumentError("rm and restart cannot be used together")
    if options.network == "host" and (options.publish or options.publish_all):
        # As docker: ports of the host network are already the host's.
        return replace(options, publish=(), publish_all=False)
    if options.pull not in ("always", "missing", "never"):
        raise InvalidArgumentError(
            f"invalid pull: {options.pull!r}", hint="always, missing or never"
        )
    if options.workdir and not options.workdir.startswith("/"):
        raise InvalidArgumentError(f"workdir {options.workdir!r} is not an absolute path")
    return options


_MOUNT_FLAGS: dict[str, Callable[[str], MountRequest]] = {
    "volume": parse_volume,
    "mount": parse_mount,
    "tmpfs": parse_tmpfs,
}


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, (list, set)) else value


def _ports(value: Any) -> tuple[PortMapping, ...]:
    items = (value,) if isinstance(value, (str, int, PortMapping)) else tuple(value)
    result: list[PortMapping] = []
    for item in items:
        result.extend((item,) if isinstance(item, PortMapping) else parse_publish(item))
    return tuple(result)


def _signed_size(value: Any) -> int:
    return -1 if str(value) == "-1" else parse_size(value, "memory-swap")


def _entrypoint(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value)


_REPEATABLE = (
    "group_add",
    "add_host",
    "dns",
    "dns_search",
    "dns_option",
    "ulimit",
    "cap_add",
    "cap_drop",
    "security_opt",
)
_CONVERTERS: dict[str, Callable[[Any], Any]] = {
    "publish": _ports,
    "memory": lambda value: parse_size(value, "memory"),
    "memory_reservation": lambda value: parse_size(value, "memory-reservation"),
    "shm_size": lambda value: parse_size(value, "shm-size"),
    "memory_swap": _signed_size,
    "cpus": parse_cpus,
    "entrypoint": _entrypoint,
    "user": str,
    "expose": lambda value: tuple(parse_exposed(item) for item in as_sequence(value)),
    **dict.fromkeys(_REPEATABLE, as_sequence),
}


def _env_files(value: Any) -> tuple[str, ...]:
    entries: list[str] = []
    for name in as_sequence(value):
        try:
            with open(os.path.expanduser(name), encoding="utf-8") as file:
                lines = [line.rstrip("\r\n") for line in file]
        except (OSError, UnicodeDecodeError) as error:
            raise InvalidArgumentError(f"cannot read env-file {name}: {error}") from error
        stripped = (line.lstrip() for line in lines)
        entries.extend(line for line in stripped if line and not line.startswith("#"))
    return parse_env(entries, os.environ)


def nearest(name: str, known: set[str]) -> str:
    """Return a hint that names the known words most like ``name``, or nothing."""
    import difflib

    matches = difflib.get_close_matches(name, sorted(known), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(matches)}?" if matches else ""


@dataclass(frozen=True, slots=True)
class ExecOptions:
    """One process to be started in a running container (Docker's ``exec`` flags)."""

    command: tuple[str, ...]
    detach: bool = False
    interactive: bool = False
    tty: bool = False
    env: tuple[str, ...] = ()
    workdir: str = ""
    user: str = ""
    privileged: bool = False

    @classmethod
    def of(cls, command: str | Sequence[str], **flags: Any) -> ExecOptions:
        """Return the options that Docker's ``exec`` flags mean; see :meth:`RunOptions.of`."""
        values = {name: value for name, value in flags.items() if value is not None}
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
