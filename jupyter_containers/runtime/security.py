"""The privileges of a container's process: capabilities, security options, masked paths.

Vocabulary: kernel capabilities are named ``CAP_…`` as in capabilities(7); Docker's flags omit the
prefix.  Pure values and functions.
"""

from __future__ import annotations

from collections.abc import Sequence

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options.security import SecurityOption

# In the order of their bit numbers (linux/capability.h).
_BITS = (
    "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP "
    "LINUX_IMMUTABLE NET_BIND_SERVICE NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER "
    "SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN SYS_BOOT SYS_NICE "
    "SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP "
    "MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF "
    "CHECKPOINT_RESTORE"
)
CAPABILITY_NAMES = tuple(f"CAP_{name}" for name in _BITS.split())

_DEFAULTS = (
    "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP "
    "NET_BIND_SERVICE SYS_CHROOT KILL AUDIT_WRITE"
)
DEFAULT_CAPABILITIES = tuple(f"CAP_{name}" for name in _DEFAULTS.split())

MASKED_PATHS = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
READONLY_PATHS = (
    "/proc/bus",
    "/proc/fs",
    "/proc/irq",
    "/proc/sys",
    "/proc/sysrq-trigger",
)


@dataclass(frozen=True, slots=True)
class SecurityOptions:
    """The ``--security-opt`` values; ``seccomp`` is empty (the default), ``unconfined`` or a path.

    ``apparmor`` is empty (the default), ``unconfined`` or a profile, ``labels`` the SELinux words.
    """

    no_new_privileges: bool = False
    seccomp: str = ""
    apparmor: str = ""
    labels: tuple[str, ...] = ()
    unmasked: bool = False


def security_options(
    values: Sequence[SecurityOption], *, privileged: bool = False, no_new_privileges: bool = False
) -> SecurityOptions:
    """Return the parsed ``--security-opt`` values; ``privileged`` changes the defaults.

    ``no_new_privileges`` is the default for options that do not set it: off, as in Docker, so that
    sudo, su and gosu work, or the value in the settings.
    """
    last = {value.name: value.argument for value in values}
    if "no-new-privileges" in last:
        no_new_privileges = last["no-new-privileges"] != "false"
    else:
        no_new_privileges = no_new_privileges and not privileged
    seccomp = last.get("seccomp", "unconfined" if privileged else "")
    return SecurityOptions(
        no_new_privileges=no_new_privileges,
        seccomp="" if seccomp in ("default", "builtin") else seccomp,
        apparmor=last.get("apparmor", ""),
        labels=tuple(value.argument for value in values if value.name == "label"),
        unmasked=privileged or "systempaths" in last,
    )


def capability_names(mask: int) -> frozenset[str]:
    """Return the names of the bits set in ``mask``, without bits newer than this table."""
    return frozenset(name for bit, name in enumerate(CAPABILITY_NAMES) if mask >> bit & 1)


def effective_capabilities(
    add: Sequence[str], drop: Sequence[str], *, privileged: bool, available: frozenset[str]
) -> tuple[str, ...]:
    """Return a container's capabilities, sorted by bit number.

    Defaults that the host itself lacks are left out; requesting one by name raises
    :class:`UnsupportedError`, an unknown name :class:`InvalidArgumentError`.  As in Docker, ``drop
    ALL`` with additions leaves the additions.
    """
    added, dropped = _normal(add), _normal(drop)
    chosen = set(CAPABILITY_NAMES if privileged else DEFAULT_CAPABILITIES)
    if "ALL" in added:
        chosen = set(CAPABILITY_NAMES)
    if "ALL" in dropped:
        chosen = set(CAPABILITY_NAMES) if "ALL" in added else set()
    named = [name for name in added if name != "ALL"]
    for name in named:
        if name not in available:
            raise UnsupportedError(
                f"cannot add {name}: this process does not have it",
                capability=name,
                provided_by=f"start the notebook server with {name}",
            )
    chosen = (chosen - set(dropped)) | {name for name in named if name not in dropped}
    return tuple(name for name in CAPABILITY_NAMES if name in chosen and name in available)


def _normal(names: Sequence[str]) -> list[str]:
    result = []
    for text in names:
        name = text.strip().upper()
        full = name if name == "ALL" or name.startswith("CAP_") else f"CAP_{name}"
        if full != "ALL" and full not in CAPABILITY_NAMES:
            raise InvalidArgumentError(
                f"unknown capability {text!r}", hint="names are those of capabilities(7): NET_ADMIN"
            )
        result.append(full)
    return result
