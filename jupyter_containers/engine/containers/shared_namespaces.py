"""Shared resources of a container: namespaces of the host or a container, binds, volumes.

They are resolved at the start, when the other container must run, and mounted in the container's
private mount namespace below ``run_root/mounts/<id>`` (:mod:`.sources`): a folder that is emptied
only by rmdir(2), so that no clean-up can reach through a mount.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from contextlib import suppress

import msgspec

from jupyter_containers.engine.containers.sources import mount_folder, show_sources
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.peers import joined, peer
from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.errors import (
    InvalidArgumentError,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.options.mounts import VolumesFrom
from jupyter_containers.runtime.mounts import PrivateMounts, detach_inside

OF_CONTAINER = "container:"
_KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup"}


@dataclass(frozen=True, slots=True)
class Shared:
    """Namespaces by kind, the path of a foreign /dev/shm, the mounted sources by target."""

    namespaces: Mapping[str, str] = field(default_factory=dict)
    shm: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


def share(context: EngineContext, record: ContainerRecord, mounts: PrivateMounts) -> Shared:
    """Return the shared resources of a starting container, mounted where necessary."""
    options = record.options
    namespaces: dict[str, str] = {}
    for flag, kind in _KINDS.items():
        value = getattr(options, flag)
        if value == "host":
            namespaces[kind] = "host"
        elif value.startswith(OF_CONTAINER):
            namespaces[kind] = f"/proc/{_pid(context, value, flag)}/ns/{kind}"
    folder = mount_folder(context, record.id)
    shm = "/dev/shm" if options.ipc == "host" else ""
    if options.ipc.startswith(OF_CONTAINER):
        target = folder / "shm"
        target.mkdir(parents=True, exist_ok=True)
        mounts.graft(_pid(context, options.ipc, "ipc"), "/dev/shm", target)
        shm = str(target)
    sources = mounts.call(show_sources, context, record, mounts)
    return Shared(namespaces, shm, sources)


def forget_mounts(context: EngineContext, container_id: str) -> None:
    """Remove the mount points, which are empty once nothing is mounted there.

    If conmon started this process, it still sees the container's mounts.
    """
    folder = mount_folder(context, container_id)
    with suppress(OSError):
        names = os.listdir(folder)
        detach_inside(folder)
        for name in names:
            entry = folder / name
            with suppress(OSError):
                entry.rmdir() if entry.is_dir() else entry.unlink()
        folder.rmdir()


def _pid(context: EngineContext, value: str, flag: str) -> int:
    other = joined(context, value, flag)
    assert other.state.process is not None  # joined() has verified that it runs
    if flag == "ipc" and other.options.ipc not in ("shareable", "host"):
        raise InvalidArgumentError(
            f"the ipc namespace of container {other.name} is private",
            hint=f"create {other.name} with --ipc shareable",
        )
    return other.state.process.pid


def inherited(context: EngineContext, others: tuple[VolumesFrom, ...]) -> dict[str, MountRecord]:
    """Return the mounts of other containers (``--volumes-from``) by target; later ones win."""
    found: dict[str, MountRecord] = {}
    for other in others:
        for mount in peer(context, other.name).mounts:
            if mount.type != "tmpfs":
                # An anonymous volume belongs to the container it was created for, and is removed
                # with that one.
                changes: dict[str, object] = {"anonymous": False}
                if other.mode == "ro":  # rw leaves a read-only mount as it is, as with Docker
                    changes["read_only"] = True
                found[mount.target] = msgspec.structs.replace(mount, **changes)
    return found
