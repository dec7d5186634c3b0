"""Mounts the volumes and binds of a stopped container for a view of its files.

Other containers may have them, or their parent folders, at the same time.  Sources and targets are
opened without following a link and bound by their descriptors, so that neither can be replaced by a
folder of the host between check and mount.
"""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.errors import InvalidArgumentError, StorageError
from jupyter_containers.runtime.mounts import PrivateMounts, unmount
from jupyter_containers.trees import at
from jupyter_containers.trees.linux import O_PATH
from jupyter_containers.trees.rooted import Root, split


def mount_volumes(record: ContainerRecord, rootfs: Path, mounts: PrivateMounts) -> None:
    """Mount a record's volumes and binds below ``rootfs``; skip sources that are gone.

    Call it in the private mount namespace.
    """
    with Root(rootfs) as root, Root("/") as host:
        for mount in record.mounts:
            source = None if mount.type == "tmpfs" else _open_source(host, mount)
            if source is None:
                continue
            try:
                _show(root, source, mount, rootfs.with_name("shown"), mounts)
            finally:
                os.close(source)


def _open_source(host: Root, mount: MountRecord) -> int | None:
    """Return a descriptor of a mount's source; None if it is gone."""
    try:
        if mount.type == "bind":
            # Links were resolved when the container was created.
            return host.open(split(os.fsencode(mount.source)), O_PATH, links=False)
        with Root(mount.source) as volume:
            return volume.open_path(mount.subpath, O_PATH)
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return None
        if error.errno == errno.ELOOP:
            raise InvalidArgumentError(
                f"bind source path now leads through a symbolic link: {mount.source}",
                hint="it did not when the container was created",
            ) from error
        raise StorageError(f"cannot open {mount.source}: {error.strerror}") from error


def _show(root: Root, source: int, mount: MountRecord, beside: Path, mounts: PrivateMounts) -> None:
    try:
        if stat.S_ISDIR(os.fstat(source).st_mode):
            # A container that never started has no mount points for its volumes.
            target = root.make_folders(mount.target, 0o755, 0, 0)
        else:
            target = root.resolve(mount.target)
        place = root.open(split(os.fsencode(target)), O_PATH, links=False)
    except FileNotFoundError:
        return
    except OSError as error:
        raise StorageError(f"cannot show {mount.target}: {error.strerror}") from error
    try:
        if mount.read_only:
            _bind_read_only(source, place, beside, mounts)
        else:
            mounts.bind(Path(at.path_of(source)), Path(at.path_of(place)))
    finally:
        os.close(place)


def _bind_read_only(source: int, place: int, beside: Path, mounts: PrivateMounts) -> None:
    """Mount a source read-only through ``beside``, a private mount point of the engine."""
    is_folder = stat.S_ISDIR(os.fstat(source).st_mode)
    beside.mkdir(mode=0o700) if is_folder else beside.touch()
    try:
        mounts.bind(Path(at.path_of(source)), beside, read_only=True)
        # A bind of a read-only mount is read-only.
        mounts.bind(beside, Path(at.path_of(place)))
        unmount(beside)
    finally:
        beside.rmdir() if is_folder else beside.unlink()
