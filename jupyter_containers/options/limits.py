"""Limits, devices and kernel settings as Docker's flags write them.

Rates are bytes or operations per second, weights 10 to 1000, times microseconds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.values import as_sequence, natural, parse_size

MAX_WEIGHT = 1000
_ACCESS = pattern(r"[rwm]{1,3}")
_RULE = pattern(r"([acb]) (\*|[0-9]{1,10}):(\*|[0-9]{1,10}) ([rwm]{1,3})")
_CDI = pattern(r"[A-Za-z0-9](?=[^/]*\.)[A-Za-z0-9._-]*/[A-Za-z0-9][\w.-]*=[A-Za-z0-9][\w.:-]*")
_CPUS = pattern(r"[0-9]+(-[0-9]+)?(,[0-9]+(-[0-9]+)?)*")
_LAST_CPU = 8191  # Linux: NR_CPUS is 8192 at most
_MOST_GPUS = 1000
# Kernel settings per namespace of a container (Docker's list).
_IPC_SYSCTLS = (
    "kernel.msgmax",
    "kernel.msgmnb",
    "kernel.msgmni",
    "kernel.sem",
    "kernel.shmall",
    "kernel.shmmax",
    "kernel.shmmni",
    "kernel.shm_rmid_forced",
)


@dataclass(frozen=True, slots=True)
class DeviceLimit:
    """A rate or weight of one block device, named by its path on the host."""

    path: str
    value: int


@dataclass(frozen=True, slots=True)
class DeviceRequest:
    """A device of the host and its path in the container; ``cdi`` is a CDI name instead."""

    path: str = ""
    target: str = ""
    access: str = "rwm"
    cdi: str = ""


def parse_device(text: str) -> DeviceRequest:
    """Return the device of ``--device``: ``/dev/x[:/dev/y][:rwm]`` or ``vendor.com/class=name``."""
    if _CDI.fullmatch(text):
        return DeviceRequest(cdi=text)
    path, *rest = text.split(":")
    target, access = path, "rwm"
    for word in rest:
        if word.startswith("/") and target == path and word is rest[0]:
            target = word
        elif _ACCESS.fullmatch(word) and word is rest[-1]:
            access = word
        else:
            path = ""
    if not path.startswith("/") or len(rest) > 2:
        raise InvalidArgumentError(
            f"invalid device: {text!r}", hint="write /dev/x, /dev/x:/dev/y:rw or vendor.com/gpu=0"
        )
    return DeviceRequest(path, target, access)


def parse_gpus(text: str | int) -> tuple[DeviceRequest, ...]:
    """Return the CDI devices of ``--gpus``: ``all``, a number, or ``device=0,1``."""
    value = str(text).strip().strip('"')
    pairs = dict(item.partition("=")[::2] for item in value.split(",") if "=" in item)
    if value.startswith("device="):
        names = value.removeprefix("device=").split(",")
    elif value == "all" or pairs.get("count") in ("all", "-1"):
        names = ["all"]
    elif (count := natural(pairs.get("count") or value)) is not None:
        names = [str(number) for number in range(min(count, _MOST_GPUS + 1))]
    else:
        names = []
    fits = 0 < len(names) <= _MOST_GPUS
    if not fits or not all(re.fullmatch(r"[\w.:-]+", name) for name in names):
        raise InvalidArgumentError(
            f"invalid gpus: {str(text)!r}", hint="write all, a number, or device=0,1"
        )
    return tuple(DeviceRequest(cdi=f"nvidia.com/gpu={name}") for name in names)


def parse_device_rule(text: str) -> str:
    """Return a ``--device-cgroup-rule`` in the kernel's form: ``c 1:* rwm``."""
    if not _RULE.fullmatch(text.strip()):
        raise InvalidArgumentError(
            f"invalid device-cgroup-rule: {text!r}", hint="write 'c 189:* rmw'"
        )
    return text.strip()


def parse_rate(text: str, flag: str, *, in_bytes: bool) -> DeviceLimit:
    """Return one ``--device-read-bps /dev/x:1mb`` (bytes) or ``--device-read-iops /dev/x:100``."""
    path, colon, value = text.rpartition(":")
    if not colon or not path.startswith("/"):
        raise InvalidArgumentError(f"invalid {flag}: {text!r}", hint="write /dev/sda:1mb")
    if not in_bytes and natural(value) is None:
        raise InvalidArgumentError(f"invalid {flag}: {text!r}", hint="write /dev/sda:100")
    return DeviceLimit(path, parse_size(value, flag))


def parse_weight(text: str) -> DeviceLimit:
    """Return one ``--blkio-weight-device /dev/x:500``."""
    limit = parse_rate(text, "blkio-weight-device", in_bytes=False)
    return DeviceLimit(limit.path, check_weight(limit.value))


def check_weight(value: Any) -> int:
    """Return a block I/O weight: 0 (none) or 10 to 1000."""
    number = whole(value, "blkio-weight")
    if number and not 10 <= number <= MAX_WEIGHT:
        raise InvalidArgumentError(f"invalid blkio-weight: {number} is not in the range 10-1000")
    return number


def whole(value: Any, flag: str) -> int:
    """Return a whole number."""
    text = str(value).strip()
    number = natural(text.removeprefix("-") if text[:1] == "-" else text.removeprefix("+"))
    if number is None:
        raise InvalidArgumentError(f"invalid {flag}: {text[:40]!r} is not a whole number")
    return -number if text[:1] == "-" else number


def microseconds(value: Any, flag: str) -> int:
    """Return a time in microseconds, given as a number or as a duration such as ``10ms``."""
    from jupyter_containers.options.values import parse_duration

    if re.fullmatch("-?[0-9]+", str(value)):
        return whole(value, flag)
    return round(parse_duration(value, flag) * 1_000_000)


def parse_cpuset(text: Any, flag: str) -> str:
    """Return a list of CPUs or memory nodes: ``0-3,5``."""
    value = str(text)
    numbers = [natural(number) for number in re.findall("[0-9]+", value)]
    if value and not (
        _CPUS.fullmatch(value) and all(one is not None and one <= _LAST_CPU for one in numbers)
    ):
        raise InvalidArgumentError(f"invalid {flag}: {value!r}", hint="write 0-3 or 0,1")
    return value


def parse_pairs(entries: Iterable[str] | Mapping[str, object], flag: str) -> dict[str, str]:
    """Return ``key=value`` texts as a mapping."""
    if isinstance(entries, Mapping):
        return {str(key): str(value) for key, value in entries.items()}
    result: dict[str, str] = {}
    for entry in as_sequence(entries):
        key, equals, value = entry.partition("=")
        if not key or not equals:
            raise InvalidArgumentError(f"invalid {flag}: {entry!r}", hint="write key=value")
        result[key] = value
    return result


def check_sysctls(values: Mapping[str, str], *, own_network: bool, own_ipc: bool) -> None:
    """Raise for a kernel setting that does not exist per container (Docker's list)."""
    for name in values:
        in_ipc = name in _IPC_SYSCTLS or name.startswith("fs.mqueue.")
        if not in_ipc and not name.startswith("net."):
            raise InvalidArgumentError(
                f"sysctl {name} cannot be set for a single container",
                hint="net.*, fs.mqueue.*, kernel.shm*, kernel.msg* and kernel.sem can",
            )
        if in_ipc and not own_ipc:
            raise InvalidArgumentError(f"sysctl {name} is not allowed with the host's ipc")
        if not in_ipc and not own_network:
            raise InvalidArgumentError(f"sysctl {name} is not allowed with the host's network")
