from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.panel.connection import Connection
from jupyter_containers.panel.messages import VERSION
from tests.unit.panel.conftest import FakeComm, FakeEngine, FakePage, hello


@pytest.fixture
def comm() -> FakeComm:
    return FakeComm()


@pytest.fixture
def engine() -> FakeEngine:
    return FakeEngine()


@pytest.fixture
def page(comm: FakeComm, engine: FakeEngine) -> Iterator[FakePage]:
    connection = Connection(comm, lambda: engine)  # type: ignore[arg-type]  # as much of it as is needed
    connection.begin(hello())
    page = FakePage(comm)
    page.wait(lambda said: said["kind"] == "changes" and said["section"] == "registries")
    yield page
    connection.close()


def test_a_page_is_welcomed_and_told_everything(page: FakePage) -> None:
    [welcome] = page.told("welcome")
    assert (welcome["version"], welcome["store"]) == (VERSION, "/store")
    changes = page.told("changes")
    assert {one["section"] for one in changes} == {
        *("containers", "images", "volumes", "networks", "builds", "registries")
    }
    assert all(one["whole"] for one in changes)
    [volumes] = [one for one in changes if one["section"] == "volumes"]
    assert volumes["put"][0] | {"id": "data", "created": 5.0, "containers": []} == volumes["put"][0]


def test_registries_are_those_with_credentials_too(page: FakePage, engine: FakeEngine) -> None:
    [told] = [one for one in page.told("changes") if one["section"] == "registries"]
    assert told["put"] == [{"id": "quay.io", "container": "", "volume": "", "credentials": True}]
    engine.damaged = True
    # A command may have logged in or out: the list is looked at again.
    page.call("command", line="version")
    told = page.wait(lambda said: said["kind"] == "changes" and said["gone"] == ["quay.io"])
    assert told["section"] == "registries"


def test_an_event_tells_what_is_different(page: FakePage, engine: FakeEngine) -> None:
    engine.volume_names = ["data", "more"]
    engine.happen("volume", "create")
    told = page.wait(lambda said: said["kind"] == "changes" and not said["whole"])
    assert ([one["id"] for one in told["put"]], told["gone"]) == (["more"], [])
    engine.volume_names = ["more"]
    engine.happen("volume", "destroy")
    told = page.wait(lambda said: said["kind"] == "changes" and said["gone"] != [])
    assert (told["put"], told["gone"]) == ([], ["data"])
    # Events without a change are not sent.
    before = len(page.told("changes"))
    engine.happen("volume", "create")
    engine.happen("container", "exec_start: sh")
    assert page.call("inspect", what="volume", name="more")["kind"] == "answer"
    assert len(page.told("changes")) == before


def test_calls_are_answered_by_number(page: FakePage, engine: FakeEngine) -> None:
    assert page.call("act", action="stop", id="web") == {"kind": "answer", "id": 1, "value": None}
    assert engine.done == [("stop", "web")]
    value = page.call("inspect", what="container", name="web")["value"]
    assert value == {"Name": "web", "Kind": "container"}
    value = page.call("complete", before="FROM busy")["value"]
    assert value == {"replaces": 4, "matches": ["busybox:latest"]}


def test_errors_are_values(page: FakePage) -> None:
    trouble = page.call("act", action="stop", id="nowhere")["trouble"]
    assert trouble == {
        "name": "ContainerNotFoundError",
        "message": "no such container: nowhere",
        "hint": "look at ps",
    }


def test_a_fault_of_ours_is_told_too(page: FakePage, monkeypatch: pytest.MonkeyPatch) -> None:
    raised: list[object] = []
    monkeypatch.setattr(threading, "excepthook", lambda info: raised.append(info.exc_value))
    assert page.call("act", action="stop", id="broken")["trouble"]["name"] == "RuntimeError"
    assert str(raised[0]) == "a fault of ours"


def test_a_value_that_cannot_be_sent_is_told_too(
    page: FakePage, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Seen to fail when only the call was tried, not the answer: the page had none."""
    monkeypatch.setattr(threading, "excepthook", lambda info: None)
    answer = page.call("inspect", what="container", name="odd")
    assert answer["trouble"]["name"] == "TypeError"


@pytest.mark.parametrize(
    "call",
    [
        {"do": "explode"},
        {"do": "act", "action": "stop"},
        {"do": "act", "action": 1},
        {"do": "act", "action": "stop", "id": "\ud800"},
        {"do": "\ud800"},
        {"do": "check", "text": "FROM \udfff"},
        None,
    ],
)
def test_what_is_no_call_is_refused(page: FakePage, comm: FakeComm, call: object) -> None:
    page.say({"kind": "request", "id": 77, "call": call})
    failure = page.wait(lambda said: said.get("id") == 77)
    assert (failure["kind"], failure["trouble"]["name"]) == ("failure", "ProtocolError")
    page.say("no mapping at all")
    page.say({"kind": "to_view", "channel": 9, "content": {}})
    assert not comm.closed


def test_versions_that_differ_are_said_and_the_line_ends(comm: FakeComm) -> None:
    Connection(comm, FakeEngine).begin(hello(98, 99))
    [(refused, _)] = comm.told
    assert "version 98, 99" in refused["trouble"]["message"]
    assert comm.closed


@pytest.mark.parametrize("data", [None, "hello", {"versions": "1"}, {}])
def test_a_page_that_says_no_hello_is_refused(comm: FakeComm, data: object) -> None:
    Connection(comm, FakeEngine).begin(data)
    assert comm.told[0][0]["kind"] == "refused"
    assert comm.closed


def test_an_engine_that_cannot_be_made_is_said(comm: FakeComm) -> None:
    def provide() -> FakeEngine:
        raise UnsupportedError("needs root", capability="root", provided_by="sudo")

    Connection(comm, provide).begin(hello())
    refused = FakePage(comm).wait(lambda said: said["kind"] == "refused")
    assert refused["trouble"]["name"] == "UnsupportedError"


def test_messages_do_not_wait_for_the_cell_that_runs(comm: FakeComm) -> None:
    Connection(comm, FakeEngine)
    assert comm._reply_subshell_for is None


def test_closing_ends_the_threads(comm: FakeComm, engine: FakeEngine) -> None:
    closed: list[Connection] = []
    connection = Connection(comm, lambda: engine, closed.append)
    connection.begin(hello())
    FakePage(comm).wait(lambda said: said["kind"] == "changes")
    comm.on_farewell({})
    connection.close()
    assert closed == [connection]
    told = len(comm.told)
    connection.tell(line_answer())
    assert len(comm.told) == told
    for thread in threading.enumerate():
        if thread.name.startswith("panel-"):
            thread.join(2)
            assert not thread.is_alive()


def line_answer() -> object:
    from jupyter_containers.panel.messages import Answer

    return Answer(1)


def test_a_page_says_farewell(page: FakePage, comm: FakeComm) -> None:
    assert not comm.closed
    page.say({"kind": "farewell"})
    assert comm.closed
