"""Marks of what a layer hides of those below it: a character device 0:0, as overlayfs has them.

On an overlay mount (a server in a container) the kernel makes no such device.  There, where no
overlay can be mounted either, an empty file with an attribute of ours stands in.
"""

from __future__ import annotations

import os
import stat

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
