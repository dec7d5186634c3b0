from __future__ import annotations

import threading

from jupyter_containers.store import Store


def test_an_attempt_does_not_wait(store: Store) -> None:
    with store.locks.attempt("x") as held:
        assert held
        with store.locks.attempt("x") as again:
            assert not again
        with store.locks.attempt("y") as other:
            assert other
    with store.locks.attempt("x") as held:
        assert held


def test_a_lock_passes_from_one_to_the_next(store: Store) -> None:
    inside, most, lock = 0, 0, threading.Lock()

    def work() -> None:
        nonlocal inside, most
        with store.locks.hold("x"):
            with lock:
                inside += 1
                most = max(most, inside)
            with lock:
                inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert store.locks.sweep() == 0
