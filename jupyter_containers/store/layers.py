"""The records of unpacked layers: the directory of each layer, and whether it is complete.

States: ``incomplete`` (being unpacked or removed) and ``ready``.  Only ready layers are used.
"""

from __future__ import annotations

import base64
import time
from contextlib import AbstractContextManager
from typing import Any

import msgspec

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.descriptor import Descriptor, is_digest
from jupyter_containers.store.database import Database
from jupyter_containers.store.owner import Owner

NAME_LENGTH = 10
_DIRECTORY = pattern(r"(@[a-z2-7]+/)?[a-z2-7]{10}")
_BLOB = msgspec.json.Decoder(Descriptor)
_COLUMNS = "chain_id, parent, diff_id, directory, size, entries, blob"


@dataclass(frozen=True, slots=True)
class LayerRecord:
    """An unpacked layer.

    ``size`` is the bytes of its regular files, ``entries`` the number of members of its archive (0:
    the layer changes nothing), ``blob`` the archive that it was unpacked from or written to.
    """

    chain_id: str
    parent_chain_id: str
    diff_id: str
    directory: str
    size: int
    entries: int
    blob: Descriptor


class Layers:
    """The layer table."""

    def __init__(self, database: Database) -> None:
        self._database = database
        # Whether the layers of additional stores are included.
        self.additional = bool(database.additional)

    def ready(self, chain_id: str) -> LayerRecord | None:
        """Return a complete layer, or None."""
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM layers WHERE chain_id = ? AND state = 'ready'",  # noqa: S608  # literals
            (chain_id,),
        )
        return self._sound(rows)

    def offered(self, chain_id: str) -> LayerRecord | None:
        """Return a layer of an additional store that cannot be mounted here, or None."""
        if not self.additional:
            return None
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM offered WHERE chain_id = ?",  # noqa: S608  # literals
            (chain_id,),
        )
        # The view names a folder without a link here.
        return self._sound([(*row[:3], str(row[3]).lstrip("/"), *row[4:]) for row in rows])

    def known(self, chain_id: str) -> bool:
        """Return whether the layer exists here or in an additional store."""
        return self.ready(chain_id) is not None or self.offered(chain_id) is not None

    def all(self) -> list[LayerRecord]:
        """Return all complete layers of this store itself, oldest first."""
        rows = self._database.query(
            f"SELECT {_COLUMNS} FROM main.layers WHERE state = 'ready' ORDER BY created"  # noqa: S608  # literals
        )
        found = (self._sound([row]) for row in rows)
        return [record for record in found if record is not None]

    def damaged(self) -> bool:
        """Return whether a record of this store itself is damaged."""
        rows = self._database.query(
            f"SELECT {_COLUMNS}, state, owner, created FROM main.layers"  # noqa: S608  # literals
        )
        return any(not is_sound(row) for row in rows)

    def stack(self, chain_id: str) -> list[str]:
        """Return the directories of a layer and those below it, topmost first.

        Incomplete if a layer is missing; the caller checks the length.
        """
        rows = self._database.query(
            """WITH RECURSIVE stack (directory, parent, depth) AS (
                SELECT directory, parent, 0 FROM layers WHERE chain_id = ? AND state = 'ready'
                UNION ALL
                SELECT layers.directory, layers.parent, depth + 1 FROM layers, stack
                WHERE layers.chain_id = stack.parent AND layers.state = 'ready' AND depth < 1000
            ) SELECT directory, parent FROM stack ORDER BY depth""",
            (chain_id,),
        )
        if not rows or rows[-1][1] or not all(_is_directory(row[0]) for row in rows):
            return []
        return [row[0] for row in rows]

    def begin(self, chain_id: str, parent: str, diff_id: str, blob: Descriptor) -> str:
        """Record an incomplete layer before anything is on disk; return its directory's name."""
        with self._database.transaction("record a layer") as connection:
            taken = {
                row[0]: row[1]
                for row in connection.execute("SELECT directory, chain_id FROM main.layers")
            }
            attempt = 0
            name = directory_name(chain_id)
            while taken.get(name, chain_id) != chain_id:
                attempt += 1
                name = directory_name(f"{chain_id} {attempt}")
            connection.execute(
                "INSERT OR REPLACE INTO main.layers"
                " VALUES (?, ?, ?, ?, 'incomplete', ?, 0, 0, ?, ?)",
                (
                    chain_id,
                    parent,
                    diff_id,
                    name,
                    str(Owner.current()),
                    msgspec.json.encode(blob),
                    time.time(),
                ),
            )
        return name

    def complete(self, chain_id: str, size: int, entries: int, blob: Descriptor) -> None:
        """Mark a layer as ready; its directory and its blob are in place and durable."""
        with self._database.transaction("record a layer") as connection:
            connection.execute(
                "UPDATE main.layers SET state = 'ready', size = ?, entries = ?, blob = ?"
                " WHERE chain_id = ?",
                (size, entries, msgspec.json.encode(blob), chain_id),
            )

    def mark_incomplete(self, chain_id: str) -> None:
        """Take a layer out of use before its directory is removed."""
        with self._database.transaction("remove a layer") as connection:
            connection.execute(
                "UPDATE main.layers SET state = 'incomplete', owner = ? WHERE chain_id = ?",
                (str(Owner.current()), chain_id),
            )

    def deletion(self) -> AbstractContextManager[object]:
        """Return the write transaction in which leases are checked and layers marked."""
        return self._database.transaction("remove what is unused")

    def forget(self, chain_id: str) -> None:
        """Delete the record of a removed directory."""
        with self._database.transaction("remove a layer") as connection:
            connection.execute("DELETE FROM main.layers WHERE chain_id = ?", (chain_id,))

    def children(self, chain_id: str) -> list[str]:
        """Return the chain IDs of the layers directly above."""
        rows = self._database.query(
            "SELECT chain_id FROM main.layers WHERE parent = ?", (chain_id,)
        )
        return [row[0] for row in rows if isinstance(row[0], str)]

    def incomplete(self) -> list[tuple[str, str, str]]:
        """Return chain ID, directory and owner of the layers that are being unpacked or removed."""
        rows = self._database.query(
            "SELECT chain_id, directory, owner FROM main.layers WHERE state = 'incomplete'"
        )
        return [
            (row[0], row[1], row[2])
            for row in rows
            if _is_digest(row[0]) and _is_directory(row[1]) and isinstance(row[2], str)
        ]

    def directories(self) -> set[str]:
        """Return the directory names of all records."""
        return {row[0] for row in self._database.query("SELECT directory FROM main.layers")}

    def _sound(self, rows: list[tuple[Any, ...]]) -> LayerRecord | None:
        """Return the layer of the first row; None for no row or, with a warning, a damaged one."""
        for row in rows[:1]:
            try:
                return layer_of(row)
            except (msgspec.MsgspecError, TypeError, ValueError) as error:
                self._database.set_aside.note("layers", row[0], error)
        return None


