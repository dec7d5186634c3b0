"""File systems of the host: their types, and which paths other users cannot change.

A path is *trusted* when it and every folder above it belong to root or to this user and no one else
can write to them, as in OpenSSH's StrictModes.  A folder above it may be sticky (``/tmp``), because
the entries in it are checked too; group write permission is allowed if the group has no other
member; and in a Kubernetes pod the folder of a volume itself may be open, as that of an
``emptyDir`` always is: only the pod can reach it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

from jupyter_containers.errors import StorageError, UntrustedPlaceError

_MOST_LINKS = 40
# The ID that stands for the machine's root in a user namespace that does not map it.
_NOBODY = 65534
_ALL_IDS = ["0", "0", "4294967295"]

_REMOTE = (
    "nfs nfs4 cifs smb3 9p virtiofs lustre gpfs ceph afs beegfs glusterfs orangefs"
    " fuse.sshfs fuse.glusterfs fuse.juicefs fuse.s3fs fuse.rclone fuse.cephfs fuse.gcsfuse"
    " fuse.blobfuse fuse.mountpoint-s3"
)


def file_system(path: Path, mountinfo: str | None = None) -> str:
    """Return the type of the file system of a path, which need not exist yet.

    ``mountinfo`` is the text of ``/proc/self/mountinfo``.  Returns an empty text if nothing is
    known.
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
        # Of several mounts on one point, only the last is visible.
        if inside and len(point) >= len(best):
            best, kind = point, right.split()[0]
    return kind


def is_remote(kind: str) -> bool:
    """Return whether a type of file system is remote, and so unsuitable for a store.

    Locks of the record database and writable layers need a local disk.
    """
    return kind in _REMOTE.split()


def initial_namespace() -> bool:
    """Return whether this process is in the machine's own user namespace."""
    try:
        return Path("/proc/self/uid_map").read_text().split() == _ALL_IDS
    except OSError:
        return True


def check_place(
    path: Path,
    what: str,
    hint: str,
    *,
    owners: frozenset[int] | None = None,
    way_only: bool = False,
) -> None:
    """Raise :class:`UntrustedPlaceError` unless an existing file or folder is trusted.

    ``what`` describes the purpose of the path.  ``owners`` are the users, beside root, who may own
    it and the folders above; by default this user.  ``way_only`` checks only the folders above.
    """
    trusted = {0, *((os.geteuid(),) if owners is None else owners)}
    if not initial_namespace():
        trusted.add(_NOBODY)
    device = -1
    for step, state, final in _steps(path):
        if final and way_only:
            return
        reason = _why_untrusted(state, trusted, sticky=not final)
        volume, device = device not in (-1, state.st_dev), state.st_dev
        if reason and volume and not final and state.st_uid in trusted and _in_pod():
            continue
        if reason:
            there = "it" if step == path else f"{step}, a folder above it,"
            raise UntrustedPlaceError(f"cannot use {path} as {what}: {there} {reason}", hint=hint)


def check_contents(folder: Path, what: str, hint: str) -> None:
    """Raise :class:`UntrustedPlaceError` for a folder with an entry of another user."""
    trusted = {0, os.geteuid()} | (set() if initial_namespace() else {_NOBODY})
    try:
        with os.scandir(folder) as entries:
            for entry in entries:
                owner = entry.stat(follow_symlinks=False).st_uid
                if owner not in trusted:
                    raise UntrustedPlaceError(
                        f"cannot use {folder} as {what}: {entry.name} in it belongs to"
                        f" {_user(owner)}",
                        hint=hint,
                    )
    except FileNotFoundError:
        return  # another process removed it just now
    except OSError as error:
        raise StorageError(f"cannot read {folder}: {error.strerror}") from error


