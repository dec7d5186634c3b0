"""Records that do not decode, and a disk without room, below the engine."""

from __future__ import annotations

import math
import os
import sqlite3
import warnings
from contextlib import closing
from pathlib import Path

import msgspec
import pytest

from jupyter_containers.errors import (
    AlreadyExistsError,
    DamagedRecordError,
    DiskFullError,
    InvalidArgumentError,
    StorageError,
    UnreadableRecordsError,
)
from jupyter_containers.store import Store
from jupyter_containers.store.damage import DamagedRecordWarning, column_text
from jupyter_containers.store.database import Database, put_aside
from jupyter_containers.store.readonly import open_to_read
from jupyter_containers.store.reserve import PIECE_BYTES, PIECES, Reserve


class Thing(msgspec.Struct, frozen=True):
    text: str
    number: float = 0.0


def damage(store: Store, statement: str) -> None:
    with closing(sqlite3.connect(store.root / "records.db")) as database:
        database.execute(statement)
        database.commit()


@pytest.mark.parametrize("number", [math.inf, -math.inf, math.nan])
def test_what_json_cannot_hold_is_not_recorded(store: Store, number: float) -> None:
    """Seen to be written as null at 39323e0, and to end every later read."""
    things = store.records.collection("things", Thing)
    things.insert("1", "one", Thing("x"))
    with pytest.raises(InvalidArgumentError, match="cannot be recorded in things"):
        things.insert("2", "two", Thing("x", number))
    with pytest.raises(InvalidArgumentError):
        things.replace("1", Thing("x", number))
    assert things.all() == [Thing("x")]


@pytest.mark.parametrize("value", ["x'FF00'", "7", "'[]'", "'{\"text\":null}'", "1.5", "''"])
def test_a_damaged_document_is_set_aside(store: Store, value: str) -> None:
    things = store.records.collection("things", Thing)
    for number in "12":
        things.insert(number, f"n{number}", Thing(number))
    damage(store, f"UPDATE documents SET value = {value} WHERE id = '1'")
    with pytest.warns(DamagedRecordWarning, match="the record 1 of things is damaged"):
        assert things.all() == [Thing("2")]
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # it is reported once
        assert things.all() == [Thing("2")]
        assert things.get("1") is things.by_name("n1") is things.find("n1") is None
        assert things.known("1")
        assert not things.known("3")
        with pytest.raises(AlreadyExistsError, match="damaged record"):
            things.insert("3", "n1", Thing("3"))
        with pytest.raises(DamagedRecordError, match="the record 1 of things"):
            things.update("1", lambda one: one)
        (found,) = things.damaged()
        assert (found.id, found.name) == ("1", "n1")
        things.insert("1", "n1", Thing("again"))  # its replacement
    assert things.damaged() == []
    assert things.all() == [Thing("2"), Thing("again")]


def test_a_repair_of_a_document(store: Store) -> None:
    things = store.records.collection("things", Thing)
    things.insert("1", "one", Thing("x"))
    things.insert("2", "two", Thing("y"))
    damage(store, "UPDATE documents SET value = x'00'")
    first, second = things.damaged()
    things.mend(first, Thing("mended"))
    things.mend(second, None)
    assert things.all() == [Thing("mended")]


def test_names_of_rows_are_printable() -> None:
    assert column_text(b"\xff\x00a") == "\\xff\\x00a"
    assert column_text("\x1b[31m\udcff") == "\\x1b[31m\\udcff"
    assert len(column_text("x" * 500)) == 81


def test_damaged_rows_are_found_and_forgotten(store: Store) -> None:
    store.records.cache_put("k", b"1")
    damage(store, "INSERT INTO names VALUES (x'FF', 'x', CAST(x'FF' AS TEXT))")
    damage(store, "INSERT INTO leases VALUES ('a', x'00', 'b')")
    damage(store, "UPDATE cache SET used = 'now'")
    rows = {row.table: row for row in store.damaged_rows()}
    assert set(rows) == {"names", "leases", "cache"}
    for row in rows.values():
        store.forget_row(row)
    assert store.damaged_rows() == []


def test_a_database_that_is_none(tmp_path: Path) -> None:
    Store.open(tmp_path / "r").close()
    path = tmp_path / "r/records.db"
    with pytest.raises(StorageError, match="is not damaged"):
        put_aside(path)
    path.write_bytes(b"\x13" * 8192)
    with pytest.raises(UnreadableRecordsError, match=r"records\.db is damaged") as caught:
        Store.open(tmp_path / "r")
    assert "system check --repair" in caught.value.hint
    put_aside(Path(caught.value.path))
    with Store.open(tmp_path / "r") as store:
        assert store.records.images() == []


def test_the_reserve(tmp_path: Path) -> None:
    asked: list[bool] = []

    def more() -> bool:
        asked.append(True)
        return False

    reserve = Reserve(tmp_path / "reserve", more)
    assert not reserve.give_up()
    reserve.keep()
    files = list((tmp_path / "reserve").iterdir())
    assert len(files) == PIECES
    assert {file.stat().st_blocks * 512 for file in files} == {PIECE_BYTES}
    reserve.ensure()  # there is room here
    assert len(os.listdir(tmp_path / "reserve")) == PIECES
    steps = 0
    asked.clear()
    while reserve.give_up():
        steps += 1
    assert steps == 8
    assert asked == [True]
    reserve.keep()
    assert len(os.listdir(tmp_path / "reserve")) == PIECES


def test_reading_without_writing_sees_the_log(tmp_path: Path) -> None:
    """Committed data that is not yet in the main file is read too."""
    with Store.open(tmp_path / "r") as store:
        things = store.records.collection("things", Thing)
        things.insert("1", "one", Thing("x"))
        refused = DiskFullError("full")
        with closing(open_to_read(tmp_path / "r/records.db", refused)) as connection:
            assert connection.execute("SELECT id FROM documents").fetchall() == [("1",)]
    with closing(open_to_read(tmp_path / "r/records.db", refused)) as connection:
        assert connection.execute("SELECT id FROM documents").fetchall() == [("1",)]
        with pytest.raises(sqlite3.OperationalError):
            connection.execute("DELETE FROM documents")
    with pytest.raises(DiskFullError):
        open_to_read(tmp_path / "none.db", refused)


def test_a_transaction_says_why_nothing_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Store.open(tmp_path / "r").close()

    def full(database: Database) -> None:
        raise DiskFullError("cannot open the records: disk full", hint="free space")

    monkeypatch.setattr(Database, "_open_writable", full)
    with closing(Database(tmp_path / "r/records.db")) as database:
        assert database.query("SELECT count(*) FROM images") == [(0,)]
        for _ in range(2):
            with pytest.raises(DiskFullError, match="disk full"), database.transaction("write"):
                pass
        monkeypatch.undo()
        with database.transaction("write") as connection:
            connection.execute("DELETE FROM images")
