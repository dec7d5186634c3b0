"""Owners of files, and the mark that stands for an owner where it cannot be set.

In a user namespace many users of an image do not exist, and an unprivileged process may not change
owners.  The file then keeps its owner on disk and carries an extended attribute with the owner
that it has in the image; layers made of it use the mark.  Links cannot be marked, nor can files of
file systems without attributes.
"""

from __future__ import annotations

import errno
import os
import stat

from jupyter_containers.trees import at

# The owner that a file has in its image, where that user does not exist here: ``uid:gid``.
OWNER_MARK = b"user.jupyter-containers.owner"


def give(target: int | str | bytes | os.PathLike[str], uid: int, gid: int) -> None:
    """Set the owner of an open file, or mark it.

    A path is for the engine's own folders only: the last link in it is followed.  Raises
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
    """Set the owner of one entry of an open directory, or mark it; a link is not followed."""
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
    """Take the mark of :func:`give` out of a file's attributes and return its user and group."""
    text = xattrs.pop(OWNER_MARK, b"")
    uid, colon, gid = text.partition(b":")
    return (int(uid), int(gid)) if colon and uid.isdigit() and gid.isdigit() else None
