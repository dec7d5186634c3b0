"""Marks of what a layer hides of those below it: a character device 0:0, as overlayfs has them.

On an overlay mount (a server in a container) the kernel makes no such device.  There, where no
overlay can be mounted either, an empty file with an attribute of ours stands in.

A folder that hides all that is below it has an attribute (:mod:`.privileges`); where the program
fuse-overlayfs wrote it, it holds a file of this name.
"""

from __future__ import annotations

import os
import stat

OPAQUE_FILE = b".wh..wh..opq"
# The second is how that program hides the file itself.
OPAQUE_MARKS = frozenset({OPAQUE_FILE, b".wh..opq"})
_MARK = b"user.jupyter-containers.whiteout"


def make_whiteout(name: bytes, *, dir_fd: int | None = None) -> None:
    """Make a mark of that name; raise :class:`FileExistsError`."""
    try:
        os.mknod(name, stat.S_IFCHR, 0, dir_fd=dir_fd)
    except PermissionError:
        descriptor = os.open(name, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0, dir_fd=dir_fd)
        try:
            os.setxattr(descriptor, _MARK, b"y")
        finally:
            os.close(descriptor)


def is_whiteout(state: os.stat_result, name: bytes, *, dir_fd: int | None = None) -> bool:
    """Return whether the file of that name, whose status is given, is such a mark."""
    if stat.S_ISCHR(state.st_mode):
        return state.st_rdev == 0
    if not stat.S_ISREG(state.st_mode) or state.st_size or stat.S_IMODE(state.st_mode):
        return False
    path = name if dir_fd is None else b"/proc/self/fd/%d/%s" % (dir_fd, name)
    try:
        return os.getxattr(path, _MARK, follow_symlinks=False) == b"y"
    except OSError:
        return False


def hides_below(folder: int | str, attribute: bytes) -> bool:
    """Return whether a folder (open, or its path) of a layer hides what is below it."""
    try:
        if os.getxattr(folder, attribute) == b"y":
            return True
    except OSError:
        pass
    try:
        if isinstance(folder, int):
            os.stat(OPAQUE_FILE, dir_fd=folder, follow_symlinks=False)
        else:
            os.lstat(f"{folder}/{OPAQUE_FILE.decode()}")
    except OSError:
        return False
    return True
