"""Pools: immediate, bounded, refilled in the background, and without a thread when idle."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Sequence
from typing import Any, cast

import pytest

from jupyter_containers.engine.sessions.pool import SessionPool
from jupyter_containers.errors import ContainersError, SessionEndedError


class Started:
    """A session as a pool sees it."""

    def __init__(self, number: int) -> None:
        self.number, self.status, self.stopped = number, "idle", False

    def stop(self) -> None:
        self.stopped = True


class World:
    """Starts sessions; ``gate`` holds the starts back, ``fault`` makes them fail."""

    def __init__(self, size: int = 2, memory: int = 1000) -> None:
        self.gate, self.fault = threading.Event(), ""
        self.gate.set()
        self.numbers = itertools.count()
        self.started: list[Started] = []
        self.adopted: list[Any] = []
        self.pool = SessionPool(
            cast("Any", self._start),
            self.adopted.append,
            self._used,
            size=size,
            memory=memory,
            on_close=lambda pool: None,
        )
        self.pool.fill()

    def _start(self) -> Started:
        assert self.gate.wait(5)
        if self.fault:
            raise ContainersError(self.fault)
        self.started.append(Started(next(self.numbers)))
        return self.started[-1]

    @staticmethod
    def _used(sessions: Sequence[Any]) -> int:
        return 100 * len(sessions)


def fillers() -> list[threading.Thread]:
    return [thread for thread in threading.enumerate() if thread.name == "session-pool"]


def test_a_pool_is_filled_refilled_and_has_no_thread_when_idle() -> None:
    world = World(size=3)
    world.pool.wait()
    assert (len(world.pool), fillers()) == (3, [])
    taken = world.pool.take()
    assert world.adopted == [taken]
    world.pool.wait()
    assert (len(world.pool), len(world.started)) == (3, 4)
    world.pool.close()
    assert [one.stopped for one in world.started] == [False, True, True, True]


def test_each_session_is_taken_once() -> None:
    world = World(size=4)
    taken: list[Any] = []

    def take() -> None:
        taken.extend(world.pool.take(5) for _ in range(10))

    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert len({id(one) for one in taken}) == len(taken) == 50
    world.pool.close()
    assert fillers() == []


def test_memory_bounds_the_ready_sessions() -> None:
    world = World(size=8, memory=350)
    world.pool.wait()
    assert len(world.pool) == 3
    world.pool.take()
    world.pool.wait()
    assert len(world.pool) == 3
    world.pool.close()


def test_a_dead_session_is_passed_over() -> None:
    world = World(size=2)
    world.pool.wait()
    world.started[0].status = "ended"
    assert cast("Any", world.pool.take()).number == 1
    assert world.started[0].stopped
    world.pool.close()


def test_a_failed_start_is_raised_to_the_taker_and_tried_again() -> None:
    world = World(size=1)
    world.pool.wait()
    world.fault = "no space"
    world.pool.take()
    with pytest.raises(ContainersError, match="no space"):
        world.pool.take(5)
    world.fault = ""
    assert world.pool.take(5) is not None
    world.pool.close()


def test_an_end_while_one_is_started_leaves_none() -> None:
    """A second look after the start notices the end."""
    world = World(size=1)
    world.pool.wait()
    world.gate.clear()
    world.pool.take()
    with pytest.raises(TimeoutError):
        world.pool.take(0.01)
    closing = threading.Thread(target=world.pool.close)
    closing.start()
    while not world.pool._closed:
        pass
    world.gate.set()
    closing.join(5)
    assert [one.stopped for one in world.started] == [False, True]
    with pytest.raises(SessionEndedError, match="closed"):
        world.pool.take()
