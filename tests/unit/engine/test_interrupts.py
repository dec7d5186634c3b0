from __future__ import annotations

import os
import signal
import threading
import time

import pytest

from jupyter_containers.engine import interrupts
from jupyter_containers.engine.interrupts import answered, deferred, notes_of


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


def test_one_that_comes_while_another_is_answered_is_the_same_wish() -> None:
    try:
        press()
    except KeyboardInterrupt as first:
        with deferred(first):
            press()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    # An error handler is interrupted like any other block.
    with pytest.raises(KeyboardInterrupt), deferred(ValueError()):
        press()


def test_presses_right_after_an_answer_are_the_same_wish(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.getsignal(signal.SIGINT)
    try:
        error = answered("work was interrupted")
        press()
        press()
        assert error._render_traceback_() == ["KeyboardInterrupt: work was interrupted"]
        monkeypatch.setattr(interrupts, "_SAME_WISH_SECONDS", 0.0)
        signal.signal(signal.SIGINT, before)
        answered("again")
        time.sleep(0.01)
        with pytest.raises(KeyboardInterrupt):
            press()
        assert signal.getsignal(signal.SIGINT) is before
    finally:
        signal.signal(signal.SIGINT, before)


def test_what_is_noted_is_found_behind_a_second_interrupt() -> None:
    def work() -> None:
        try:
            press()
        except KeyboardInterrupt as first:
            first.add_note("one is kept")
            raise KeyboardInterrupt from None

    with pytest.raises(KeyboardInterrupt) as caught:
        work()
    assert notes_of(caught.value) == ["one is kept"]
    assert notes_of(KeyboardInterrupt()) == []


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
