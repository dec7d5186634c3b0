from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import Column
from jupyter_containers.commands.session import TerminalWork
from jupyter_containers.engine.containers.status_text import StatusText
from jupyter_containers.errors import InUseError
from jupyter_containers.widgets.dashboard import DashboardWidget
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.logs import LogsWidget
from tests.unit.widgets.conftest import Page
from tests.unit.widgets.test_stats import reading
from tests.unit.widgets.test_terminal import wait_for


class FakeEngine:
    def __init__(self) -> None:
        self.done: list[Any] = []
        self.containers = self

    def get(self, name: str) -> Any:  # there is one
        return SimpleNamespace(name="web")

    def stats(self, names: list[str]) -> list[Any]:
        return [reading(container_id=name) for name in names]

    def __getattr__(self, verb: str) -> Any:
        def act(name: str, **flags: Any) -> None:
            self.done.append((verb, name, flags))
            if verb == "restart":
                raise InUseError("it cannot", hint="not now")

        return act


@pytest.fixture
def web() -> Any:
    return SimpleNamespace(
        id="c1",
        name="web",
        image="app:1",
        status=SimpleNamespace(alive=True, __str__=lambda self: "running"),
        status_pattern=StatusText("Up {age} (Paused)", time.time() - 200),
        health="healthy",
        ports=["127.0.0.1:8000->80/tcp", "0.0.0.0:53->53/udp", "9000/tcp"],
    )


@pytest.fixture
def dashboard(web: Any, gallery: Gallery) -> DashboardWidget:
    engine: Any = FakeEngine()
    columns = [Column("Name", "NAME")]
    return DashboardWidget(
        engine,
        lambda: Table([web], columns, lambda item: [{"Name": item.name}], "none"),
        lambda name: lambda cancel: iter([b"a line\n"]),
        lambda name: TerminalWork("web · sh", lambda *_: 0),
        gallery,
    )


def test_rows_tell_everything_of_a_container(dashboard: DashboardWidget) -> None:
    dashboard.start()
    page = Page(dashboard)
    page.say("ready")
    wait_for(lambda: "rows" in page.kinds() and page.last("rows")["rows"][0]["cpu"])
    row = page.last("rows")["rows"][0]
    assert (row["name"], row["health"], row["status"]) == (
        "web",
        "healthy",
        "Up 3 minutes (Paused)",
    )
    assert row["ports"] == [
        {"text": "8000→80", "url": "http://127.0.0.1:8000/"},
        {"text": "53→53/udp", "url": ""},
        {"text": "9000/tcp", "url": ""},
    ]
    assert (row["cpu"][0], row["memory"][0], row["limit"]) == (12.5, 1000, 4000)
    assert "web" in dashboard.fallback()[0]


def test_buttons_act_and_tell_what_failed(dashboard: DashboardWidget) -> None:
    page = Page(dashboard)
    page.say("ready")
    engine: Any = dashboard._engine
    for action in ("start", "stop", "remove"):
        page.say("act", action=action, id="c1")
        wait_for(lambda action=action: any(done[0] == action for done in engine.done))
        wait_for(lambda: not dashboard._doing)
    assert ("remove", "c1", {"force": True}) in engine.done
    page.say("act", action="restart", id="c1")
    wait_for(lambda: page.last("notice")["text"] == "it cannot (not now)")
    before = len(engine.done), page.kinds().count("notice")
    page.say("act", action="format_the_disk", id="c1")
    page.say("act", action=["start"], id="c1")
    assert not dashboard._over.wait(0.05)
    assert (len(engine.done), page.kinds().count("notice")) == before


def test_logs_and_terminals_open_below_and_go(dashboard: DashboardWidget, gallery: Gallery) -> None:
    page = Page(dashboard)
    page.say("act", action="logs", id="c1")
    wait_for(lambda: len(dashboard._box.children) == 2)
    logs = dashboard._box.children[1]
    assert isinstance(logs, LogsWidget)
    logs.close()
    assert dashboard._box.children == (dashboard,)
    page.say("act", action="terminal", id="c1")
    wait_for(lambda: len(dashboard._box.children) == 2)
    terminal = dashboard._box.children[1]
    dashboard.close()
    assert terminal.closed
    assert len(gallery) == 0
