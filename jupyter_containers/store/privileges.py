"""What this process may do to files, asked once for each store and passed on as a value."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from jupyter_containers.oci.idmap import IDMap
from jupyter_containers.trees.owners import give, give_entry

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

    @property
    def devices(self) -> bool:
        """True when device nodes of an image are made: never where other users see the layers."""
        return self.privileged and not self.shared

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

    def give(self, target: int | str | bytes, uid: int, gid: int) -> None:
        """Set the owner of a file, see :func:`.owners.give`, where this process may."""
        if self.privileged or self.uid == 0:
            give(target, uid, gid)

    def give_entry(self, directory: int, name: bytes, uid: int, gid: int) -> None:
        """Set the owner of an entry, see :func:`.owners.give_entry`, where this process may."""
        if self.privileged or self.uid == 0:
            give_entry(directory, name, uid, gid)

    def image_owner(self, uid: int, gid: int) -> tuple[int, int]:
        """Return the owner to write into a layer for a file of ``uid:gid`` on disk."""
        if self.owners:
            return uid, gid
        return (0 if uid == self.uid else uid), (0 if gid == self.gid else gid)


def _may_administer() -> bool:
    lines = Path("/proc/self/status").read_text().splitlines()
    effective = next(line for line in lines if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) >> _CAP_SYS_ADMIN & 1)
