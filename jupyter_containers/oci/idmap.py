"""The IDs of a user namespace; OCI runtime-spec config-linux, "User namespace mappings".

A process's own map is the text of ``/proc/self/uid_map`` (user_namespaces(7)): lines of *inside
outside count*.
"""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass

# The initial user namespace maps every ID but the last, (uid_t) -1, to itself.
_ALL_IDS = 2**32 - 1


@dataclass(frozen=True, slots=True)
class IDMapping:
    """A mapping of ``size`` IDs, from ``container_id`` inside and ``host_id`` outside."""

    container_id: int
    host_id: int
    size: int

    def document(self) -> dict[str, int]:
        """Return the mapping as an object of the runtime specification."""
        return {"containerID": self.container_id, "hostID": self.host_id, "size": self.size}


@dataclass(frozen=True, slots=True)
class IDMap:
    """All mappings of a user namespace, for users or for groups."""

    mappings: tuple[IDMapping, ...] = ()

    @classmethod
    def parse(cls, text: str) -> IDMap:
        """Return the map in the text of a ``uid_map`` or ``gid_map`` file."""
        lines = (line.split() for line in text.splitlines() if line.strip())
        return cls(tuple(IDMapping(int(one), int(two), int(three)) for one, two, three in lines))

    @classmethod
    def of_users(cls) -> IDMap:
        """Return the user ID map of the calling process."""
        return cls.parse(Path("/proc/self/uid_map").read_text())

    @property
    def outside(self) -> int:
        """Return the outside ID of the first of the IDs; 0 if it is not mapped."""
        return self.mappings[0].host_id if self.mappings else 0

    @property
    def text(self) -> str:
        """The text to write to a ``uid_map`` or ``gid_map`` file."""
        return "".join(f"{one.container_id} {one.host_id} {one.size}\n" for one in self.mappings)

    @property
    def initial(self) -> bool:
        """True for the machine's initial user namespace."""
        return self.mappings == (IDMapping(0, 0, _ALL_IDS),)

    @property
    def size(self) -> int:
        """The number of mapped IDs."""
        return sum(one.size for one in self.mappings)

    @property
    def last(self) -> int:
        """The last ID that is mapped without a gap from 0 on."""
        end = 0
        for one in sorted(self.mappings, key=lambda mapping: mapping.container_id):
            end = one.container_id + one.size if one.container_id <= end else end
        return end - 1

    def has(self, identity: int) -> bool:
        """Return whether the ID is mapped inside."""
        return any(
            one.container_id <= identity < one.container_id + one.size for one in self.mappings
        )
