from __future__ import annotations

import os
import signal
import threading

import pytest

from jupyter_containers.engine.interrupts import deferred


def press() -> None:
    os.kill(os.getpid(), signal.SIGINT)


def test_an_interrupt_waits_for_the_end_of_the_block() -> None:
    done: list[str] = []

    def clean_up() -> None:
        with deferred():
            press()
            press()
            done.append("cleaned")
        done.append("never")

    with pytest.raises(KeyboardInterrupt):
        clean_up()
    assert done == ["cleaned"]
    # Delivered once, and the handler is the old one again.
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_without_an_interrupt_nothing_happens_and_errors_pass() -> None:
    with deferred():
        pass
    with pytest.raises(ValueError, match="own"), deferred():
        raise ValueError("own")


def test_nested_blocks_deliver_at_the_outer_end() -> None:
    done: list[str] = []

    def clean_up() -> None:
        with deferred():
            with deferred():
                press()
            done.append("outer")

    with pytest.raises(KeyboardInterrupt):
        clean_up()
    assert done == ["outer"]


def test_in_another_thread_it_is_no_hindrance() -> None:
    results: list[bool] = []

    def work() -> None:
        with deferred():
            results.append(True)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert results == [True]
