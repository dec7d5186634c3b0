from __future__ import annotations

import threading
import time

import pytest

from jupyter_containers.engine.work import drain, in_parallel
from jupyter_containers.errors import ContainersError, OperationCancelledError
from jupyter_containers.events import CancelToken


@pytest.mark.parametrize("count", [0, 1, 7])
def test_results_come_in_order(count: int) -> None:
    token = CancelToken()
    done = in_parallel(lambda item: item * 2, range(count), workers=3, cancel=token)
    assert done == [item * 2 for item in range(count)]
    assert not token.cancelled


def test_no_more_than_the_workers_at_once() -> None:
    now, most, lock = 0, 0, threading.Lock()

    def work(item: int) -> None:
        nonlocal now, most
        with lock:
            now += 1
            most = max(most, now)
        time.sleep(0.01)
        with lock:
            now -= 1

    in_parallel(work, range(8), workers=2, cancel=CancelToken())
    assert most == 2


def test_a_failure_ends_the_others_and_is_the_one_that_is_raised() -> None:
    token, ended, started = CancelToken(), [], threading.Barrier(3)

    def work(item: int) -> None:
        started.wait(10)
        if item == 1:
            raise ContainersError("the cause")
        while not token.wait(0.01):
            pass
        ended.append(item)
        token.check()

    with pytest.raises(ContainersError, match="the cause"):
        in_parallel(work, range(3), workers=3, cancel=token)
    assert token.cancelled
    assert sorted(ended) == [0, 2], "all threads have ended"


def test_the_cause_is_raised_though_who_gave_up_because_of_it_was_first() -> None:
    gave_up = threading.Event()

    def work(item: int) -> None:
        if item:
            gave_up.set()
            raise OperationCancelledError("what I wait for will not come")
        gave_up.wait(10)
        time.sleep(0.3)
        raise ContainersError("the cause")

    with pytest.raises(ContainersError, match="the cause"):
        in_parallel(work, range(2), workers=2, cancel=CancelToken())


def test_cancelling_is_an_error() -> None:
    token = CancelToken()
    token.cancel()
    with pytest.raises(OperationCancelledError):
        in_parallel(lambda item: token.check(), range(3), workers=2, cancel=token)


def test_draining_looks_at_the_token() -> None:
    token, stop = CancelToken(), threading.Event()
    thread = threading.Thread(target=stop.wait)
    thread.start()
    token.cancel()
    with pytest.raises(OperationCancelledError):
        drain(thread, token)
    stop.set()
    drain(thread, CancelToken())
    assert not thread.is_alive()
