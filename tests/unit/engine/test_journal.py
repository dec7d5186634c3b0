from __future__ import annotations

import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from jupyter_containers.engine.journal import Journal, JournalEvent, event_filter
from jupyter_containers.errors import InvalidArgumentError, OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.store.database import Database
from jupyter_containers.store.journal import JournalTable


@pytest.fixture
def journal(tmp_path: Path) -> Iterator[Journal]:
    database = Database(tmp_path / "records.db")
    yield Journal(JournalTable(database))
    database.close()


def test_what_was_recorded_is_read_back_in_order(journal: Journal) -> None:
    journal.record("container", "create", "c1", {"name": "a"})
    journal.record("image", "pull", "busybox:latest")
    events = list(journal.events(follow=False))
    assert [(event.type, event.action, event.id) for event in events] == [
        ("container", "create", "c1"),
        ("image", "pull", "busybox:latest"),
    ]
    assert events[0].attributes == {"name": "a"}
    assert [event.sequence for event in journal.events(follow=False, after=1)] == [2]


def test_a_follower_begins_now_and_ends_at_until(journal: Journal) -> None:
    journal.record("container", "create", "old")
    feed = journal.events(until=datetime.now(UTC) + timedelta(seconds=0.3))
    journal.record("container", "create", "new")
    assert [event.id for event in feed] == ["new"]


def test_since_gives_what_was_before(journal: Journal) -> None:
    start = datetime.now(UTC) - timedelta(seconds=5)
    journal.record("container", "create", "old")
    feed = journal.events(since=start, until=datetime.now(UTC))
    assert [event.id for event in feed] == ["old"]
    assert list(journal.events(since=start, until=start + timedelta(seconds=1))) == []


def test_a_follower_stops_when_it_is_cancelled(journal: Journal) -> None:
    token = CancelToken()
    threading.Timer(0.1, token.cancel).start()
    with pytest.raises(OperationCancelledError):
        list(journal.events(cancel=token))


EVENT = JournalEvent(
    1,
    1_500_000_000,
    "container",
    "exec_start: ls",
    "abc123",
    {"name": "n", "image": "i:1", "l": "v"},
)


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ({"container": ["abc"]}, True),
        ({"container": ["n"]}, True),
        ({"container": ["other", "n"]}, True),
        ({"container": ["x"]}, False),
        ({"event": ["exec_start"]}, True),
        ({"event": ["start"]}, False),
        ({"image": ["i"]}, True),
        ({"image": ["i:1"]}, True),
        ({"image": ["j"]}, False),
        ({"label": ["l"]}, True),
        ({"label": ["l=v"]}, True),
        ({"label": ["l=v", "l=w"]}, False),
        ({"type": ["image", "container"]}, True),
        ({"type": ["volume"]}, False),
        ({"volume": ["n"]}, False),
        ({"scope": ["local"]}, True),
        ({"type": ["container"], "event": ["die"]}, False),
    ],
)
def test_filters_are_dockers(filters: dict[str, list[str]], fits: bool) -> None:
    assert event_filter(filters)(EVENT) is fits


def test_an_unknown_filter_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="invalid filter 'colour'"):
        event_filter({"colour": ["red"]})


def test_the_document_is_that_of_dockers_api() -> None:
    assert EVENT.document() == {
        "status": "exec_start: ls",
        "id": "abc123",
        "from": "i:1",
        "Type": "container",
        "Action": "exec_start: ls",
        "Actor": {"ID": "abc123", "Attributes": {"image": "i:1", "l": "v", "name": "n"}},
        "scope": "local",
        "time": 1,
        "timeNano": 1_500_000_000,
    }
