"""What a container shares: namespaces of the host or of another container, volumes, parts of them.

Everything is resolved at the start, when the other container must run.  What has to be mounted for
it is mounted in the container's private mount namespace below ``run_root/mounts/<id>``: a folder
that is only ever emptied by rmdir(2), so that no clean-up can reach through a mount.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from jupyter_containers.engine.records import ContainerRecord, MountRecord, VolumeRecord
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.errors import (
    ContainerNotFoundError,
    InvalidArgumentError,
    InvalidStateError,
    UnsupportedError,
)
from jupyter_containers.options.mounts import parse_volumes_from
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.trees.rooted import Root

OF_CONTAINER = "container:"
_KINDS = {"pid": "pid", "ipc": "ipc", "uts": "uts", "cgroupns": "cgroup"}


@dataclass(frozen=True, slots=True)
class Shared:
    """What was resolved: namespaces by kind, the path of a foreign /dev/shm, sources by target."""

    namespaces: Mapping[str, str] = field(default_factory=dict)
    shm: str = ""
    sources: Mapping[str, str] = field(default_factory=dict)


def share(rooms: Rooms, record: ContainerRecord, mounts: PrivateMounts) -> Shared:
    """Return what a starting container shares, mounted where it has to be."""
    options = record.options
    namespaces: dict[str, str] = {}
    for flag, kind in _KINDS.items():
        value = getattr(options, flag)
        if value == "host":
            namespaces[kind] = "host"
        elif value.startswith(OF_CONTAINER):
            namespaces[kind] = f"/proc/{_pid(rooms, value, flag)}/ns/{kind}"
    folder = mount_folder(rooms, record.id)
    shm = "/dev/shm" if options.ipc == "host" else ""
    if options.ipc.startswith(OF_CONTAINER):
        target = folder / "shm"
        target.mkdir(parents=True, exist_ok=True)
        mounts.graft(_pid(rooms, options.ipc, "ipc"), "/dev/shm", target)
        shm = str(target)
    sources = {
        mount.target: str(place)
        for number, mount in enumerate(record.mounts)
        if (place := _place(rooms, mount, folder / str(number), mounts)) is not None
    }
    return Shared(namespaces, shm, sources)


def _place(rooms: Rooms, mount: MountRecord, target: Path, mounts: PrivateMounts) -> Path | None:
    """Return where a mount's files are shown for this container alone; None for its source."""
    volume = rooms.volumes.by_name(mount.name) if mount.type == "volume" else None
    if volume is not None and volume.driver_opts:
        if mount.subpath:
            raise UnsupportedError(
                f"a part of volume {volume.name}, which is mounted by its driver, is not to be had",
                capability="volume-subpath of a volume with options",
                hint="mount the whole volume",
            )
        target.mkdir(parents=True, exist_ok=True)
        _mount_volume(rooms, volume, target, mounts)
        return target
    return _part(mount, target, mounts) if mount.subpath else None


def _mount_volume(rooms: Rooms, volume: VolumeRecord, target: Path, mounts: PrivateMounts) -> None:
    """Mount what a volume's options say; containers that run at once share one mount."""
    for other in rooms.containers.all():
        process = other.state.process
        if not other.state.status.alive or process is None or not process.alive:
            continue
        for mount in other.mounts:
            if mount.type == "volume" and mount.name == volume.name and not mount.subpath:
                mounts.graft(process.pid, mount.target, target)
                return
    given = volume.driver_opts
    mounts.device(given.get("type", ""), given.get("device", ""), target, given.get("o", ""))


def mount_folder(rooms: Rooms, container_id: str) -> Path:
    """Return where the private mount namespace of a container shows what it shares."""
    return rooms.settings.run_root / "mounts" / container_id


def forget_mounts(rooms: Rooms, container_id: str) -> None:
    """Remove the empty mount points; where they are still mounted, a later sweep does it."""
    folder = mount_folder(rooms, container_id)
    with suppress(OSError):
        for name in os.listdir(folder):
            entry = folder / name
            with suppress(OSError):
                entry.rmdir() if entry.is_dir() else entry.unlink()
        folder.rmdir()


def joined(rooms: Rooms, value: str, flag: str) -> ContainerRecord:
    """Return the running container whose namespace is to be joined.

    Raises :class:`InvalidStateError` when it does not run.
    """
    other = peer(rooms, value)
    process = other.state.process
    if not other.state.status.alive or process is None or not process.alive:
        raise InvalidStateError(
            f"cannot join the {flag} namespace of container {other.name}: it does not run",
            status=str(other.state.status),
            operation="join",
            hint=f"start it first: start {other.name}",
        )
    return other


def _pid(rooms: Rooms, value: str, flag: str) -> int:
    other = joined(rooms, value, flag)
    assert other.state.process is not None  # it runs
    if flag == "ipc" and other.options.ipc not in ("shareable", "host"):
        raise InvalidArgumentError(
            f"the ipc namespace of container {other.name} is private",
            hint=f"create {other.name} with --ipc shareable",
        )
    return other.state.process.pid


def peer(rooms: Rooms, value: str) -> ContainerRecord:
    """Return the container that ``container:NAME`` (or a name) means."""
    name = value.removeprefix(OF_CONTAINER)
    record = rooms.containers.find(name)
    if record is None:
        raise ContainerNotFoundError(f"no such container: {name}")
    return record


def inherited(rooms: Rooms, texts: tuple[str, ...]) -> dict[str, MountRecord]:
    """Return the mounts of other containers (``--volumes-from``) by target; later ones win."""
    found: dict[str, MountRecord] = {}
    for text in texts:
        name, mode = parse_volumes_from(text)
        for mount in peer(rooms, name).mounts:
            if mount.type != "tmpfs":
                # Its volume belongs to the one it was made for, and goes with that one.
                changes: dict[str, object] = {"anonymous": False}
                if mode == "ro":  # rw leaves a read-only mount as it is, as with Docker
                    changes["read_only"] = True
                found[mount.target] = msgspec.structs.replace(mount, **changes)
    return found


def _part(mount: MountRecord, target: Path, mounts: PrivateMounts) -> Path:
    """Show a folder or file inside a volume, found without leaving the volume."""
    with Root(mount.source) as root:
        try:
            inside = root.open_path(mount.subpath, os.O_PATH)
        except OSError as error:
            raise InvalidArgumentError(
                f"cannot use {mount.subpath} of volume {mount.name}: {error.strerror}",
                hint="a volume-subpath must be there already",
            ) from error
        try:
            target.parent.mkdir(parents=True, exist_ok=True)
            if stat.S_ISDIR(os.fstat(inside).st_mode):
                target.mkdir(exist_ok=True)
            else:
                target.touch()
            mounts.call(_bind_descriptor, mounts, inside, target)
        finally:
            os.close(inside)
    return target


def _bind_descriptor(mounts: PrivateMounts, descriptor: int, target: Path) -> None:
    # Opened in the host's mount namespace, bound in ours: by the path the kernel tells for it,
    # which must then be the very same file.
    path = os.readlink(f"/proc/self/fd/{descriptor}")
    try:
        again = os.open(path, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        raise InvalidArgumentError(f"{path} went away while it was being mounted") from error
    try:
        if not os.path.samestat(os.fstat(again), os.fstat(descriptor)):
            raise InvalidArgumentError(f"{path} changed while it was being mounted")
        mounts.bind(Path(f"/proc/self/fd/{again}"), target)
    finally:
        os.close(again)
