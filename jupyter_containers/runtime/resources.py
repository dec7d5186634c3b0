"""Limits of a container as ``linux.resources`` and ``process.rlimits`` of its runtime spec.

Sizes are bytes, CPU time is a quota of microseconds in periods of 100000.  A requested limit that
the host cannot enforce is an error; such a default is left out.  OCI Runtime Specification 1.1,
config-linux.md "Control groups".  Pure.
"""

from __future__ import annotations

import resource
from collections.abc import Sequence
from typing import Any

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.options import RunOptions
from jupyter_containers.options.limits import DeviceLimit
from jupyter_containers.options.ulimits import Ulimit
from jupyter_containers.runtime.cgroup_support import block_device
from jupyter_containers.runtime.host import HostCapabilities
from jupyter_containers.runtime.rlimit_fallback import needed

CPU_PERIOD = 100_000
_MIN_QUOTA = 1_000
_INFINITY = 2**64 - 1
# Memory and terminal devices of "Default devices", as allow rules: (type, major, minor).
_STANDARD_DEVICES = (
    ("c", 1, 3),
    ("c", 1, 5),
    ("c", 1, 7),
    ("c", 1, 8),
    ("c", 1, 9),
    ("c", 5, 0),
    ("c", 5, 1),
    ("c", 5, 2),
    ("c", 136, None),
)


def resources(
    options: RunOptions, host: HostCapabilities, *, default_pids_limit: int = 0
) -> dict[str, Any]:
    """Return ``linux.resources`` for a new container."""
    result = limits(options, host, default_pids_limit=default_pids_limit)
    result["devices"] = [
        *device_rules(privileged=options.privileged),
        *(_device_rule(text) for text in options.device_cgroup_rule),
    ]
    return result


def _device_rule(text: str) -> dict[str, Any]:
    kind, numbers, access = text.split()
    rule: dict[str, Any] = {"allow": True, "type": kind, "access": access}
    for name, number in zip(("major", "minor"), numbers.split(":"), strict=True):
        if number != "*":
            rule[name] = int(number)
    return rule


def limits(
    options: RunOptions, host: HostCapabilities, *, default_pids_limit: int = 0
) -> dict[str, Any]:
    """Return the part of ``linux.resources`` that may change while a container runs."""
    result: dict[str, Any] = {}
    if memory := _memory(options, host):
        result["memory"] = memory
    if cpu := _cpu(options, host):
        result["cpu"] = cpu
    if block := _block_io(options):
        result["blockIO"] = block
    pids = options.pids_limit or default_pids_limit
    if options.pids_limit > 0:
        _require(host, "pids", "--pids-limit")
    if pids and "pids" in host.cgroups.controllers:
        result["pids"] = {"limit": pids}
    return result


def check_limits(options: RunOptions, host: HostCapabilities) -> None:
    """Raise :class:`UnsupportedError` for a limit that this host cannot enforce.

    By building the limits once, so that the checks are those of a start.
    """
    limits(options, host)


def device_rules(*, privileged: bool) -> list[dict[str, Any]]:
    """Return the device rules: all denied except the standard ones, or all allowed."""
    if privileged:
        return [{"allow": True, "access": "rwm"}]
    rules: list[dict[str, Any]] = [
        {"allow": False, "access": "rwm"},
        # Nodes may be created (archives contain them); using one needs another rule.
        {"allow": True, "type": "c", "access": "m"},
        {"allow": True, "type": "b", "access": "m"},
    ]
    for kind, major, minor in _STANDARD_DEVICES:
        rule: dict[str, Any] = {"allow": True, "type": kind, "major": major, "access": "rwm"}
        if minor is not None:
            rule["minor"] = minor
        rules.append(rule)
    return rules


def rlimits(ulimits: Sequence[Ulimit], host: HostCapabilities) -> list[dict[str, Any]]:
    """Return ``process.rlimits``; the last of several limits of one name applies.

    Without entries a container inherits this process's limits.  Raises as :func:`check_ulimits`.
    """
    check_ulimits(ulimits, host)
    chosen = {limit.name: limit for limit in ulimits}
    return [
        {"type": limit.resource, "soft": _unsigned(limit.soft), "hard": _unsigned(limit.hard)}
        for _, limit in sorted(chosen.items())
    ]


