from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.panel.connections import BEACON, TARGET, Connections
from tests.unit.panel.conftest import FakeComm, FakeEngine, FakePage, hello


class Comms:
    def __init__(self) -> None:
        self.targets: dict[str, Any] = {}

    def register_target(self, name: str, callback: Any) -> None:
        self.targets[name] = callback

    def unregister_target(self, name: str, callback: Any) -> None:
        del self.targets[name]


@pytest.fixture
def beacons(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    made: list[Any] = []

    def create(target_name: str) -> Any:
        made.append(SimpleNamespace(name=target_name, open=True))
        made[-1].close = lambda: setattr(made[-1], "open", False)
        return made[-1]

    monkeypatch.setattr("comm.create_comm", create)
    return made


def test_pages_come_and_go(beacons: list[Any]) -> None:
    comms, engine = Comms(), FakeEngine()
    board = Connections(comms, lambda: engine)
    board.open()
    assert beacons[0].name == BEACON
    first, second = FakeComm(), FakeComm()
    for comm in (first, second):
        comms.targets[TARGET](comm, {"content": {"data": hello()}})
        FakePage(comm).wait(lambda said: said["kind"] == "welcome")
    assert len(board) == 2
    first.on_farewell({})
    assert len(board) == 1
    board.hang_up()
    assert second.closed
    assert TARGET in comms.targets
    board.close()
    assert comms.targets == {}
    assert not beacons[0].open


def test_a_page_that_is_reloaded_hangs_up_what_it_left(beacons: list[Any]) -> None:
    comms, engine = Comms(), FakeEngine()
    board = Connections(comms, lambda: engine)
    board.open()
    left, other, new = FakeComm("left"), FakeComm("other"), FakeComm("new")
    for comm in (left, other):
        comms.targets[TARGET](comm, {"content": {"data": hello()}})
    comms.targets[TARGET](new, {"content": {"data": hello() | {"left": ["left", "gone"]}}})
    FakePage(new).wait(lambda said: said["kind"] == "welcome")
    assert (left.closed, other.closed, new.closed) == (True, False, False)
    assert len(board) == 2
    board.close()