def _steps(path: Path) -> Iterator[tuple[Path, os.stat_result, bool]]:
    """Yield every existing folder and link on the path, and its final target.

    The third value is True for the target.
    """
    current = Path("/")
    todo = list((Path.cwd() / path).parts[1:])
    yield current, os.stat(current), not todo
    links = 0
    while todo:
        name = todo.pop(0)
        if name == "..":
            current = current.parent
            continue
        step = current / name
        try:
            state = step.lstat()
        except OSError:
            return
        link = stat.S_ISLNK(state.st_mode)
        yield step, state, not link and not todo
        if not link:
            current = step
            continue
        links += 1
        if links > _MOST_LINKS:
            return  # opening it will fail
        target = Path(os.readlink(step))
        current = Path("/") if target.is_absolute() else current
        todo = [*target.parts[1 if target.is_absolute() else 0 :], *todo]


def _why_untrusted(state: os.stat_result, trusted: set[int], *, sticky: bool) -> str:
    """Return why others could change a file or folder, or ""; for a link only its owner counts."""
    if state.st_uid not in trusted:
        return f"belongs to {_user(state.st_uid)}"
    if stat.S_ISLNK(state.st_mode) or (sticky and state.st_mode & stat.S_ISVTX):
        return ""
    if state.st_mode & stat.S_IWOTH:
        return f"can be changed by every user (mode {stat.S_IMODE(state.st_mode):04o})"
    if state.st_mode & stat.S_IWGRP and not _is_only_member(state.st_gid):
        return f"can be changed by the group {_group(state.st_gid)}"
    return ""


def _in_pod() -> bool:
    """Return whether this is a pod; environment variables may be missing, so files decide."""
    if "KUBERNETES_SERVICE_HOST" in os.environ:
        return True
    try:
        return Path("/etc/hosts").read_text().startswith("# Kubernetes-managed hosts file")
    except (OSError, ValueError):
        return False


def _is_only_member(group: int) -> bool:
    """Return whether this user is the only member of a group, beside root."""
    import grp
    import pwd

    if not initial_namespace():
        # The names are those outside the namespace, where they were checked on entering it.
        return group in (os.getegid(), _NOBODY)
    try:
        mine = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return False
    try:
        entry = grp.getgrgid(group)
        named, name = set(entry.gr_mem), entry.gr_name
    except KeyError:
        named, name = set(), ""
    if not named <= {mine, "root"}:
        return False
    if name == mine:
        return True  # the private group that users have by convention
    everybody = pwd.getpwall()
    primary = {user.pw_name for user in everybody if user.pw_gid == group}
    # Users of a directory service may not be enumerable.
    return primary <= {mine, "root"} and any(user.pw_name == mine for user in everybody)


def _user(uid: int) -> str:
    import pwd

    try:
        return f"user {pwd.getpwuid(uid).pw_name}"
    except KeyError:
        return f"user {uid}"


def _group(gid: int) -> str:
    import grp

    try:
        return grp.getgrgid(gid).gr_name
    except KeyError:
        return str(gid)


RUN_ROOT_HINT = "choose another folder with JUPYTER_CONTAINERS_RUN_ROOT"


def private_folder(path: Path) -> None:
    """Create a folder for this user alone; refuse one that other users can change or made.

    Below ``/tmp``, any user may have created it before.  Raises :class:`StorageError`.
    """
    try:
        check_place(path, "a folder for sockets and locks", RUN_ROOT_HINT, way_only=True)
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            path.mkdir(mode=0o700)
        except FileExistsError:
            state = path.lstat()
            if not stat.S_ISDIR(state.st_mode) or state.st_uid != os.geteuid():
                raise UntrustedPlaceError(
                    f"{path} is not this user's own", hint=RUN_ROOT_HINT
                ) from None
            close_empty(path)
        check_place(path, "a folder for sockets and locks", RUN_ROOT_HINT)
    except OSError as error:
        raise StorageError(f"cannot create {path}: {error.strerror}") from error


def close_empty(path: Path) -> None:
    """Remove other users' write permission from a folder of this user, if it is still empty."""
    state = path.stat()
    if state.st_mode & 0o022 and state.st_uid == os.geteuid():
        path.chmod(0o700)
        if any(path.iterdir()):
            path.chmod(stat.S_IMODE(state.st_mode))