def check_ulimits(ulimits: Sequence[Ulimit], host: HostCapabilities) -> None:
    """Raise :class:`UnsupportedError` for a hard limit raised without CAP_SYS_RESOURCE."""
    for limit in ulimits:
        number = getattr(resource, limit.resource, None)
        if number is None or host.raises_limits:
            continue
        name, (_, current) = limit.name, resource.getrlimit(number)
        if current != resource.RLIM_INFINITY and (limit.hard == -1 or limit.hard > current):
            raise UnsupportedError(
                f"cannot raise ulimit {name} above this process's own hard limit of {current}",
                capability="CAP_SYS_RESOURCE",
                provided_by="start the notebook server with CAP_SYS_RESOURCE, or ask for less",
            )


def _unsigned(value: int) -> int:
    return _INFINITY if value == -1 else value


def _memory(options: RunOptions, host: HostCapabilities) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if options.memory and not needed(host, "memory"):
        _require(host, "memory", "--memory")
        result["limit"] = options.memory
        swap = options.memory_swap or 2 * options.memory
        if host.swap_accounting:
            result["swap"] = swap
        elif options.memory_swap > 0:
            raise UnsupportedError(
                "this host does not account swap, so --memory-swap has no effect",
                capability="swap accounting",
                provided_by="boot with swapaccount=1",
            )
    if options.memory_reservation:
        _require(host, "memory", "--memory-reservation")
        result["reservation"] = options.memory_reservation
    if options.memory_swappiness >= 0:
        result["swappiness"] = options.memory_swappiness
    if options.oom_kill_disable:
        result["disableOOMKiller"] = True
    return result


def _block_io(options: RunOptions) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if options.blkio_weight:
        result["weight"] = options.blkio_weight
    for key, name, limits_ in (
        ("weightDevice", "weight", options.blkio_weight_device),
        ("throttleReadBpsDevice", "rate", options.device_read_bps),
        ("throttleWriteBpsDevice", "rate", options.device_write_bps),
        ("throttleReadIOPSDevice", "rate", options.device_read_iops),
        ("throttleWriteIOPSDevice", "rate", options.device_write_iops),
    ):
        if limits_:
            result[key] = [_of_device(limit, name) for limit in limits_]
    return result


def _of_device(limit: DeviceLimit, name: str) -> dict[str, int]:
    major, minor = block_device(limit)
    return {"major": major, "minor": minor, name: limit.value}


def _cpu(options: RunOptions, host: HostCapabilities) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if options.cpus and not needed(host, "cpu"):
        _require(host, "cpu", "--cpus")
        # The kernel's smallest quota is one millisecond.
        result["period"] = CPU_PERIOD
        result["quota"] = max(_MIN_QUOTA, round(options.cpus * CPU_PERIOD))
    for key, flag, value in (
        ("period", "--cpu-period", options.cpu_period),
        ("quota", "--cpu-quota", options.cpu_quota),
        ("realtimePeriod", "--cpu-rt-period", options.cpu_rt_period),
        ("realtimeRuntime", "--cpu-rt-runtime", options.cpu_rt_runtime),
    ):
        if value:
            _require(host, "cpu", flag)
            result[key] = value
    if options.cpu_shares:
        _require(host, "cpu", "--cpu-shares")
        result["shares"] = options.cpu_shares
    if options.cpuset_cpus:
        _require(host, "cpuset", "--cpuset-cpus")
        result["cpus"] = options.cpuset_cpus
    if options.cpuset_mems:
        _require(host, "cpuset", "--cpuset-mems")
        result["mems"] = options.cpuset_mems
    return result


def _require(host: HostCapabilities, controller: str, flag: str) -> None:
    if controller not in host.cgroups.controllers:
        raise UnsupportedError(
            f"{flag} needs the cgroup controller {controller}, which this host does not offer",
            capability=f"cgroup controller {controller}",
            provided_by=f"delegate {controller} to this user, or enable it in the kernel",
        )
