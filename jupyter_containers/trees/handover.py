"""Removes privileges from files that a container hands to the host.

A container chooses the mode, attributes and kind of its files.  On the host, a set-user-ID program,
a file capability or a device node would give the rights of the user who fetched it to everybody who
can reach it.  Files that are copied out of a container one by one therefore have none of these.
Archives keep everything: their reader decides.
"""

from __future__ import annotations

import os
import stat
from typing import TypeVar

from jupyter_containers.lazy_dataclasses import dataclass

_SET_ID = stat.S_ISUID | stat.S_ISGID
_DEVICES = (stat.S_IFCHR, stat.S_IFBLK)
_Name = TypeVar("_Name", str, bytes)


@dataclass(slots=True)
class Handover:
    """Removes what must not reach the host and counts it; one instance for each command."""

    set_id: int = 0
    attributes: int = 0
    devices: int = 0

    def mode(self, mode: int) -> int:
        """Return permission bits without set-user-ID and set-group-ID."""
        if mode & _SET_ID:
            self.set_id += 1
            return mode & ~_SET_ID
        return mode

    def xattrs(self, found: dict[_Name, bytes]) -> dict[_Name, bytes]:
        """Return only the user's extended attributes (``user.*``)."""
        kept = {name: value for name, value in found.items() if _of_user(name)}
        self.attributes += len(kept) < len(found)
        return kept

    def leaves_out(self, kind: int) -> bool:
        """Return whether entries of a kind (``stat.S_IFMT``) are left out altogether."""
        if kind not in _DEVICES:
            return False
        self.devices += 1
        return True

    def __str__(self) -> str:
        """Return one line about what was left out; empty if nothing was."""
        parts = (
            (self.set_id, "the set-user-ID or set-group-ID bits of {}", "file"),
            (self.attributes, "the security attributes of {}", "file"),
            (self.devices, "{}", "device node"),
        )
        said = [
            text.format(f"{count} {noun}{'s' * (count > 1)}")
            for count, text, noun in parts
            if count
        ]
        return f"left out: {', '.join(said)}; a tar archive keeps them" if said else ""


def _of_user(name: str | bytes) -> bool:
    return os.fsencode(name).startswith(b"user.")
