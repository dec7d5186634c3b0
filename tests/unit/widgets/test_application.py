"""The live view of an application: its messages, its refreshing, its buttons."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.commands.render.application import ApplicationView
from jupyter_containers.errors import InUseError
from jupyter_containers.events import CancelToken
from jupyter_containers.widgets.application import ApplicationWidget
from jupyter_containers.widgets.gallery import Gallery
from tests.unit.commands.render.applications import project, service
from tests.unit.widgets.conftest import Page
from tests.unit.widgets.test_following import Feed
from tests.unit.widgets.test_terminal import wait_for


class Application:
    """A fake application: records the widget's calls, and blocks them if a test wants that."""

    def __init__(self) -> None:
        self.status = project(service("web", "db"), service("db", health="starting"))
        self.done: list[tuple[str, str]] = []
        self.gate = threading.Event()
        self.gate.set()

    def look(self) -> Any:
        return self.status

    def act(self, action: str, service: str) -> None:
        self.gate.wait(5)
        self.done.append((action, service))
        if action == "down":
            raise InUseError("it is in use", hint="wait")

    def log(self, service: str) -> Any:
        def lines(_: CancelToken) -> Iterator[bytes]:
            yield f"{service or 'all'} says hello\n".encode()

        return lines


class Engine(Feed):
    """A feed of events, and containers that use something."""

    def __init__(self) -> None:
        super().__init__()
        self.containers = self

    def stats(self, names: list[str]) -> list[Any]:
        return [
            SimpleNamespace(container_id=name, cpu_percent=1.25, memory_usage=1000)
            for name in names
        ]


@pytest.fixture
def application() -> Application:
    return Application()


@pytest.fixture
def widget(gallery: Gallery, application: Application) -> Iterator[ApplicationWidget]:
    engine: Any = Engine()
    view = ApplicationView(None, application.status)  # type: ignore[arg-type]  # not used
    widget = ApplicationWidget(engine, view, application, gallery)
    widget.start()
    yield widget
    widget.close()


def test_a_view_gets_the_picture_and_what_services_use(
    widget: ApplicationWidget, application: Application
) -> None:
    page = Page(widget)
    page.say("ready")
    hello = page.last("hello")
    assert (hello["name"], hello["running"], hello["containers"]) == ("shop", 2, 2)
    assert "<svg" in hello["svg"]
    wait_for(lambda: "drawn" in page.kinds())
    [web, db] = page.last("drawn")["services"]
    assert (web["cpu"], web["memory"], web["needs"]) == (1.2, 1000, ["db"])
    assert (db["words"], db["tone"]) == ("running, starting", "waiting")
    count = page.kinds().count("drawn")
    widget.look()
    assert page.kinds().count("drawn") == count, "what is the same is not sent again"


def test_it_follows_events(widget: ApplicationWidget, application: Application) -> None:
    page = Page(widget)
    page.say("ready")
    wait_for(lambda: "drawn" in page.kinds())
    application.status = project(service("web", "db"), service("db", health="healthy"))
    feed: Any = widget._engine
    feed.happens("container", "health_status: healthy", "id-db")
    wait_for(lambda: page.last("drawn")["services"][1]["tone"] == "good")
    assert "healthy" in widget.fallback()[0]


def test_buttons_act_one_at_a_time_and_say_what_they_do(
    widget: ApplicationWidget, application: Application
) -> None:
    page = Page(widget)
    page.say("ready")
    application.gate.clear()
    page.say("act", action="stop")
    wait_for(lambda: "drawn" in page.kinds() and page.last("drawn")["busy"] == "stopping …")
    page.say("act", action="restart")  # while another one is under way
    application.gate.set()
    wait_for(lambda: page.last("drawn")["busy"] == "")
    assert application.done == [("stop", "")]
    page.say("act", action="down")
    wait_for(lambda: "notice" in page.kinds() and page.last("notice")["text"] != "")
    assert page.last("notice")["text"] == "it is in use (wait)"
    page.say("act", action="explode")
    assert application.done == [("stop", ""), ("down", "")]


def test_logs_open_below(widget: ApplicationWidget) -> None:
    page = Page(widget)
    page.say("ready")
    page.say("act", action="logs", service="web")
    wait_for(lambda: len(widget._box.children) == 2)
    log = widget._box.children[1]
    wait_for(lambda: "web says hello" in log.fallback()[0])
    log.close()
    assert len(widget._box.children) == 1
