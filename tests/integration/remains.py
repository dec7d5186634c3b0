"""The remains of a store on disk, in its records and in processes that still see it."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from tests.integration.engine_fixtures import Place

# Folders that are empty without containers; those in capitals are in the run root.
OF_CONTAINERS = ("containers", "uppers", "volumes", "staging", "RUNTIME", "MOUNTS", "CGROUPS")
# Folders that are empty if there is also no image, build cache or build.
OF_STORES = (*OF_CONTAINERS, "content/blobs/sha256", "layers", "locks", "BUILDS", "caches")
# Allowed entries at the top of a store and of its run root.
AT_ROOT = (
    *("boot-id", "containers", "content", "ingest", "layers", "locks", "reserve", "uppers"),
    *(
        "records.bell",
        "records.db",
        "records.db-shm",
        "records.db-wal",
        "volumes",
        "contexts",
        "reserve",
    ),
    *("builds", "cgroups", "ended", "mounts", "runtime", "staging", "storage-driver"),
)
_STANDING = {"layers": {"scratch"}}


def remains(place: Place, *names: str) -> dict[str, list[str]]:
    """Return the contents of the store's folders that are not empty."""
    found = {}
    for name in names:
        folder = place.run_root / name.lower() if name.isupper() else place.root / name
        entries = set(os.listdir(folder)) if folder.is_dir() else set()
        if left := sorted(entries - _STANDING.get(name, set())):
            found[name] = left
    return found


def strange(place: Place, *known: str) -> list[str]:
    """Return the entries at the top of root and run root that no part of the engine has there."""
    return sorted({*os.listdir(place.root), *os.listdir(place.run_root)} - set(known))


def rows(place: Place) -> dict[str, int]:
    """Return how many rows the tables of the records have that are empty with the store."""
    with sqlite3.connect(place.root / "records.db") as connection:
        counts = {
            table: connection.execute(f"SELECT COUNT(*) FROM {table}").fetchone()[0]
            for table in ("images", "names", "layers", "leases", "cache")
        }
        documents = connection.execute(
            "SELECT collection, COUNT(*) FROM documents GROUP BY collection"
        ).fetchall()
    kept = ("networks", "builds", "built-steps")  # the default network, the history of builds
    counts |= {name: number for name, number in documents if name not in kept}
    return {name: number for name, number in counts.items() if number}


def onlookers(place: Place) -> list[str]:
    """Return the processes that see something of the store mounted, in whatever namespace."""
    folders = [os.fsencode(folder) for folder in (place.root, place.run_root)]
    found = []
    for entry in Path("/proc").iterdir():
        try:
            mounts = (entry / "mountinfo").read_bytes() if entry.name.isdigit() else b""
            if any(b" %s/" % folder in mounts for folder in folders):
                line = (entry / "cmdline").read_bytes().replace(b"\0", b" ")
                found.append(f"{entry.name} {line.decode(errors='replace')}")
        except OSError:
            continue
    return found
