"""What this process may do to files, asked once for each store and passed on as a value."""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from jupyter_containers.oci.idmap import IDMap

# The owner a file has in its image, where that user does not exist here: ``uid:gid``.
OWNER_MARK = b"user.jupyter-containers.owner"
_CAP_SYS_ADMIN = 21
OVERLAY_NAMESPACES = (b"trusted.overlay.", b"user.overlay.", b"user.fuseoverlayfs.")


@dataclass(frozen=True, slots=True)
class Privileges:
    """Whether owners, devices and ``trusted.*`` attributes can be set.

    ``privileged`` is root of the machine, who can set all.  Root of a user namespace gives files
    to the users that exist there: to ``subordinate`` ones, or to itself only.  A
    ``restricted`` root lacks CAP_SYS_ADMIN, as in most pods: it mounts nothing, and may not set
    ``trusted.*``.  Files of somebody
    who may not are that user's own, who is root (0:0) in the image.  Overlay mounts of everybody
    but the machine's root use ``userxattr``; the layers of a ``shared`` store serve both.
    """

    privileged: bool
    uid: int
    gid: int
    subordinate: bool = False
    shared: bool = False
    restricted: bool = False

    @classmethod
    def current(cls, *, shared: bool = False) -> Privileges:
        """Return what the calling process may do, for a store that other users mount if shared."""
        uid = os.geteuid()
        users = IDMap.of_users()
        root = uid == 0
        restricted = root and users.initial and not _may_administer()
        subordinate = root and users.size > 1
        return cls(root and users.initial, uid, os.getegid(), subordinate, shared, restricted)

    @property
    def owners(self) -> bool:
        """True when a file can be given to other users."""
        return self.privileged or self.subordinate

    def hide_below(self, directory: int) -> None:
        """Let an open directory of a layer hide those of the layers below it."""
        os.setxattr(directory, self.opaque_name, b"y")
        if self.shared and self.privileged:
            # A user's mounts look for this one.
            os.setxattr(directory, b"user.overlay.opaque", b"y")

    @property
    def opaque_name(self) -> bytes:
        """The extended attribute that makes an overlay directory hide those below it."""
        trusted = self.privileged and not self.restricted
        return b"trusted.overlay.opaque" if trusted else b"user.overlay.opaque"

    def give(
        self,
        target: int | bytes,
        uid: int,
        gid: int,
        *,
        dir_fd: int | None = None,
        follow_symlinks: bool = True,
    ) -> None:
        """The file belongs to a user of the image, see :func:`give`, where this process may."""
        if self.privileged or self.uid == 0:
            give(target, uid, gid, dir_fd=dir_fd, follow_symlinks=follow_symlinks)

    def image_owner(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the owner to write into a layer for a file of ``uid:gid`` on disk."""
        if self.owners:
            return uid, gid
        return (0 if uid == self.uid else uid), (0 if gid == self.gid else gid)


def _may_administer() -> bool:
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(line for line in lines if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_SYS_ADMIN & 1)


def give(
    target: int | str | bytes | Path,
    uid: int,
    gid: int,
    *,
    dir_fd: int | None = None,
    follow_symlinks: bool = True,
) -> None:
    """The file belongs to a user and a group of the image, as os.chown has it.

    In a user namespace where they do not exist, and for whoever may not change owners, the file is
    marked, and layers made of it say what the mark says.  Links cannot be marked, nor can files of
    file systems without attributes.
    """
    try:
        os.chown(target, uid, gid, dir_fd=dir_fd, follow_symlinks=follow_symlinks)
        return
    except OSError as error:
        # EPERM: not even root of a namespace, or root without CAP_CHOWN.
        if error.errno not in (errno.EINVAL, errno.EPERM):
            raise
        refused = error
    place: int | str | bytes | Path = target
    if dir_fd is not None and not isinstance(target, int):
        place = b"/proc/self/fd/%d/%s" % (dir_fd, os.fsencode(target))
    try:
        os.setxattr(
            place, OWNER_MARK, b"%d:%d" % (uid, gid), follow_symlinks=isinstance(place, int)
        )
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP):
            raise
        if refused.errno == errno.EPERM and not _is_link(target, dir_fd, follow_symlinks):
            raise refused from error


def _is_link(target: int | str | bytes | Path, dir_fd: int | None, follow_symlinks: bool) -> bool:
    if isinstance(target, int) or follow_symlinks:
        return False
    return stat.S_ISLNK(os.stat(target, dir_fd=dir_fd, follow_symlinks=False).st_mode)


def marked_owner(xattrs: dict[bytes, bytes]) -> tuple[int, int] | None:
    """Take the mark of :func:`give` out of a file's attributes and return what it says."""
    text = xattrs.pop(OWNER_MARK, b"")
    uid, colon, gid = text.partition(b":")
    return (int(uid), int(gid)) if colon and uid.isdigit() and gid.isdigit() else None
