"""The host's device nodes: all for a privileged container, the requested ones for others."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.options.limits import DeviceRequest
from jupyter_containers.runtime.spec import Device

# Separate file systems, or names that refer to the reading process.
_LEFT_OUT = frozenset({"pts", "shm", "fd", "mqueue", "console", "ptmx"})


def host_devices(folder: str = "/dev") -> tuple[Device, ...]:
    """Return the device nodes below ``folder``, by path; links are not followed."""
    return tuple(sorted(_found(folder), key=lambda device: device.path))


def requested_devices(request: DeviceRequest) -> Iterator[Device]:
    """Yield the device named by ``--device``, under its path in the container.

    A folder stands for all devices below it.  Raises :class:`InvalidArgumentError` for a path
    that is neither.
    """
    path = os.path.realpath(request.path)
    try:
        status = os.stat(path)
    except OSError as error:
        raise InvalidArgumentError(
            f"no such device: {request.path}", hint="the path is one of this host"
        ) from error
    device = _device(request.target, status)
    if device is not None:
        yield device
        return
    if not stat.S_ISDIR(status.st_mode):
        raise InvalidArgumentError(f"not a device: {request.path}")
    for found in _found(path):
        yield replace(found, path=request.target + found.path[len(path) :])


def _device(path: str, status: os.stat_result) -> Device | None:
    if not (stat.S_ISCHR(status.st_mode) or stat.S_ISBLK(status.st_mode)):
        return None
    return Device(
        path=path,
        kind="c" if stat.S_ISCHR(status.st_mode) else "b",
        major=os.major(status.st_rdev),
        minor=os.minor(status.st_rdev),
        mode=stat.S_IMODE(status.st_mode),
        uid=status.st_uid,
        gid=status.st_gid,
    )


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
        elif (device := _device(entry.path, status)) is not None:
            devices.append(device)
    return devices
