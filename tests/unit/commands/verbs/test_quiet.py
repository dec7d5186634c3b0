"""``run -q`` and ``create -q``: nothing of a pull is shown, warnings are (Docker 28.5)."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

import pytest

from jupyter_containers.commands.parser import parse
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs import containers
from jupyter_containers.events import WARNING, Event, EventSink, TaskStarted


class _Engine:
    flags: dict[str, Any]

    def run(self, image: str, command: object, *, emit: EventSink, **flags: Any) -> str:
        self.flags = flags
        emit(TaskStarted("pull", "Pulling app"))
        emit(TaskStarted(f"{WARNING} 0", "WARNING: no swap"))
        return image

    create = run

    @property
    def containers(self) -> _Engine:
        return self


class _Session:
    def __init__(self) -> None:
        self.engine, self.seen = _Engine(), list[Event]()

    @contextmanager
    def progress(self) -> Iterator[EventSink]:
        yield self.seen.append


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("run -d -q app", ["WARNING: no swap"]),
        ("run -d app", ["Pulling app", "WARNING: no swap"]),
        ("create --quiet app", ["WARNING: no swap"]),
    ],
)
def test_only_warnings_are_shown(line: str, shown: list[str]) -> None:
    verb, _, _ = line.partition(" ")
    session = _Session()
    getattr(containers, verb)(cast("Session", session), parse(line.split()))
    assert [event.title for event in session.seen if isinstance(event, TaskStarted)] == shown
    assert "quiet" not in session.engine.flags
