"""The mount points of a RUN step, created before it and removed so that none is committed.

A missing target of ``--mount`` is created before the step.  Every runtime also creates the standard
mount points that an image lacks (``/proc``, ``/etc/hosts`` …).  After the step, mount points that
are new and still empty are removed again, and folders without other changes get their times back.

The step may have replaced folders by links: nothing behind one is changed.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from jupyter_containers.build.seams import StepMount
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root, split

_STANDARD = (
    "etc", "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc", "sys", "dev",
)  # fmt: skip
_VIRTUAL = ("/dev/", "/proc/", "/sys/")


@dataclass(frozen=True, slots=True)
class _Folder:
    """A folder before a mount point was created in it."""

    path: str
    names: frozenset[str]
    times: tuple[int, int]

    @classmethod
    def look(cls, root: Root, path: str) -> _Folder | None:
        try:
            with _open_folder(root, path) as directory:
                status = os.fstat(directory)
                names = frozenset(os.listdir(directory))
        except OSError:
            return None
        return cls(path, names, (status.st_atime_ns, status.st_mtime_ns))

    def restore(self, root: Root) -> None:
        """Restore its times if its contents are the same."""
        with suppress(OSError), _open_folder(root, self.path) as directory:
            if frozenset(os.listdir(directory)) == self.names:
                os.utime(directory, ns=self.times)


@dataclass(frozen=True, slots=True)
class MountPoints:
    """The mount points created for a step: ``fresh`` paths, outermost first."""

    fresh: tuple[str, ...]
    folders: tuple[_Folder, ...]


def make_mount_points(rootfs: str, mounts: tuple[StepMount, ...]) -> MountPoints:
    """Create the missing targets; return what to undo after the step."""
    with Root(rootfs) as root:
        fresh = _missing_targets(root, mounts)
        parents = dict.fromkeys(posixpath.dirname(path) for path in fresh)
        folders = [_Folder.look(root, path) for path in parents]
        for mount in mounts:
            if not mount.target.startswith(_VIRTUAL):
                _make(root, mount)
    return MountPoints(fresh, tuple(folder for folder in folders if folder))


def _missing_targets(root: Root, mounts: tuple[StepMount, ...]) -> tuple[str, ...]:
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
            # runc gives a tmpfs the mode of the folder it covers; a new one is for everybody.
            with root.place(target) as (directory, name):
                at.chmod(directory, name, 0o1777)  # as /tmp
        return
    root.make_folders(posixpath.dirname(target), 0o755, 0, 0)
    if root.stat(target) is None:
        with root.place(target) as (directory, name):
            os.close(at.create(directory, name, 0o644))


def remove_mount_points(rootfs: str, points: MountPoints) -> None:
    """Remove the created mount points, unless the step put something there."""
    with Root(rootfs) as root:
        for path in reversed(points.fresh):
            # Not empty any more, or replaced: it belongs to the step now.
            with suppress(OSError), root.place(path) as (directory, name):
                status = at.stat(directory, name)
                if stat.S_ISDIR(status.st_mode):
                    at.rmdir(directory, name)
                elif stat.S_ISREG(status.st_mode) and status.st_size == 0:
                    at.unlink(directory, name)
        for folder in points.folders:
            folder.restore(root)


@contextmanager
def _open_folder(root: Root, path: str) -> Iterator[int]:
    parts = split(os.fsencode(path))
    descriptor = root.open(parts, os.O_RDONLY | os.O_DIRECTORY, links=False)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


def _is_file(mount: StepMount) -> bool:
    return mount.is_file or mount.type in ("file", "socket")
