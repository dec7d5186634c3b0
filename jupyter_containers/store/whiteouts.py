"""Whiteouts: the marks by which a layer hides entries below it, in overlayfs' form (device 0:0).

On an overlay mount (a server in a container) the kernel creates no such device.  There, where no
overlay can be mounted either, an empty file with an extended attribute is used instead.

A folder that hides everything below it has an attribute (:mod:`.privileges`); fuse-overlayfs writes
a file of this name into it instead.
"""

from __future__ import annotations

import os
import stat

from jupyter_containers.trees import at

OPAQUE_FILE = b".wh..wh..opq"
# The second is how fuse-overlayfs hides the file itself.
OPAQUE_MARKS = frozenset({OPAQUE_FILE, b".wh..opq"})
_MARK = b"user.jupyter-containers.whiteout"


def make_whiteout(directory: int, name: bytes) -> None:
    """Make a whiteout of that name in an open directory; raise :class:`FileExistsError`."""
    try:
        at.mknod(directory, name, stat.S_IFCHR)
    except PermissionError:
        descriptor = at.create(directory, name, 0)
        try:
            os.setxattr(descriptor, _MARK, b"y")
        finally:
            os.close(descriptor)


def is_whiteout(state: os.stat_result, directory: int, name: bytes) -> bool:
    """Return whether an entry of an open directory, with the given status, is a whiteout."""
    if stat.S_ISCHR(state.st_mode):
        return state.st_rdev == 0
    if not stat.S_ISREG(state.st_mode) or state.st_size or stat.S_IMODE(state.st_mode):
        return False
    try:
        return at.getxattr(directory, name, _MARK) == b"y"
    except OSError:
        return False


def hides_below(folder: int, attribute: bytes) -> bool:
    """Return whether an open folder of a layer hides everything below it."""
    try:
        if os.getxattr(folder, attribute) == b"y":
            return True
    except OSError:
        pass
    try:
        return at.look(folder, OPAQUE_FILE) is not None
    except OSError:
        return False
