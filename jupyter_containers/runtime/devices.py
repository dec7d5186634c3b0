"""The host's device nodes, which a privileged container gets too."""

from __future__ import annotations

import os
import stat

from jupyter_containers.runtime.spec import Device

# File systems of their own, or names that mean the process that looks.
_LEFT_OUT = frozenset({"pts", "shm", "fd", "mqueue", "console", "ptmx"})


def host_devices(folder: str = "/dev") -> tuple[Device, ...]:
    """Return the device nodes below ``folder``, by path; links are not followed."""
    return tuple(sorted(_found(folder), key=lambda device: device.path))


def _found(folder: str) -> list[Device]:
    devices: list[Device] = []
    try:
        entries = list(os.scandir(folder))
    except OSError:
        return devices
    for entry in entries:
        if entry.name in _LEFT_OUT or entry.name.startswith("."):
            continue
        try:
            status = entry.stat(follow_symlinks=False)
        except OSError:
            continue
        if stat.S_ISDIR(status.st_mode):
            devices += _found(entry.path)
        elif stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode):
            devices.append(
                Device(
                    path=entry.path,
                    kind="c" if stat.S_ISCHR(status.st_mode) else "b",
                    major=os.major(status.st_rdev),
                    minor=os.minor(status.st_rdev),
                    mode=stat.S_IMODE(status.st_mode),
                    uid=status.st_uid,
                    gid=status.st_gid,
                )
            )
    return devices
