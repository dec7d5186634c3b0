"""Operations on one name below a directory descriptor, after the ``*at`` calls of POSIX.

Every function takes the descriptor of an open directory and *one* name in it, and acts on the entry
itself: a symbolic link is never followed.  A name with a slash, ``.`` and ``..`` are refused with
``EINVAL``, so no caller can pass a path.  All raise :class:`OSError`.

Modes are permission bits as in chmod(2), times are nanoseconds since the epoch.  Returned
descriptors are close-on-exec; the caller closes them.
"""

from __future__ import annotations

import errno
import os
import stat as modes
from collections.abc import Iterator
from contextlib import contextmanager

from jupyter_containers.trees.linux import O_PATH, fchmodat2

Name = str | bytes

_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_ENTER = O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_READ = os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW | os.O_NOCTTY | os.O_CLOEXEC
_CREATE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_NO_NAMES = frozenset({"", ".", "..", b"", b".", b".."})
_NO_FCHMODAT2 = {errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP, errno.EINVAL}


def _one(name: Name) -> Name:
    if name in _NO_NAMES or (b"/" in name if isinstance(name, bytes) else "/" in name):
        raise OSError(errno.EINVAL, "not the name of one entry", name)
    return name


# -- opening ----------------------------------------------------------------------------


def open(directory: int, name: Name, flags: int, mode: int = 0) -> int:  # openat(2)
    """Return a descriptor of the entry; a symbolic link raises ``ELOOP``."""
    return os.open(_one(name), flags | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=directory)


def open_path(directory: int, name: Name) -> int:
    """Return an ``O_PATH`` descriptor, which only names the entry; also of a link."""
    return open(directory, name, O_PATH)


def open_folder(directory: int, name: Name) -> int:
    """Return a descriptor of a directory, to read it or pass it to these functions."""
    return os.open(_one(name), _FOLDER, dir_fd=directory)


def enter(directory: int, name: Name) -> int:
    """Return a descriptor of a directory for operations below it: it need not be readable."""
    return os.open(_one(name), _ENTER, dir_fd=directory)


def reopen(directory: int) -> int:
    """Return a second, readable descriptor of an open directory, with its own offset."""
    return os.open(".", _FOLDER, dir_fd=directory)


def open_regular(directory: int, name: Name) -> int:
    """Return a descriptor for reading a regular file; raise ``EINVAL`` for any other kind."""
    return regular(directory, name)[0]


def regular(directory: int, name: Name) -> tuple[int, os.stat_result]:
    """Return the descriptor of :func:`open_regular` and the status of the open file."""
    descriptor = os.open(_one(name), _READ, dir_fd=directory)
    status = os.fstat(descriptor)
    if not modes.S_ISREG(status.st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", name)
    return descriptor, status


def create(directory: int, name: Name, mode: int = 0o600) -> int:
    """Return a descriptor for writing a new file."""
    return os.open(_one(name), _CREATE, mode, dir_fd=directory)


def path_of(descriptor: int) -> str:
    """Return a path to a descriptor's target, for calls that accept no ``O_PATH`` descriptor."""
    return f"/proc/self/fd/{descriptor}"


# -- looking ----------------------------------------------------------------------------


def stat(directory: int, name: Name) -> os.stat_result:
    """Return the status of the entry itself."""
    return os.stat(_one(name), dir_fd=directory, follow_symlinks=False)


def look(directory: int, name: Name) -> os.stat_result | None:
    """Return the status of the entry itself, or None if it does not exist."""
    try:
        return os.stat(_one(name), dir_fd=directory, follow_symlinks=False)
    except FileNotFoundError:
        return None


def names(directory: int) -> list[str]:
    """Return the names in the directory, sorted."""
    # A separate descriptor, so that two readers never share an offset.
    again = reopen(directory)
    try:
        return sorted(os.listdir(again))
    finally:
        os.close(again)


def readlink(directory: int, name: Name) -> bytes:
    """Return the target of a symbolic link; raise ``EINVAL`` for any other kind."""
    return os.readlink(os.fsencode(_one(name)), dir_fd=directory)


# -- making ----------------------------------------------------------------------------


def mkdir(directory: int, name: Name, mode: int = 0o700) -> None:
    """Make a directory."""
    os.mkdir(_one(name), mode, dir_fd=directory)


def symlink(target: Name, directory: int, name: Name) -> None:
    """Make a symbolic link to ``target``."""
    os.symlink(target, _one(name), dir_fd=directory)


def mknod(directory: int, name: Name, mode: int, device: int = 0) -> None:
    """Make a FIFO, a device node or an empty file; ``mode`` includes the kind."""
    os.mknod(_one(name), mode, device, dir_fd=directory)


def new_node(directory: int, name: Name, kind: int, device: int = 0) -> int:
    """Make a FIFO or a device node and return an ``O_PATH`` descriptor of it.

    Owner, mode and time are set through it (:func:`path_of`), never on an entry that replaced it.
    Raises ``EINVAL`` if the entry already exists.
    """
    os.mknod(_one(name), kind | 0o600, device, dir_fd=directory)
    descriptor = open_path(directory, name)
    state = os.fstat(descriptor)
    if (modes.S_IFMT(state.st_mode), state.st_rdev, state.st_nlink) != (kind, device, 1):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "another file has taken its place", name)
    return descriptor


