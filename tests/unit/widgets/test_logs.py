from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_containers.errors import ContainerNotFoundError
from jupyter_containers.events import CancelToken
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.logs import LogsWidget
from tests.unit.widgets.conftest import Page
from tests.unit.widgets.test_terminal import wait_for


def lines(*texts: str) -> Any:
    def source(cancel: CancelToken) -> Iterator[bytes]:
        for text in texts:
            yield text.encode()

    return source


def endless(cancel: CancelToken) -> Iterator[bytes]:
    yield b"first\n"
    while not cancel.wait(0.01):
        pass
    cancel.check()


def test_a_log_is_shown_to_its_end(gallery: Gallery) -> None:
    logs = LogsWidget("Log of web", lines("one\n", "two\n"), gallery)
    page = Page(logs)
    page.say("ready")
    logs.start()
    logs.wait()
    wait_for(lambda: "state" in page.kinds())
    assert page.data("output") == b"one\ntwo\n"
    assert page.last("state")["state"] == "the container has ended"
    assert not page.last("state")["running"]
    text, markup = logs.fallback()
    assert text == "one\ntwo"
    assert "Log of web" in markup


def test_stop_ends_the_following_and_keeps_the_log(gallery: Gallery) -> None:
    logs = LogsWidget("Log", endless, gallery)
    logs.start()
    wait_for(lambda: logs.fallback()[0] == "first")
    assert logs.running
    logs.stop()
    logs.wait()
    assert logs.state == "no longer followed"
    page = Page(logs)
    page.say("ready")
    assert page.data("hello") == b"first\n"


def test_what_keeps_a_log_from_being_read_is_raised(gallery: Gallery) -> None:
    def gone(cancel: CancelToken) -> Iterator[bytes]:
        raise ContainerNotFoundError("no such container: web")
        yield b""

    logs = LogsWidget("Log", gone, gallery)
    logs.start()
    with pytest.raises(ContainerNotFoundError):
        logs.wait()


def test_the_memory_of_a_long_log_is_capped(gallery: Gallery) -> None:
    def million(cancel: CancelToken) -> Iterator[bytes]:
        for number in range(300_000):
            yield b"line %d of a talkative container\n" % number

    logs = LogsWidget("Log", million, gallery)
    logs.start()
    logs.wait()
    page = Page(logs)
    page.say("ready")
    kept = page.data("hello")
    assert len(kept) <= 4 * 1024 * 1024
    assert kept.endswith(b"line 299999 of a talkative container\n")
    text = logs.fallback()[0].split("\n")
    assert text[0] == "… the last 200 lines"
    assert len(text) == 201


def test_a_log_held_still_does_not_run_on(gallery: Gallery) -> None:
    release = threading.Event()

    def source(cancel: CancelToken) -> Iterator[bytes]:
        yield b"x" * 600_000
        release.wait(5)

    logs = LogsWidget("Log", source, gallery)
    page = Page(logs)
    page.say("ready")
    logs.start()
    wait_for(lambda: len(page.data("output")) > 250_000)
    time.sleep(0.2)
    assert len(page.data("output")) < 400_000
    page.say("ack", bytes=600_000)
    wait_for(lambda: len(page.data("output")) == 600_000)
    release.set()


def test_close_is_a_button_where_somebody_takes_it_away(gallery: Gallery) -> None:
    taken: list[Any] = []
    logs = LogsWidget("Log", endless, gallery, on_close=taken.append)
    page = Page(logs)
    logs.start()
    page.say("ready")
    assert page.last("hello")["closable"]
    page.say("close")
    assert taken == [logs]
    assert logs.closed
    wait_for(lambda: not logs.running)
