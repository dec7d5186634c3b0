from __future__ import annotations

import os
import threading
import time

from jupyter_containers.widgets.keyboard import Keyboard


def pipe() -> tuple[int, int]:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    return reading, writing


def test_keys_are_written_in_order_also_before_the_pipe_is_there() -> None:
    keyboard = Keyboard()
    keyboard.type(b"ab")
    reading, writing = pipe()
    keyboard.open(writing)
    keyboard.type(b"c")
    assert os.read(reading, 10) == b"abc"
    keyboard.close()
    assert os.read(reading, 10) == b""
    keyboard.type(b"late")
    keyboard.close()
    os.close(reading)


def test_a_paste_that_nobody_reads_holds_nobody_up() -> None:
    keyboard = Keyboard()
    reading, writing = pipe()
    keyboard.open(writing)
    pasted = os.urandom(500_000)
    keyboard.type(pasted)
    keyboard.type(b"end")
    found = b""
    while len(found) < 500_003:
        found += os.read(reading, 65536)
    assert found == pasted + b"end"
    before = threading.active_count()
    keyboard.type(os.urandom(200_000))
    keyboard.close()
    deadline = time.monotonic() + 5
    while threading.active_count() > before:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    os.close(reading)
