"""Named documents: the records of containers, networks and volumes.

A document is a :class:`msgspec.Struct` stored as JSON under an *id* and, optionally, a *name* that
is unique in its collection.  A document that cannot be decoded is set aside (:mod:`.damage`): no
lookup returns it, but it keeps its ID and name.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from jupyter_containers.errors import (
    AlreadyExistsError,
    DamagedRecordError,
    InvalidArgumentError,
    NotFoundError,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.options.written import from_json, to_json
from jupyter_containers.store.damage import column_text
from jupyter_containers.store.database import Database

T = TypeVar("T", bound=msgspec.Struct)
_SHOWN = 5


def encoded(value: msgspec.Struct) -> bytes:
    """Return a document as JSON; raise :class:`InvalidArgumentError` if JSON cannot hold it."""
    try:
        return msgspec.json.encode(value, enc_hook=to_json)
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidArgumentError(f"this cannot be recorded: {error}") from error


class Collection(Generic[T]):
    """All documents of one kind; every method is one transaction."""

    def __init__(self, database: Database, name: str, kind: type[T]) -> None:
        self._database = database
        self.name = name
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind, dec_hook=from_json)

    def insert(self, document_id: str, name: str | None, value: T) -> None:
        """Add a document.

        Raises :class:`AlreadyExistsError`, which names the other document, if the ID or the name is
        taken.
        """
        data = self._encode(value)
        with self._database.transaction(f"record a new entry of {self.name}") as connection:
            self._require_free(connection, document_id, name)
            connection.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?)", (self.name, document_id, name, data)
            )

    def get(self, document_id: str) -> T | None:
        """Return the document with exactly this ID, or None."""
        return self._one("id = ?", document_id)

    def known(self, document_id: str) -> bool:
        """Return whether a document with this ID exists, damaged or not."""
        rows = self._database.query(
            "SELECT 1 FROM documents WHERE collection = ? AND id = ?", (self.name, document_id)
        )
        return bool(rows)

    def by_name(self, name: str) -> T | None:
        """Return the document with exactly this name, or None."""
        return self._one("name = ?", name)

    def find(self, text: str) -> T | None:
        """Return the document with the name or ID ``text``, or with the one ID that begins with it.

        Returns None if there is none; raises :class:`InvalidArgumentError`, which lists the
        candidates, if several IDs begin with it.
        """
        exact = self.by_name(text) or self.get(text)
        if exact is not None or not text:
            return exact
        rows = self._database.query(
            "SELECT id, value FROM documents WHERE collection = ? AND id >= ? AND id < ?"
            " ORDER BY id LIMIT ?",
            (self.name, text, text + "\U0010ffff", _SHOWN + 1),
        )
        if len(rows) > 1:
            shown = ", ".join(str(row[0])[:12] for row in rows[:_SHOWN])
            more = ", …" if len(rows) > _SHOWN else ""
            raise InvalidArgumentError(
                f"{text!r} is the beginning of several ids: {shown}{more}",
                hint="write more characters of the id",
            )
        return self._sound(rows[0]) if rows else None

    def replace(self, document_id: str, value: T, name: str | None = None) -> None:
        """Replace a document, optionally under a new name.

        Raises :class:`NotFoundError`, or :class:`AlreadyExistsError` if the name is taken.
        """
        self.update(document_id, lambda _: value, name=name)

    def update(self, document_id: str, change: Callable[[T], T], name: str | None = None) -> T:
        """Read, change and write a document atomically; return the new value.

        ``change`` runs inside the transaction: it must be fast and must not wait for others.
        """
        with self._database.transaction(f"change an entry of {self.name}") as connection:
            row = connection.execute(
                "SELECT value, name FROM documents WHERE collection = ? AND id = ?",
                (self.name, document_id),
            ).fetchone()
            if row is None:
                raise NotFoundError(f"no entry {document_id[:12]} in {self.name}")
            if name is not None and name != row[1]:
                self._require_free(connection, None, name)
            value = change(self._decode(row[0], document_id))
            connection.execute(
                "UPDATE documents SET value = ?, name = ? WHERE collection = ? AND id = ?",
                (
                    self._encode(value),
                    row[1] if name is None else name,
                    self.name,
                    document_id,
                ),
            )
        return value

    def delete(self, document_id: str) -> bool:
        """Delete a document; return False if it does not exist."""
        with self._database.transaction(f"delete an entry of {self.name}") as connection:
            cursor = connection.execute(
                "DELETE FROM documents WHERE collection = ? AND id = ?", (self.name, document_id)
            )
            return cursor.rowcount > 0

    def all(self) -> list[T]:
        """Return all documents in the order in which they were inserted."""
        rows = self._database.query(
            "SELECT id, value FROM documents WHERE collection = ? ORDER BY rowid", (self.name,)
        )
        found = (self._sound(row) for row in rows)
        return [value for value in found if value is not None]

    def damaged(self) -> list[DamagedDocument]:
        """Return the damaged documents."""
        rows = self._database.query(
            "SELECT rowid, id, name, value FROM documents WHERE collection = ? ORDER BY rowid",
            (self.name,),
        )
        found = []
        for number, document_id, name, value in rows:
            try:
                self._decode(value, document_id)
            except DamagedRecordError as error:
                data = value if isinstance(value, bytes) else str(value).encode(errors="replace")
                reason = column_text(error.__cause__)
                row = DamagedDocument(number, str(document_id), name, data, reason)
                found.append(row)
        return found

    def mend(self, damaged: DamagedDocument, value: T | None) -> None:
        """Replace a damaged document by a value, or delete it."""
        with self._database.transaction(f"mend an entry of {self.name}") as connection:
            if value is None:
                connection.execute("DELETE FROM documents WHERE rowid = ?", (damaged.row,))
            else:
                connection.execute(
                    "UPDATE documents SET value = ? WHERE rowid = ?",
                    (self._encode(value), damaged.row),
                )

    def decoded(self, data: bytes) -> T | None:
        """Return the decoded document, or None if ``data`` is damaged."""
        try:
            return self._decode(data, "")
        except DamagedRecordError:
            return None

    def _require_free(
        self, connection: sqlite3.Connection, document_id: str | None, name: str | None
    ) -> None:
        row = connection.execute(
            "SELECT id, value FROM documents WHERE collection = ? AND (id = ? OR name = ?)",
            (self.name, document_id, name),
        ).fetchone()
        if row is None:
            return
        if document_id is not None and row[0] == document_id and self._sound(row) is None:
            # A damaged document gives way to its replacement.
            connection.execute(
                "DELETE FROM documents WHERE collection = ? AND id = ?", (self.name, document_id)
            )
            return
        if document_id is not None and row[0] == document_id:
            raise AlreadyExistsError(f"the id {document_id[:12]} is taken")
        if self._sound(row) is None:
            raise AlreadyExistsError(
                f"the name {name!r} belongs to a damaged record",
                hint="repair or remove it: system check --repair",
            )
        raise AlreadyExistsError(
            f"the name {name!r} is used by {str(row[0])[:12]}",
            hint="remove or rename that one, or choose another name",
        )

    def _one(self, condition: str, value: str) -> T | None:
        rows = self._database.query(
            f"SELECT id, value FROM documents WHERE collection = ? AND {condition}",  # noqa: S608  # literal
            (self.name, value),
        )
        return self._sound(rows[0]) if rows else None

    def _encode(self, value: T) -> bytes:
        """Return a document as JSON that can be read back: infinity would be written as null.

        Raises :class:`InvalidArgumentError`.
        """
        data = encoded(value)
        try:
            self._decoder.decode(data)
        except DECODE_ERRORS as error:
            raise InvalidArgumentError(
                f"this cannot be recorded in {self.name}: {error}",
                hint="numbers must be finite and texts valid",
            ) from error
        return data

    def _sound(self, row: tuple[object, bytes]) -> T | None:
        """Return the document of a row (ID and value); None, with a warning, if it is damaged."""
        try:
            return self._decode(row[1], row[0])
        except DamagedRecordError as error:
            self._database.set_aside.note(self.name, row[0], error.__cause__)
            return None

    def _decode(self, data: bytes, document_id: object) -> T:
        try:
            return self._decoder.decode(data)
        except (*DECODE_ERRORS, TypeError) as error:
            raise DamagedRecordError(
                f"the record {column_text(document_id)} of {self.name} is damaged: {error}",
                hint="to repair it: system check --repair",
            ) from error


@dataclass(frozen=True, slots=True)
class DamagedDocument:
    """A document that cannot be decoded: its row number, ID, name and bytes, and the reason."""

    row: int
    id: str
    name: str | None
    data: bytes
    reason: str