def link(source: int, name: Name, directory: int, as_name: Name) -> None:
    """Make another hard link to the entry ``name`` of the directory ``source``."""
    os.link(
        _one(name), _one(as_name), src_dir_fd=source, dst_dir_fd=directory, follow_symlinks=False
    )


def link_open(descriptor: int, directory: int, as_name: Name) -> None:
    """Make another hard link to an open file, whatever its present name refers to."""
    os.link(path_of(descriptor), _one(as_name), dst_dir_fd=directory, follow_symlinks=True)


def rename(source: int, name: Name, directory: int, as_name: Name) -> None:
    """Move an entry, replacing a file of the new name."""
    os.rename(_one(name), _one(as_name), src_dir_fd=source, dst_dir_fd=directory)


# -- attributes ----------------------------------------------------------------------------


def chmod(directory: int, name: Name, mode: int) -> None:
    """Set the mode of an entry; raise ``EOPNOTSUPP`` for a symbolic link."""
    try:
        fchmodat2(directory, os.fsencode(_one(name)), mode)
        return
    except OSError as error:
        if error.errno not in _NO_FCHMODAT2:
            raise
    # Before Linux 6.6, and under seccomp filters that do not know the call.
    descriptor = open_path(directory, name)
    try:
        if modes.S_ISLNK(os.fstat(descriptor).st_mode):
            raise OSError(errno.EOPNOTSUPP, os.strerror(errno.EOPNOTSUPP), name)
        os.chmod(path_of(descriptor), mode)
    finally:
        os.close(descriptor)


def chown(directory: int, name: Name, uid: int, gid: int) -> None:
    """Set the owner of an entry."""
    os.chown(_one(name), uid, gid, dir_fd=directory, follow_symlinks=False)


def utime(directory: int, name: Name, times: tuple[int, int]) -> None:
    """Set the times of access and modification of an entry."""
    os.utime(_one(name), ns=times, dir_fd=directory, follow_symlinks=False)


def _path_of_entry(directory: int, name: Name) -> bytes:
    """Return a path to the entry, for calls without ``dir_fd`` that do not follow links."""
    return b"/proc/self/fd/%d/%s" % (directory, os.fsencode(_one(name)))


def listxattr(directory: int, name: Name) -> list[str]:
    """Return the names of the extended attributes of an entry."""
    return os.listxattr(_path_of_entry(directory, name), follow_symlinks=False)


def getxattr(directory: int, name: Name, attribute: Name) -> bytes:
    """Return an extended attribute of an entry."""
    return os.getxattr(_path_of_entry(directory, name), attribute, follow_symlinks=False)


def setxattr(directory: int, name: Name, attribute: Name, value: bytes) -> None:
    """Set an extended attribute of an entry."""
    os.setxattr(_path_of_entry(directory, name), attribute, value, follow_symlinks=False)


# -- removing ----------------------------------------------------------------------------


def unlink(directory: int, name: Name) -> None:
    """Remove an entry that is not a directory."""
    os.unlink(_one(name), dir_fd=directory)


def rmdir(directory: int, name: Name) -> None:
    """Remove an empty directory."""
    os.rmdir(_one(name), dir_fd=directory)


@contextmanager
def folder(directory: int, name: Name) -> Iterator[int]:
    """Yield a descriptor of a directory; close it at the end."""
    descriptor = open_folder(directory, name)
    try:
        yield descriptor
    finally:
        os.close(descriptor)
