"""Widgets that follow the event feed: networks and the explanation of a container."""

from __future__ import annotations

import queue
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_containers.commands.render.explanation import Explained
from jupyter_containers.commands.render.network import NetworkDocument, Picture
from jupyter_containers.engine.containers.explain import Explanation, Line, Section
from jupyter_containers.engine.journal import JournalEvent
from jupyter_containers.errors import NotFoundError, OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.widgets.explain import ExplainWidget
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.network import NetworkWidget
from tests.unit.widgets.conftest import Page
from tests.unit.widgets.test_terminal import wait_for


class Feed:
    """An engine with only an event feed, which the test fills."""

    def __init__(self) -> None:
        self.coming: queue.Queue[JournalEvent] = queue.Queue()
        self.ended = False
        self.system = self

    def events(self, *, filters: Any, cancel: CancelToken) -> Iterator[JournalEvent]:
        assert filters == {"type": ["container", "network"]}
        return self._events(cancel)

    def _events(self, cancel: CancelToken) -> Iterator[JournalEvent]:
        try:
            while True:
                cancel.check()
                try:
                    yield self.coming.get(timeout=0.01)
                except queue.Empty:
                    continue
        except OperationCancelledError:
            self.ended = True
            raise

    def happens(self, type: str, action: str, id: str, **attributes: str) -> None:
        self.coming.put(JournalEvent(1, 1_000_000_000, type, action, id, attributes))


@pytest.fixture
def feed() -> Feed:
    return Feed()


def networks(*members: str) -> NetworkDocument:
    document = {
        "Name": "shop",
        "Id": "n1",
        "Internal": False,
        "Driver": "bridge",
        "Options": {},
        "IPAM": {"Config": [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1"}]},
        "Containers": {
            f"id-{name}": {"Name": name, "IPv4Address": "10.1.0.2/24", "IPv6Address": ""}
            for name in members
        },
    }
    return NetworkDocument([document], [Picture.of(document, {})])


class TestNetwork:
    def test_what_is_attached_and_detached_is_drawn_and_told(
        self, gallery: Gallery, feed: Feed
    ) -> None:
        found = [networks("web")]
        widget = NetworkWidget(feed, found[0], lambda: found[0], gallery)
        widget.start()
        page = Page(widget)
        page.say("ready")
        hello = page.last("hello")
        assert hello["networks"][0]["members"] == ["web"]
        assert 'data-member="web"' in hello["networks"][0]["svg"]
        assert hello["news"] == []

        found[0] = networks("web", "db")
        feed.happens("container", "create", "id-db", name="db")
        feed.happens("network", "connect", "n1", name="shop", container="id-db")
        wait_for(lambda: "drawn" in page.kinds() and page.last("drawn")["news"])
        drawn = page.last("drawn")
        assert drawn["networks"][0]["members"] == ["db", "web"]
        assert [item["text"] for item in drawn["news"]] == ["db was attached"]

        found[0] = networks("db")
        feed.happens("network", "disconnect", "n1", name="shop", container="id-web")
        wait_for(lambda: len(page.last("drawn")["news"]) == 2)
        assert page.last("drawn")["news"][-1]["text"] == "web was detached"
        assert "db" in widget.fallback()[0]
        assert "web" not in widget.fallback()[0]

    def test_other_networks_are_of_no_interest(self, gallery: Gallery, feed: Feed) -> None:
        widget = NetworkWidget(feed, networks(), networks, gallery)
        other = JournalEvent(1, 1, "network", "connect", "n2", {"name": "x", "container": "c"})
        assert not widget.concerns(other)
        assert not widget.concerns(JournalEvent(2, 1, "container", "exec_start: ls", "c", {}))
        assert widget.concerns(JournalEvent(3, 1, "container", "rename", "c", {}))

    def test_one_that_was_removed_leaves_its_last_picture(
        self, gallery: Gallery, feed: Feed
    ) -> None:
        def gone() -> NetworkDocument:
            raise NotFoundError("no such network: shop")

        widget = NetworkWidget(feed, networks("web"), gone, gallery)
        widget.start()
        page = Page(widget)
        page.say("ready")
        wait_for(lambda: "notice" in page.kinds())
        assert page.last("notice")["text"] == "no such network: shop"
        assert page.last("notice")["gone"] is True
        widget.close()
        wait_for(lambda: feed.ended)
        assert "web" in widget.fallback()[0]

    def test_nobody_looks_where_nobody_watches(self, gallery: Gallery, feed: Feed) -> None:
        looks: list[int] = []

        def look() -> NetworkDocument:
            looks.append(1)
            return networks()

        widget = NetworkWidget(feed, networks(), look, gallery)
        widget.start()
        feed.happens("network", "connect", "n1", name="shop", container="c")
        wait_for(feed.coming.empty)
        assert not widget._over.wait(0.3)
        assert looks == []
        page = Page(widget)
        page.say("ready")
        wait_for(lambda: bool(looks))
        # A new view gets the events that it missed.
        assert page.last("hello")["news"][0]["text"] == "c was attached"


def explained(memory: str, running: bool = True) -> Explained:
    lines = (Line("memory used", memory, "/sys/fs/cgroup/memory"),)
    section = Section("Control groups", "What it may use.", lines)
    return Explained(Explanation("c1", "web", "nginx", running, (section,) if running else ()))


class TestExplain:
    def test_it_follows_its_container(self, gallery: Gallery, feed: Feed) -> None:
        found = [explained("1 MiB")]
        widget = ExplainWidget(feed, found[0], lambda: found[0], gallery)
        widget.start()
        page = Page(widget)
        page.say("ready")
        hello = page.last("hello")
        assert (hello["name"], hello["image"], hello["running"]) == ("web", "nginx", True)
        assert hello["sections"][0]["lines"] == [("memory used", "1 MiB", "/sys/fs/cgroup/memory")]
        found[0] = explained("", running=False)
        feed.happens("container", "die", "c1")
        wait_for(lambda: "explained" in page.kinds())
        assert page.last("explained")["running"] is False
        assert page.last("explained")["sections"] == []
        widget.close()
        wait_for(lambda: feed.ended)

    def test_it_looks_without_an_event_and_tells_only_changes(
        self, gallery: Gallery, feed: Feed, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr(ExplainWidget, "interval", 0.01)
        looks: list[int] = []

        def look() -> Explained:
            looks.append(1)
            return explained("1 MiB" if len(looks) < 3 else "2 MiB")

        widget = ExplainWidget(feed, explained("1 MiB"), look, gallery)
        widget.start()
        page = Page(widget)
        page.say("ready")
        wait_for(lambda: "explained" in page.kinds())
        assert len(looks) >= 3
        assert page.kinds().count("explained") == 1

    def test_its_networks_concern_it(self, gallery: Gallery, feed: Feed) -> None:
        first = explained("1 MiB")
        widget = ExplainWidget(feed, first, lambda: first, gallery)
        assert widget.concerns(JournalEvent(1, 1, "network", "connect", "n", {"container": "c1"}))
        assert not widget.concerns(JournalEvent(2, 1, "container", "die", "c2", {}))
