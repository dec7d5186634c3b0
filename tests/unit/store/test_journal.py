from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.store.database import Database
from jupyter_containers.store.journal import JournalTable


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "records.db")
    yield database
    database.close()


def test_entries_are_numbered_in_order_and_survive_the_process(database: Database) -> None:
    table = JournalTable(database)
    assert table.last() == 0
    numbers = [table.append(n, "container", "start", f"id{n}", b"{}") for n in range(3)]
    assert numbers == [1, 2, 3]
    database.close()
    reopened = Database(database.path)
    again = JournalTable(reopened)
    assert [entry.id for entry in again.after(1)] == ["id1", "id2"]
    assert again.last() == 3
    reopened.close()


def test_old_entries_go_and_their_numbers_are_never_given_again(database: Database) -> None:
    table = JournalTable(database, kept=10)
    for n in range(256):
        table.append(n, "image", "pull", "x", b"{}")
    assert [entry.sequence for entry in table.after(0)] == list(range(247, 257))
    assert table.append(1, "image", "pull", "x", b"{}") == 257


def test_a_change_and_its_entry_are_there_together_or_not_at_all(database: Database) -> None:
    table = JournalTable(database)

    def broken_off() -> None:
        with table.together():
            table.append(1, "container", "start", "x", b"{}")
            raise RuntimeError("the process might as well be killed here")

    with pytest.raises(RuntimeError):
        broken_off()
    assert table.after(0) == []
    with table.together():
        table.append(1, "container", "start", "x", b"{}")
        table.append(2, "container", "die", "x", b"{}")
    assert [entry.action for entry in table.after(0)] == ["start", "die"]


def test_a_reader_is_woken_when_changes_made_together_can_be_read(database: Database) -> None:
    table, other = JournalTable(database), Database(database.path)
    table.last()
    writer = JournalTable(other)
    with table.watch() as watch:
        with writer.together():
            writer.append(1, "volume", "create", "v", b"{}")
            watch.wait(1.0)  # too early: it finds nothing
            assert table.after(0) == []
        assert watch.wait(1.0)
        assert len(table.after(0)) == 1
    other.close()


def test_a_reader_is_woken_by_another_connections_write(database: Database) -> None:
    table, other = JournalTable(database), Database(database.path)
    table.last()
    with table.watch() as watch:
        assert not watch.wait(0.0)
        writer = threading.Timer(
            0.05, JournalTable(other).append, (1, "volume", "create", "v", b"{}")
        )
        writer.start()
        begun = time.monotonic()
        assert watch.wait(10.0)
        assert time.monotonic() - begun < 5
        writer.join()
    assert table.last() == 1
    other.close()
