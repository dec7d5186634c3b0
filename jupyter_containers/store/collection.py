"""Named documents: what the engine knows about containers, networks and volumes.

A document is a :class:`msgspec.Struct` stored as JSON under an *id* and, optionally, a *name* that
is unique in its collection.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from typing import Generic, TypeVar

import msgspec

from jupyter_containers.errors import (
    AlreadyExistsError,
    InvalidArgumentError,
    NotFoundError,
    StorageError,
)
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.store.database import Database

T = TypeVar("T", bound=msgspec.Struct)
_SHOWN = 5


def encoded(value: msgspec.Struct) -> bytes:
    """Return a document as JSON; raise :class:`InvalidArgumentError` for what JSON cannot hold."""
    try:
        return msgspec.json.encode(value)
    except (UnicodeEncodeError, OverflowError) as error:
        raise InvalidArgumentError(f"this cannot be recorded: {error}") from error


class Collection(Generic[T]):
    """All documents of one kind; every method is one transaction."""

    def __init__(self, database: Database, name: str, kind: type[T]) -> None:
        self._database = database
        self._name = name
        self._kind = kind
        self._decoder = msgspec.json.Decoder(kind)

    def insert(self, document_id: str, name: str | None, value: T) -> None:
        """Add a document.

        Raises :class:`AlreadyExistsError` naming the holder when the id or the name is taken.
        """
        data = encoded(value)
        with self._database.transaction(f"record a new entry of {self._name}") as connection:
            self._require_free(connection, document_id, name)
            connection.execute(
                "INSERT INTO documents VALUES (?, ?, ?, ?)", (self._name, document_id, name, data)
            )

    def get(self, document_id: str) -> T | None:
        """Return the document with exactly this id, or None."""
        return self._one("id = ?", document_id)

    def by_name(self, name: str) -> T | None:
        """Return the document with exactly this name, or None."""
        return self._one("name = ?", name)

    def find(self, text: str) -> T | None:
        """Return what ``text`` means: a name, an id, or the beginning of exactly one id.

        None when nothing fits; :class:`InvalidArgumentError` listing the candidates when an id
        prefix fits several.
        """
        exact = self.by_name(text) or self.get(text)
        if exact is not None or not text:
            return exact
        rows = self._database.query(
            "SELECT id, value FROM documents WHERE collection = ? AND id >= ? AND id < ?"
            " ORDER BY id LIMIT ?",
            (self._name, text, text + "\U0010ffff", _SHOWN + 1),
        )
        if len(rows) > 1:
            shown = ", ".join(str(row[0])[:12] for row in rows[:_SHOWN])
            more = ", …" if len(rows) > _SHOWN else ""
            raise InvalidArgumentError(
                f"{text!r} is the beginning of several ids: {shown}{more}",
                hint="write more characters of the id",
            )
        return self._decode(rows[0][1]) if rows else None

    def replace(self, document_id: str, value: T, name: str | None = None) -> None:
        """Put ``value`` in place of the document, under a new name if one is given.

        Raises :class:`NotFoundError`, :class:`AlreadyExistsError` when the name is taken.
        """
        self.update(document_id, lambda _: value, name=name)

    def update(self, document_id: str, change: Callable[[T], T], name: str | None = None) -> T:
        """Read, change and write a document with nobody in between; return the new value.

        ``change`` runs inside the transaction: it is to be quick and must not wait for others.
        """
        with self._database.transaction(f"change an entry of {self._name}") as connection:
            row = connection.execute(
                "SELECT value, name FROM documents WHERE collection = ? AND id = ?",
                (self._name, document_id),
            ).fetchone()
            if row is None:
                raise NotFoundError(f"no entry {document_id[:12]} in {self._name}")
            if name is not None and name != row[1]:
                self._require_free(connection, None, name)
            value = change(self._decode(row[0]))
            connection.execute(
                "UPDATE documents SET value = ?, name = ? WHERE collection = ? AND id = ?",
                (
                    encoded(value),
                    row[1] if name is None else name,
                    self._name,
                    document_id,
                ),
            )
        return value

    def delete(self, document_id: str) -> bool:
        """Forget a document; False when it was not there."""
        with self._database.transaction(f"delete an entry of {self._name}") as connection:
            cursor = connection.execute(
                "DELETE FROM documents WHERE collection = ? AND id = ?", (self._name, document_id)
            )
            return cursor.rowcount > 0

    def all(self) -> list[T]:
        """Return all documents in the order in which they were inserted."""
        rows = self._database.query(
            "SELECT value FROM documents WHERE collection = ? ORDER BY rowid", (self._name,)
        )
        return [self._decode(row[0]) for row in rows]

    def _require_free(
        self, connection: sqlite3.Connection, document_id: str | None, name: str | None
    ) -> None:
        row = connection.execute(
            "SELECT id FROM documents WHERE collection = ? AND (id = ? OR name = ?)",
            (self._name, document_id, name),
        ).fetchone()
        if row is None:
            return
        if document_id is not None and row[0] == document_id:
            raise AlreadyExistsError(f"the id {document_id[:12]} is taken")
        raise AlreadyExistsError(
            f"the name {name!r} is used by {str(row[0])[:12]}",
            hint="remove or rename that one, or choose another name",
        )

    def _one(self, condition: str, value: str) -> T | None:
        rows = self._database.query(
            f"SELECT value FROM documents WHERE collection = ? AND {condition}",  # noqa: S608 -- literal
            (self._name, value),
        )
        return self._decode(rows[0][0]) if rows else None

    def _decode(self, data: bytes) -> T:
        try:
            return self._decoder.decode(data)
        except DECODE_ERRORS as error:
            raise StorageError(f"a record in {self._name} is damaged: {error}") from error
