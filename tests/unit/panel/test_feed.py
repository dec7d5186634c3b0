from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

from jupyter_containers.panel.feed import Feed
from jupyter_containers.panel.messages import Changes, Used
from tests.unit.panel.conftest import FakeEngine


class Told:
    """A feed with a stopped clock, and its messages."""

    def __init__(self) -> None:
        self.engine, self.now, self.told = FakeEngine(), 100.0, list[Any]()
        self.heard = threading.Condition()
        self.feed = Feed(self.engine, self.hear, lambda: None, lambda: self.now)

    def hear(self, message: Any) -> None:
        with self.heard:
            self.told.append(message)
            self.heard.notify_all()

    def wait(self, found: Callable[[], bool]) -> None:
        with self.heard:
            assert self.heard.wait_for(found, 5), self.told

    def look(self) -> None:
        """Have the feed go through everything once, and wait for that."""
        name = f"volume-{time.monotonic_ns()}"
        self.engine.volume_names.append(name)
        self.feed.touch("volumes")
        self.wait(lambda: any(name in str(one) for one in self.told if isinstance(one, Changes)))

    @property
    def measured(self) -> int:
        return sum(isinstance(one, Used) for one in self.told)


def test_it_measures_for_those_who_say_that_they_look() -> None:
    page = Told()
    page.feed.start()
    page.look()
    assert page.measured == 0
    page.feed.watch(True)
    page.wait(lambda: page.measured == 1)
    page.now += 2
    page.look()
    page.wait(lambda: page.measured == 2)
    # A page that has crashed says nothing more, and is measured for no longer.
    page.now += 1000
    page.look()
    page.look()
    assert page.measured == 2
    page.feed.watch(True)
    page.wait(lambda: page.measured == 3)
    page.feed.watch(False)
    page.now += 2
    page.look()
    page.look()
    assert page.measured == 3
    page.feed.stop()


def test_logins_are_noticed_while_somebody_looks() -> None:
    page = Told()
    logins = ["quay.io"]
    page.engine.registries.logins = lambda: list(logins)
    page.feed.start()
    page.feed.watch(True)
    page.wait(lambda: page.measured == 1)
    logins.append("ghcr.io")
    page.now += 2
    page.feed.watch(True)
    page.wait(lambda: any("ghcr.io" in str(one) for one in page.told if isinstance(one, Changes)))
    page.feed.stop()
