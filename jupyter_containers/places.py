"""Where files are kept: what a file system is, and folders that are this user's alone."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jupyter_containers.errors import StorageError

_REMOTE = (
    "nfs nfs4 cifs smb3 9p virtiofs lustre gpfs ceph afs beegfs glusterfs orangefs"
    " fuse.sshfs fuse.glusterfs fuse.juicefs fuse.s3fs fuse.rclone fuse.cephfs fuse.gcsfuse"
    " fuse.blobfuse fuse.mountpoint-s3"
)


def file_system(path: Path, mountinfo: str | None = None) -> str:
    """Return the type of the file system that holds a path, which need not exist yet.

    ``mountinfo`` is the text of ``/proc/self/mountinfo``; empty when nothing is known.
    """
    if mountinfo is None:
        try:
            mountinfo = Path("/proc/self/mountinfo").read_text(errors="surrogateescape")
        except OSError:
            return ""
    real = os.path.realpath(path)
    best, kind = "", ""
    for line in mountinfo.splitlines():
        left, _, right = line.partition(" - ")
        point = left.split()[4].replace("\\040", " ")
        inside = real == point or real.startswith(point.rstrip("/") + "/")
        # Of several on one point the last is seen.
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def is_remote(kind: str) -> bool:
    """Return whether files of that type are on other machines: no place for a store.

    Locks of the record database and writable layers need a disk of this machine.
    """
    return kind in _REMOTE.split()


def private_folder(path: Path) -> None:
    """Make a folder for this user alone; one that others can change is refused.

    Below ``/tmp`` anybody may have made it before.  Raises :class:`StorageError`.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            state = path.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
                raise StorageError(
                    f"{path} is not this user's own",
                    hint="name another folder with JUPYTER_CONTAINERS_RUN_ROOT",
                ) from None
            if state.st_mode & 0o022:
                path.chmod(0o700)
    except OSError as error:
        raise StorageError(f"cannot make {path}: {error.strerror}") from error
