"""Mounts that show a folder's files with other owners: idmapped mounts, mount_setattr(2).

A file of root then belongs to the user who is root in a user namespace, and so on for the other
IDs, as if that user had created the folder; the files themselves are unchanged.  Linux 5.12,
overlay mounts on top 5.19; only the machine's root can create such mounts.

Such a mount shows files with the user's own ID, set-user-ID programs included.  It is therefore
behind a *gate*: a tmpfs that only the user can enter and nobody can write, so that other users
reach nothing by path and the user cannot move a mount point.  The mounts are also ``nosuid,nodev``:
overlay mounts on top of them are not affected by that.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.errors import StorageError
from jupyter_containers.oci.idmap import IDMap
from jupyter_containers.runtime.mounts import unmount
from jupyter_containers.trees import at

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _O_CLOEXEC = 1, 0o2000000
_MOVE_MOUNT_F_EMPTY_PATH, _AT_EMPTY_PATH, _AT_FDCWD = 4, 0x1000, -100
_FSOPEN, _FSCONFIG, _FSMOUNT = 430, 431, 432
_FSOPEN_CLOEXEC = _FSMOUNT_CLOEXEC = 1
_SET_STRING, _CMD_CREATE = 1, 6
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _IDMAP = 0x1, 0x2, 0x4, 0x8, 0x100000
_PATIENCE_SECONDS = 5.0


class _Attributes(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


def mount_idmapped(source: Path, target: Path, users: IDMap, groups: IDMap) -> None:
    """Show ``source`` at ``target``, read-only, as the root of such a user namespace would own it.

    Set-user-ID bits, file capabilities and device nodes have no effect there.

    Raises :class:`StorageError` if the kernel or the file system of ``source`` cannot map IDs.
    """
    with _user_namespace(users, groups) as namespace:
        try:
            tree = _clone(source)
            try:
                _set(tree, _RDONLY | _NOSUID | _NODEV | _IDMAP, namespace=namespace)
                _attach(tree, target)
            finally:
                os.close(tree)
        except OSError as error:
            raise StorageError(
                f"cannot map the owners of {source}: {error.strerror}",
                hint="idmapped mounts need Linux 5.19 and a file system such as ext4, xfs or btrfs",
            ) from error


def make_gate(folder: Path, uid: int, gid: int) -> None:
    """Mount an empty, read-only folder on ``folder`` that only this user (and root) can enter.

    Raises :class:`StorageError`.
    """
    options = {"mode": "0500", "uid": str(uid), "gid": str(gid), "size": "64k"}
    attributes = _RDONLY | _NOSUID | _NODEV | _NOEXEC
    try:
        context = _call(_FSOPEN, b"tmpfs", _FSOPEN_CLOEXEC)
        try:
            for name, value in options.items():
                _call(_FSCONFIG, context, _SET_STRING, name.encode(), value.encode(), 0)
            _call(_FSCONFIG, context, _CMD_CREATE, None, None, 0)
            mount = _call(_FSMOUNT, context, _FSMOUNT_CLOEXEC, attributes)
        finally:
            os.close(context)
        try:
            _attach(mount, folder)
        finally:
            os.close(mount)
    except OSError as error:
        raise StorageError(f"cannot close {folder} to other users: {error.strerror}") from error


def make_places(folder: Path, names: Iterable[str]) -> None:
    """Create mount points behind a gate, which stays read-only for everybody else.

    Raises :class:`StorageError`.
    """
    try:
        gate = _clone(folder)  # a mount of this process alone, so changing it affects nobody else
        try:
            _set(gate, 0, cleared=_RDONLY)
            for name in names:
                if at.look(gate, name) is None:
                    at.mkdir(gate, name)
        finally:
            os.close(gate)
    except OSError as error:
        raise StorageError(f"cannot make mount points in {folder}: {error.strerror}") from error


def move_behind_gate(folder: Path, mounts: Iterable[Path], uid: int, gid: int) -> None:
    """Put the mounts below ``folder`` behind a gate on it, ``nosuid`` and ``nodev``.

    For mounts of an older version, which every user could enter.  Raises :class:`StorageError`.
    """
    trees: dict[str, int] = {}
    try:
        for mount in mounts:
            trees[mount.name] = tree = _clone(mount)
            _set(tree, _RDONLY | _NOSUID | _NODEV)
            unmount(mount)
        make_gate(folder, uid, gid)
        make_places(folder, trees)
        for name, tree in trees.items():
            _attach(tree, folder / name)
    except OSError as error:
        raise StorageError(f"cannot close {folder} to other users: {error.strerror}") from error
    finally:
        for tree in trees.values():
            os.close(tree)


def _clone(source: Path) -> int:
    return _call(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE | _O_CLOEXEC)


def _set(mount: int, wanted: int, *, cleared: int = 0, namespace: int = 0) -> None:
    attributes = _Attributes(wanted, cleared, 0, namespace)
    size = ctypes.c_size_t(ctypes.sizeof(attributes))
    _call(_MOUNT_SETATTR, mount, b"", _AT_EMPTY_PATH, ctypes.byref(attributes), size)


def _attach(mount: int, target: Path) -> None:
    _call(_MOVE_MOUNT, mount, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH)


def _call(number: int, *arguments: object) -> int:
    syscall = ctypes.CDLL(None, use_errno=True).syscall
    syscall.restype = ctypes.c_long
    values = [ctypes.c_long(value) if isinstance(value, int) else value for value in arguments]
    result: int = syscall(ctypes.c_long(number), *values)
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))
    return result


@contextmanager
def _user_namespace(users: IDMap, groups: IDMap) -> Iterator[int]:
    """Yield a descriptor of a user namespace with these IDs and no processes."""
    import subprocess

    own = os.readlink("/proc/self/ns/user")
    with subprocess.Popen(["unshare", "--user", "cat"], stdin=subprocess.PIPE) as process:
        place = Path(f"/proc/{process.pid}")
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while os.readlink(place / "ns/user") == own:
            if process.poll() is not None or time.monotonic() > deadline:
                raise StorageError("cannot make a user namespace to map owners with")
            time.sleep(0.005)
        (place / "uid_map").write_text(users.text)
        (place / "gid_map").write_text(groups.text)
        namespace = os.open(place / "ns/user", os.O_RDONLY | os.O_CLOEXEC)
        try:
            yield namespace
        finally:
            os.close(namespace)
