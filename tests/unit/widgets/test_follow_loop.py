from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jupyter_containers.engine.journal import JournalEvent
from jupyter_containers.errors import ContainersError, NotFoundError, UnreadableRecordsError
from jupyter_containers.widgets.follow_loop import FollowLoop
from tests.unit.widgets.test_terminal import wait_for


class Looks:
    """Counts looks; the next one raises ``failure``."""

    def __init__(self) -> None:
        self.count, self.watched = 0, True
        self.failure: ContainersError | None = None
        self.failed: list[ContainersError] = []

    def __call__(self) -> None:
        self.count += 1
        failure, self.failure = self.failure, None
        if failure is not None:
            raise failure


@pytest.fixture
def looks() -> Looks:
    return Looks()


@pytest.fixture
def loop(looks: Looks) -> Iterator[FollowLoop]:
    loop = FollowLoop(
        looks, looks.failed.append, watched=lambda: looks.watched, together=0.05, name="test"
    )
    yield loop
    loop.stop()
    wait_for(lambda: not [one for one in threading.enumerate() if one.name.startswith("test-")])


def event(action: str) -> JournalEvent:
    return JournalEvent(1, 1, "container", action, "c1", {})


def test_events_of_one_cause_have_one_look(loop: FollowLoop, looks: Looks) -> None:
    come = threading.Event()

    def events() -> Iterator[JournalEvent]:
        yield from (event("create"), event("start"), event("exec_start"))
        come.set()
        while not loop.cancel.wait(0.01):
            pass
        loop.cancel.check()

    loop.start(events(), lambda one: one.action != "exec_start")
    assert come.wait(5)
    wait_for(lambda: looks.count == 1)
    assert not loop.cancel.wait(0.15)
    assert looks.count == 1


def test_nobody_looks_where_nobody_watches(loop: FollowLoop, looks: Looks) -> None:
    looks.watched = False
    loop.start()
    loop.wake()
    assert not loop.cancel.wait(0.15)
    assert looks.count == 0
    looks.watched = True
    loop.wake()
    wait_for(lambda: looks.count == 1)


def test_a_failed_look_is_not_the_last(loop: FollowLoop, looks: Looks) -> None:
    looks.failure = NotFoundError("no such container: web")
    loop.start()
    loop.wake()
    wait_for(lambda: len(looks.failed) == 1)
    loop.wake()
    wait_for(lambda: looks.count == 2)


def test_a_feed_that_ends_is_told_once(loop: FollowLoop, looks: Looks) -> None:
    lost: list[ContainersError] = []

    def events() -> Iterator[JournalEvent]:
        yield event("start")
        raise UnreadableRecordsError("cannot be read")

    loop.start(events(), lost=lost.append)
    wait_for(lambda: bool(lost) and looks.count == 1)
    assert [error.message for error in lost] == ["cannot be read"]
    assert looks.failed == []


def test_it_looks_at_intervals(looks: Looks) -> None:
    loop = FollowLoop(looks, looks.failed.append, interval=lambda: 0.01)
    loop.start()
    wait_for(lambda: looks.count > 3)
    loop.stop()
