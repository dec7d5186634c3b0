"""What this process may do to files, asked once for each store and passed on as a value."""

from __future__ import annotations

import os
from dataclasses import dataclass

OVERLAY_NAMESPACES = (b"trusted.overlay.", b"user.overlay.")


@dataclass(frozen=True, slots=True)
class Privileges:
    """Whether owners, devices and ``trusted.*`` attributes can be set.

    An unprivileged user's files all belong to that user, who is root (0:0) in the image; overlay
    mounts then use ``userxattr``.
    """

    privileged: bool
    uid: int
    gid: int

    @classmethod
    def current(cls) -> Privileges:
        """Return what the calling process may do."""
        uid = os.geteuid()
        return cls(uid == 0, uid, os.getegid())

    @property
    def opaque_name(self) -> bytes:
        """The extended attribute that makes an overlay directory hide those below it."""
        return b"trusted.overlay.opaque" if self.privileged else b"user.overlay.opaque"

    def image_owner(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the owner to write into a layer for a file of ``uid:gid`` on disk."""
        if self.privileged:
            return uid, gid
        return (0 if uid == self.uid else uid), (0 if gid == self.gid else gid)
