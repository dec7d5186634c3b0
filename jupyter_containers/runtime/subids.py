"""The IDs that a user may assign in user namespaces: subuid(5) and subgid(5)."""

from __future__ import annotations

from pathlib import Path

from jupyter_containers.oci.idmap import IDMapping


def subordinate(file: Path, names: set[str]) -> list[IDMapping]:
    """Return the ranges that belong to a user (by name or number), from ID 1 inside on."""
    try:
        lines = [line.split(":") for line in file.read_text().splitlines()]
    except OSError:
        return []
    found: list[IDMapping] = []
    following = 1
    for fields in lines:
        if len(fields) != 3 or fields[0] not in names:
            continue
        start, size = int(fields[1]), int(fields[2])
        found.append(IDMapping(following, start, size))
        following += size
    return found
