"""Checks every row of the record database for damage, for ``system check``.

Documents are excluded: their types belong to the engine (:mod:`.collection`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store.damage import column_text
from jupyter_containers.store.database import Database
from jupyter_containers.store.layers import is_sound, layer_of
from jupyter_containers.store.owner import Owner
from jupyter_containers.store.records import cache_entry, image_of, name_of

Row = tuple[Any, ...]


@dataclass(frozen=True, slots=True)
class DamagedRow:
    """A damaged row: its table, a printable form of its key, the key in hexadecimal, the reason."""

    table: str
    label: str
    key: str
    reason: str

    @property
    def subject(self) -> str:
        """The subject of a problem with this row."""
        return f"{self.table}/{self.label}"


@dataclass(frozen=True, slots=True)
class _Table:
    """How to check a table: an expression for its key, the columns to read, and the check."""

    key: str
    columns: str
    look: Callable[[Row], object]


def damaged_rows(database: Database) -> list[DamagedRow]:
    """Return the damaged rows of every table except the documents."""
    found = []
    for table, how in _TABLES.items():
        # All are literals of this module.
        statement = f"SELECT {how.key}, {how.columns} FROM main.{table}"  # noqa: S608  # literals
        for key, *row in database.query(statement):
            try:
                how.look(tuple(row))
            except (msgspec.MsgspecError, TypeError, ValueError) as error:
                found.append(DamagedRow(table, column_text(row[0]), key, column_text(error)))
    return found


def forget_row(database: Database, row: DamagedRow) -> None:
    """Delete a damaged row."""
    how = _TABLES[row.table]
    with database.transaction("remove a damaged record") as connection:
        connection.execute(f"DELETE FROM main.{row.table} WHERE {how.key} = ?", (row.key,))  # noqa: S608  # literals


def _layer(row: Row) -> None:
    layer_of(row)
    if not is_sound(row):
        raise ValueError("its state, owner or time is invalid")


def _lease(row: Row) -> None:
    _texts(row)
    if Owner.parse(row[1]) is None:
        raise ValueError("its owner is not a process")


def _counter(row: Row) -> None:
    if not isinstance(row[1], int):
        raise TypeError("it is not a number")


def _texts(row: Row) -> None:
    for value in row:
        if not isinstance(value, str):
            raise TypeError("it is not a text")
        value.encode()


def _journal(row: Row) -> None:
    number, moment, *texts, attributes = row
    _texts(tuple(texts))
    if not isinstance(moment, int) or not isinstance(number, int):
        raise TypeError("its time is not a number")
    _ATTRIBUTES.decode(attributes)


_ATTRIBUTES = msgspec.json.Decoder(dict[str, str])
_TABLES = {
    "images": _Table("hex(manifest_digest)", "manifest_digest, config_digest, value", image_of),
    "names": _Table("hex(name)", "name, manifest_digest, target_digest", name_of),
    "layers": _Table(
        "hex(chain_id)",
        "chain_id, parent, diff_id, directory, size, entries, blob, state, owner, created",
        _layer,
    ),
    "cache": _Table("hex(key)", "key, value, chain_id, created, used", cache_entry),
    "leases": _Table("hex(lease) || '/' || hex(resource)", "lease, owner, resource", _lease),
    "counters": _Table("hex(name)", "name, value", _counter),
    "blob_sources": _Table(
        "hex(digest) || '/' || hex(registry) || '/' || hex(repository)",
        "digest, registry, repository",
        _texts,
    ),
    "journal": _Table(
        "CAST(sequence AS TEXT)", "sequence, time, type, action, id, attributes", _journal
    ),
}
