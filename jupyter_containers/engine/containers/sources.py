"""The sources of a container's mounts, pinned between check and mount.

A container may control the parent folder of another one's source and replace the source with a link
at any moment.  So each source is opened without following a link, in the container's private mount
namespace, and bound by that descriptor to a *place* below ``run_root/mounts/<id>``, which no
container can reach.  The runtime mounts the places, at the first start and at every restart.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import ContainerRecord, MountRecord, VolumeRecord
from jupyter_containers.errors import (
    ContainersError,
    InvalidArgumentError,
    StorageError,
    UnsupportedError,
)
from jupyter_containers.runtime.mounts import PrivateMounts, is_bind
from jupyter_containers.trees import at
from jupyter_containers.trees.linux import O_PATH
from jupyter_containers.trees.rooted import Root, split


def mount_folder(context: EngineContext, container_id: str) -> Path:
    """Return the folder of a container's shared mounts in its private mount namespace."""
    return context.settings.layout.mounts / container_id


def show_sources(
    context: EngineContext, record: ContainerRecord, mounts: PrivateMounts
) -> dict[str, str]:
    """Mount each volume and bind on its place; return the places by target.

    Call it in the private mount namespace.  Raises :class:`ContainersError` for a source that is
    gone, or now behind a link.
    """
    wanted = [item for item in enumerate(record.mounts) if item[1].type != "tmpfs"]
    if not wanted:
        return {}
    folder = mount_folder(context, record.id)
    places: dict[str, str] = {}
    with Root("/") as host:
        for number, mount in wanted:
            place = folder / str(number)
            volume = context.volumes.by_name(mount.name) if mount.type == "volume" else None
            if volume is not None and volume.driver_opts:
                _mount_volume(context, volume, mount, place, host, mounts)
            else:
                show_source(context, mount, place, host, mounts)
            places[mount.target] = str(place)
    return places


def show_source(
    context: EngineContext, mount: MountRecord, place: Path, host: Root, mounts: PrivateMounts
) -> None:
    """Mount a bind, a volume or a part of one on a place; ``host`` is the root ``/``.

    Call it in the private mount namespace.
    """
    source = _open_source(context, mount, host)
    try:
        mounts.bind_open(source, place, recursive=mount.recursion != "disabled")
    finally:
        os.close(source)


def _open_source(context: EngineContext, mount: MountRecord, host: Root) -> int:
    """Return a descriptor of a mount's source; raise if the source has changed."""
    if mount.type == "bind":
        try:
            return _open(host, mount.source)
        except OSError as error:
            raise _source_error(mount.source, error) from error
    try:
        # The parent folders of volumes are chosen by the user and may be links.
        with Root(context.settings.layout.volumes) as root:
            volume = _open(root, f"{mount.name}/_data")
    except OSError as error:
        raise StorageError(
            f"cannot open the folder of volume {mount.name}: {error.strerror}",
            hint=f"it should be at {mount.source}",
        ) from error
    if not mount.subpath:
        return volume
    try:
        with Root(at.path_of(volume)) as root:
            return root.open_path(mount.subpath, O_PATH)
    except OSError as error:
        raise InvalidArgumentError(
            f"cannot use {mount.subpath} of volume {mount.name}: {error.strerror}",
            hint="a volume-subpath must already exist",
        ) from error
    finally:
        os.close(volume)


def _open(root: Root, path: str) -> int:
    parts = split(os.fsencode(path))
    try:
        # Try it as a directory first: only that triggers automounters.
        return root.open(parts, O_PATH | os.O_DIRECTORY, links=False)
    except NotADirectoryError:
        return root.open(parts, O_PATH, links=False)


def _source_error(path: str, error: OSError) -> ContainersError:
    if error.errno == errno.ELOOP:
        return InvalidArgumentError(
            f"bind source path now leads through a symbolic link: {path}",
            hint="it did not when the container was created; if the link is intended, remove the "
            "container and run it again",
        )
    if error.errno in (errno.ENOENT, errno.ENOTDIR):
        return InvalidArgumentError(f"bind source path does not exist: {path}")
    return InvalidArgumentError(f"cannot use bind source path {path}: {error.strerror}")


def _mount_volume(
    context: EngineContext,
    volume: VolumeRecord,
    mount: MountRecord,
    place: Path,
    host: Root,
    mounts: PrivateMounts,
) -> None:
    """Mount a volume with options; running containers share one mount."""
    if mount.subpath:
        raise UnsupportedError(
            f"cannot mount a part of volume {volume.name}: its driver mounts only the whole",
            capability="volume-subpath of a volume with options",
            hint="mount the whole volume",
        )
    place.mkdir(parents=True, exist_ok=True)
    for other in context.containers.all():
        process, monitor = other.state.process, other.state.monitor
        if not other.state.status.alive or process is None or not process.alive or monitor is None:
            continue
        for number, its in enumerate(other.mounts):
            if its.type == "volume" and its.name == volume.name and not its.subpath:
                # Take it from that container's place, seen by its monitor: the container could
                # redirect its own.
                mounts.graft(monitor.pid, str(mount_folder(context, other.id) / str(number)), place)
                return
    given = volume.driver_opts
    kind, device, options = (given.get(name, "") for name in ("type", "device", "o"))
    if not is_bind(options):
        mounts.device(kind, device, place, options)
        return
    path = volume.bound or os.path.realpath(device)
    try:
        source = _open(host, path)
    except OSError as error:
        raise _source_error(path, error) from error
    try:
        mounts.device(kind, at.path_of(source), place, options)
    finally:
        os.close(source)
