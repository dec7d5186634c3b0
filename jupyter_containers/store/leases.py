"""Leases: work in progress names its resources, and garbage collection spares them.

The order that makes this safe is *lease first, then look up*: a deletion checks the leases inside
its own write transaction, so it comes either before the lease (and the lookup finds nothing) or
after it (and is not done).  A lease ends with its block or with its process.

Each release increments the *epoch*.  Garbage collection computes what is referenced, and starts
over if the epoch has changed: the resources of the released lease may have been referenced only
since then.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from jupyter_containers.lazy_modules import secrets
from jupyter_containers.store.database import Database
from jupyter_containers.store.faults import finishing
from jupyter_containers.store.owner import Owner


class Lease:
    """A live lease, ``id`` in the records; :meth:`add` protects one more digest or chain id."""

    def __init__(self, database: Database, lease: str, owner: str) -> None:
        self._database = database
        self.id = lease
        self._owner = owner

    def add(self, *resources: str) -> None:
        """Protect more resources until the lease ends."""
        with self._database.transaction("take a lease") as connection:
            connection.executemany(
                "INSERT OR IGNORE INTO leases VALUES (?, ?, ?)",
                [(self.id, self._owner, resource) for resource in resources if resource],
            )


class Leases:
    """The leases of all processes that share the store."""

    def __init__(self, database: Database) -> None:
        self._database = database

    @contextmanager
    def hold(self, resources: Iterable[str] = ()) -> Iterator[Lease]:
        """Protect ``resources`` (digests, chain IDs) while the block runs."""
        lease = Lease(self._database, secrets.token_hex(8), str(Owner.current()))
        with finishing(lambda: self._release(lease.id)):
            lease.add(*resources)
            yield lease

    def _release(self, lease: str) -> None:
        with self._database.transaction("end a lease") as connection:
            _end(connection, "lease", lease)

    def protected(self) -> frozenset[str]:
        """Return the resources of all live leases."""
        rows = self._rows()
        return frozenset(row[0] for row in rows if _alive(row[1]) and isinstance(row[0], str))

    def sweep(self) -> int:
        """End the leases of dead processes; return the number of processes."""
        owners = {row[1] for row in self._rows()}
        dead = [owner for owner in owners if not _alive(owner)]
        for owner in dead:
            with self._database.transaction("end the leases of a dead process") as connection:
                _end(connection, "owner", owner)
        return len(dead)

    def epoch(self) -> int:
        """Return a number that grows with each lease that ends."""
        rows = self._database.query("SELECT value FROM counters WHERE name = 'lease epoch'")
        # A damaged number is replaced when the next lease ends.
        return rows[0][0] if rows and isinstance(rows[0][0], int) else 0

    def holds(self, resource: str) -> bool:
        """Return whether a live lease names ``resource``; call it in the deleting transaction."""
        rows = self._database.query("SELECT owner FROM leases WHERE resource = ?", (resource,))
        return any(_alive(row[0]) for row in rows)

    def _rows(self) -> list[tuple[str, str]]:
        return [
            (row[0], row[1]) for row in self._database.query("SELECT resource, owner FROM leases")
        ]


def _alive(text: object) -> bool:
    if not isinstance(text, str):
        return False  # damaged, and swept like that of a dead process
    owner = Owner.parse(text)
    return owner is not None and owner.alive


def _end(connection: sqlite3.Connection, column: str, value: str) -> None:
    connection.execute(f"DELETE FROM leases WHERE {column} = ?", (value,))  # noqa: S608  # literal
    connection.execute(
        "INSERT INTO counters VALUES ('lease epoch', 1)"
        " ON CONFLICT (name) DO UPDATE SET value = value + 1"
    )
