"""What this process may do to files, determined once for each store and passed as a value."""

from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.idmap import IDMap
from jupyter_containers.trees.owners import give, give_entry

_CAP_SYS_ADMIN = 21
OVERLAY_NAMESPACES = (b"trusted.overlay.", b"user.overlay.", b"user.fuseoverlayfs.")


@dataclass(frozen=True, slots=True)
class Privileges:
    """Whether owners, devices and ``trusted.*`` attributes can be set.

    ``privileged`` is root of the machine, who can set all of them.  Root of a user namespace can
    give files to the users that exist there: to ``subordinate`` ones, or to itself only.  A
    ``restricted`` root lacks CAP_SYS_ADMIN, as in most pods: it cannot mount or set ``trusted.*``.
    Files of a process without the right to set owners belong to its user, who is root (0:0) in the
    image.  Overlay mounts of everybody but the machine's root use ``userxattr``; the layers of a
    ``shared`` store serve both.
    """

    privileged: bool
    uid: int
    gid: int
    subordinate: bool = False
    shared: bool = False
    restricted: bool = False

    @classmethod
    def current(cls, *, shared: bool = False) -> Privileges:
        """Return the privileges of this process; ``shared`` for a store that other users mount."""
        uid = os.geteuid()
        users = IDMap.of_users()
        root = uid == 0
        restricted = root and users.initial and not _may_administer()
        subordinate = root and users.size > 1
        return cls(root and users.initial, uid, os.getegid(), subordinate, shared, restricted)

    @property
    def owners(self) -> bool:
        """True if files can be given to other users."""
        return self.privileged or self.subordinate

    @property
    def devices(self) -> bool:
        """True if device nodes of an image are created: never where other users see the layers."""
        return self.privileged and not self.shared

    def hide_below(self, directory: int) -> None:
        """Make an open directory of a layer hide those of the layers below it."""
        os.setxattr(directory, self.opaque_name, b"y")
        if self.shared and self.privileged:
            # Mounts by ordinary users read this one.
            os.setxattr(directory, b"user.overlay.opaque", b"y")

    @property
    def opaque_name(self) -> bytes:
        """The extended attribute that makes an overlay directory hide those below it."""
        trusted = self.privileged and not self.restricted
        return b"trusted.overlay.opaque" if trusted else b"user.overlay.opaque"

    def give(self, target: int | str | bytes, uid: int, gid: int) -> None:
        """Set the owner of a file (:func:`.owners.give`) if this process may."""
        if self.privileged or self.uid == 0:
            give(target, uid, gid)

    def give_entry(self, directory: int, name: bytes, uid: int, gid: int) -> None:
        """Set the owner of an entry (:func:`.owners.give_entry`) if this process may."""
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
