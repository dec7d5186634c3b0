"""The places where a RUN step's mounts are attached, so that none of them is committed.

A missing target of ``--mount`` is created before the step.  Every runtime also makes the standard
places that an image lacks (``/proc``, ``/etc/hosts`` …).  After the step, what did not exist before
and is still empty goes away again, and folders where nothing else changed get their times back.
"""

from __future__ import annotations

import os
import posixpath
import stat
from dataclasses import dataclass

from jupyter_containers.build.seams import StepMount
from jupyter_containers.trees.rooted import Root

_STANDARD = (
    "etc", "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc", "sys", "dev",
)  # fmt: skip
_VIRTUAL = ("/dev/", "/proc/", "/sys/")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder as it was before a mount point was made in it."""

    path: str
    names: frozenset[str]
    times: tuple[int, int]

    @classmethod
    def look(cls, root: Root, path: str) -> _Folder | None:
        status = root.stat(path)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return None
        return cls(path, _names(root, path), (status.st_atime_ns, status.st_mtime_ns))


@dataclass(frozen=True, slots=True)
class MountPoints:
    """What a step's mounts bring into being: ``fresh`` paths, outermost first."""

    fresh: tuple[str, ...]
    folders: tuple[_Folder, ...]


def make_mount_points(rootfs: str, mounts: tuple[StepMount, ...]) -> MountPoints:
    """Create the missing targets; return what is to be undone after the step."""
    with Root(rootfs) as root:
        fresh = _missing(root, mounts)
        parents = dict.fromkeys(posixpath.dirname(path) for path in fresh)
        folders = [_Folder.look(root, path) for path in parents]
        for mount in mounts:
            if not mount.target.startswith(_VIRTUAL):
                _make(root, mount)
    return MountPoints(fresh, tuple(folder for folder in folders if folder))


def _missing(root: Root, mounts: tuple[StepMount, ...]) -> tuple[str, ...]:
    paths = list(_STANDARD)
    for mount in mounts:
        if not mount.target.startswith(_VIRTUAL):
            names = root.resolve(mount.target).split("/")
            paths += ["/".join(names[: count + 1]) for count in range(len(names))]
    return tuple(path for path in dict.fromkeys(paths) if root.stat(path) is None)


def _make(root: Root, mount: StepMount) -> None:
    target = root.resolve(mount.target)
    if not _is_file(mount):
        fresh = root.stat(target) is None
        root.make_folders(target, 0o755, 0, 0)
        if fresh and mount.type == "tmpfs":
            # runc gives a tmpfs the mode of what it covers; a new one is for everybody.
            os.chmod(target, 0o1777, dir_fd=root.descriptor)  # noqa: S103  # as /tmp is
        return
    root.make_folders(posixpath.dirname(target), 0o755, 0, 0)
    if root.stat(target) is None:
        os.close(root.open_path(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644))


def remove_mount_points(rootfs: str, points: MountPoints) -> None:
    """Remove what was made for mounts, unless the step put something there."""
    with Root(rootfs) as root:
        for path in reversed(points.fresh):
            status = root.stat(path)
            if status is None:
                continue
            try:
                if stat.S_ISDIR(status.st_mode):
                    os.rmdir(path, dir_fd=root.descriptor)
                elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
                    os.unlink(path, dir_fd=root.descriptor)
            except OSError:
                # Not empty any more: it belongs to the step now.
                continue
        for folder in points.folders:
            if _Folder.look(root, folder.path) and _names(root, folder.path) == folder.names:
                os.utime(
                    folder.path or ".",
                    ns=folder.times,
                    dir_fd=root.descriptor,
                    follow_symlinks=False,
                )


def _names(root: Root, path: str) -> frozenset[str]:
    fd = root.open_path(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        return frozenset(os.listdir(fd))
    finally:
        os.close(fd)


def _is_file(mount: StepMount) -> bool:
    if mount.is_file or mount.type in ("file", "socket"):
        return True
    return mount.type == "bind" and mount.chain_id is None and os.path.isfile(mount.source)
