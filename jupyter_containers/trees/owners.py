"""Owners of files, and the attribute that records an owner that cannot be set.

In a user namespace many users of an image do not exist, and an unprivileged process may not change
owners.  The file then keeps its owner on disk and gets an extended attribute with its owner in the
image; layers made from it use the attribute.  Links, and files on file systems without attributes,
cannot be marked.
"""

from __future__ import annotations

import errno
import os
import stat

from jupyter_containers.trees import at

# The owner of a file in its image, ``uid:gid``, if that user does not exist here.
OWNER_MARK = b"user.jupyter-containers.owner"


def give(target: int | str | bytes | os.PathLike[str], uid: int, gid: int) -> None:
    """Set the owner of an open file, or mark it.

    A path is for the engine's own folders only: the last component may be a link.  Raises
    :class:`OSError`.
    """
    try:
        os.chown(target, uid, gid)
    except OSError as error:
        if not _refused(error):
            raise
        try:
            os.setxattr(target, OWNER_MARK, _mark(uid, gid))
        except OSError as unmarked:
            if not _is_pardoned(unmarked) or error.errno == errno.EPERM:
                raise error from unmarked


def give_entry(directory: int, name: at.Name, uid: int, gid: int) -> None:
    """Set the owner of one entry of an open directory, or mark it; do not follow a link."""
    try:
        at.chown(directory, name, uid, gid)
    except OSError as error:
        if not _refused(error):
            raise
        try:
            at.setxattr(directory, name, OWNER_MARK, _mark(uid, gid))
        except OSError as unmarked:
            is_link = stat.S_ISLNK(at.stat(directory, name).st_mode)
            if not _is_pardoned(unmarked) or (error.errno == errno.EPERM and not is_link):
                raise error from unmarked


def _refused(error: OSError) -> bool:
    # EINVAL: no such user in the namespace; EPERM: not even root of one, or no CAP_CHOWN.
    return error.errno in (errno.EINVAL, errno.EPERM)


def _is_pardoned(error: OSError) -> bool:
    return error.errno in (errno.EPERM, errno.ENOTSUP)


def _mark(uid: int, gid: int) -> bytes:
    return b"%d:%d" % (uid, gid)


def marked_owner(xattrs: dict[bytes, bytes]) -> tuple[int, int] | None:
    """Remove the mark of :func:`give` from a file's attributes; return its user and group."""
    text = xattrs.pop(OWNER_MARK, b"")
    uid, colon, gid = text.partition(b":")
    return (int(uid), int(gid)) if colon and uid.isdigit() and gid.isdigit() else None
