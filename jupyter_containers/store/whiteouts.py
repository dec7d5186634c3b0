"""Marks of what a layer hides of those below it: a character device 0:0, as overlayfs has them.

On an overlay mount (a server in a container) the kernel makes no such device.  There, where no
overlay can be mounted either, an empty file with an attribute of ours stands in.

A folder that hides all that is below it has an attribute (:mod:`.privileges`); where the program
fuse-overlayfs wrote it, it holds a file of this name.
"""

from __future__ import annotations

import os
import stat

from jupyter_containers.trees import at

OPAQUE_FILE = b".wh..wh..opq"
# The second is how that program hides the file itself.
OPAQUE_MARKS = frozenset({OPAQUE_FILE, b".wh..opq"})
_MARK = b"user.jupyter-containers.whiteout"


def make_whiteout(directory: int, name: bytes) -> None:
    """Make a mark of that name in an open directory; raise :class:`FileExistsError`."""
    try:
        at.mknod(directory, name, stat.S_IFCHR)
    except PermissionError:
        descriptor = at.create(directory, name, 0)
        try:
            os.setxattr(descriptor, _MARK, b"y")
        finally:
            os.close(descriptor)


def is_whiteout(state: os.stat_result, directory: int, name: bytes) -> bool:
    """Return whether an entry of an open directory, whose status is given, is such a mark."""
    if stat.S_ISCHR(state.st_mode):
        return state.st_rdev == 0
    if not stat.S_ISREG(state.st_mode) or state.st_size or stat.S_IMODE(state.st_mode):
        return False
    try:
        return at.getxattr(directory, name, _MARK) == b"y"
    except OSError:
        return False


def hides_below(folder: int, attribute: bytes) -> bool:
    """Return whether an open folder of a layer hides what is below it."""
    try:
        if os.getxattr(folder, attribute) == b"y":
            return True
    except OSError:
        pass
    try:
        return at.look(folder, OPAQUE_FILE) is not None
    except OSError:
        return False
