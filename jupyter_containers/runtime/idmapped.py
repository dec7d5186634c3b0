"""Mounts that show a folder's files with other owners: idmapped mounts, mount_setattr(2).

A file of root is then a file of the user who is root in a user namespace, and so on for the other
ids, as if the folder had been made by that user; the files themselves stay what they are.  Linux
5.12, overlay mounts on top 5.19; only the machine's root makes them.
"""

from __future__ import annotations

import ctypes
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.errors import StorageError
from jupyter_containers.oci.idmap import IDMap

_OPEN_TREE, _MOVE_MOUNT, _MOUNT_SETATTR = 428, 429, 442
_OPEN_TREE_CLONE, _O_CLOEXEC = 1, 0o2000000
_MOVE_MOUNT_F_EMPTY_PATH, _AT_EMPTY_PATH, _AT_FDCWD = 4, 0x1000, -100
_RDONLY, _NODEV, _IDMAP = 0x1, 0x4, 0x100000
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

    Raises :class:`StorageError` where the kernel or the file system of ``source`` cannot.
    """
    with _user_namespace(users, groups) as namespace:
        try:
            tree = _call(_OPEN_TREE, _AT_FDCWD, os.fsencode(source), _OPEN_TREE_CLONE | _O_CLOEXEC)
            try:
                wanted = _Attributes(_RDONLY | _NODEV | _IDMAP, 0, 0, namespace)
                size = ctypes.c_size_t(ctypes.sizeof(wanted))
                _call(_MOUNT_SETATTR, tree, b"", _AT_EMPTY_PATH, ctypes.byref(wanted), size)
                _call(
                    _MOVE_MOUNT, tree, b"", _AT_FDCWD, os.fsencode(target), _MOVE_MOUNT_F_EMPTY_PATH
                )
            finally:
                os.close(tree)
        except OSError as error:
            raise StorageError(
                f"cannot map the owners of {source}: {error.strerror}",
                hint="idmapped mounts need Linux 5.19 and a file system such as ext4, xfs or btrfs",
            ) from error


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
    """Yield a descriptor of a user namespace with these ids; nobody stays in it."""
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