def layer_of(row: tuple[Any, ...]) -> LayerRecord:
    """Return the layer of a row; raise :class:`ValueError` or :class:`msgspec.MsgspecError`."""
    chain, parent, diff_id, directory, size, entries = row[:6]
    if not (_is_digest(chain) and _is_digest(diff_id) and (parent == "" or _is_digest(parent))):
        raise ValueError("it names no layer")
    if not _is_directory(directory):
        raise ValueError("it names no directory")
    if not all(isinstance(number, int) and number >= 0 for number in (size, entries)):
        raise ValueError("its size is not a number")
    blob = _BLOB.decode(row[6])
    if not is_digest(blob.digest):
        raise ValueError("it names no archive")
    return LayerRecord(chain, parent, diff_id, directory, size, entries, blob)


def is_sound(row: tuple[Any, ...]) -> bool:
    """Return whether a row (with state, owner and creation time) is undamaged."""
    try:
        layer_of(row)
    except (msgspec.MsgspecError, TypeError, ValueError):
        return False
    state, owner, created = row[7:10]
    timed = isinstance(created, float)
    return state in ("ready", "incomplete") and isinstance(owner, str) and timed


def _is_digest(value: object) -> bool:
    return isinstance(value, str) and is_digest(value)


def _is_directory(value: object) -> bool:
    """Return whether a directory name is valid: here, or through the link to another store."""
    return isinstance(value, str) and _DIRECTORY.fullmatch(value) is not None


def directory_name(text: str) -> str:
    """Return a short name: hundreds of them have to fit one page of mount options."""
    digest = hashlib.sha256(text.encode()).digest()
    return base64.b32encode(digest).decode().lower()[:NAME_LENGTH]
