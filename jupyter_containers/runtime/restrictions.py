"""Restrictions of this process's environment on users, and how to lift them.

Pods, hubs and hardened hosts disable features that containers need, each in its own way; the kernel
only returns EPERM.  This module finds the reasons.  All functions read files below ``root``, so
that a folder can stand in for a host.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass

_HOST = Path("/")
# Folders that are always empty: a mount there hides nothing (the kernel's proc_create_mount_point
# and sysfs_create_mount_point).
_EMPTY = (
    "/proc/sys/fs/binfmt_misc /proc/fs/nfsd /proc/xen /sys/fs/cgroup /sys/fs/bpf /sys/fs/pstore"
    " /sys/fs/fuse/connections /sys/fs/selinux /sys/fs/smackfs /sys/kernel/security"
    " /sys/kernel/debug /sys/kernel/tracing /sys/kernel/config /sys/firmware/efi/efivars"
    " /sys/hypervisor"
)


@dataclass(frozen=True, slots=True)
class Restriction:
    """A restriction: its reason, and how to lift it."""

    reason: str
    remedy: str


def namespace_restriction(said: str = "", root: Path = _HOST) -> Restriction:
    """Return why this process cannot create a user namespace; ``said`` is the attempt's error."""
    if not (root / "proc/self/ns/user").exists():
        return Restriction("this kernel has no user namespaces", "a kernel with CONFIG_USER_NS")
    for name, refusing, remedy in (
        ("user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=15000"),
        (
            "kernel/unprivileged_userns_clone",
            "0",
            "sysctl kernel.unprivileged_userns_clone=1",
        ),
        (
            "kernel/apparmor_restrict_unprivileged_userns",
            "1",
            "sysctl kernel.apparmor_restrict_unprivileged_userns=0",
        ),
    ):
        if _text(root / "proc/sys" / name).strip() == refusing:
            setting = f"{name.replace('/', '.')}={refusing}"
            return Restriction(
                f"this host lets users make no namespaces ({setting})",
                f"as root: {remedy} (and in /etc/sysctl.d, to stay)",
            )
    if "Seccomp:\t2" in _text(root / "proc/self/status"):
        return Restriction(
            "a system call filter keeps this process from creating namespaces, as in most pods",
            "in a pod: hostUsers: false and securityContext.seccompProfile.type: Unconfined;"
            " with docker run: --security-opt seccomp=unconfined",
        )
    return Restriction(
        f"this host lets users make no namespaces: {said}" if said else "no user namespaces",
        "as root: sysctl user.max_user_namespaces=15000",
    )


def system_files_restriction(root: Path = _HOST) -> Restriction | None:
    """Return why a user's container cannot have its own ``/proc`` or ``/sys``, or None.

    The kernel shows users no more than they see already: if something is mounted over parts of
    ``/proc``, a user namespace cannot mount another one (mount_namespaces(7), "locked").
    """
    masked = []
    for line in _text(root / "proc/self/mountinfo").splitlines():
        point = line.split()[4]
        if point.startswith(("/proc/", "/sys/")) and not _is_empty_by_nature(point):
            masked.append(point)
    if not masked:
        return None
    more = f" and {len(masked) - 1} more" if len(masked) > 1 else ""
    return Restriction(
        f"parts of /proc or /sys are masked here ({masked[0]}{more}),"
        " so the kernel refuses containers their own",
        "in a pod: securityContext.procMount: Unmasked (with hostUsers: false);"
        " with docker run: --security-opt systempaths=unconfined",
    )


def _is_empty_by_nature(point: str) -> bool:
    return any(point == one or point.startswith(f"{one}/") for one in _EMPTY.split())


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="surrogateescape")
    except OSError:
        return ""
