from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from jupyter_containers.commands.session import TerminalWork
from jupyter_containers.errors import ImageNotFoundError, OperationCancelledError
from jupyter_containers.widgets.gallery import Gallery
from jupyter_containers.widgets.terminal import TerminalWidget
from tests.unit.widgets.conftest import Page


class Shell:
    """Work that echoes typed keys and ends with ``exit``."""

    def __init__(self) -> None:
        self.sizes: list[tuple[int, int]] = []
        self.cancelled = threading.Event()
        self.write: Any = None

    def __call__(self, on_output: Any, keys: int, size: Any) -> int:
        self.write = on_output
        on_output("stdout", b"$ ")
        os.set_blocking(keys, False)
        while True:
            try:
                self.sizes.append(size())
            except OperationCancelledError:
                self.cancelled.set()
                raise
            try:
                data = os.read(keys, 1000)
            except BlockingIOError:
                time.sleep(0.005)
                continue
            if b"exit" in data or not data:
                return 3
            on_output("stdout", b"<" + data + b">")


def wait_for(condition: Any) -> None:
    deadline = time.monotonic() + 5
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


@pytest.fixture
def shell() -> Shell:
    return Shell()


@pytest.fixture
def terminal(shell: Shell, gallery: Gallery) -> TerminalWidget:
    return TerminalWidget(TerminalWork("box · sh", shell, "exec -it box sh"), gallery)


def test_keys_go_in_and_output_comes_out(terminal: TerminalWidget, shell: Shell) -> None:
    page = Page(terminal)
    page.say("ready")
    page.say("size", rows=10, columns=70)
    terminal.start()
    wait_for(lambda: page.data("output") == b"$ ")
    page.say("input", b"ls\n")
    wait_for(lambda: page.data("output") == b"$ <ls\n>")
    assert shell.sizes[0] == (10, 70)
    page.say("size", rows=12, columns=80)
    wait_for(lambda: shell.sizes[-1] == (12, 80))
    page.say("input", b"exit\n")
    assert terminal.wait(5) == 3
    wait_for(lambda: "state" in page.kinds())
    assert page.last("state") == {
        "kind": "state",
        "title": "box · sh",
        "state": "ended with exit code 3",
        "running": False,
        "closable": False,
    }


def test_a_later_view_sees_what_was_written(terminal: TerminalWidget) -> None:
    terminal.start()
    page = Page(terminal, "late")
    assert page.data("output") == b""
    page.say("ready")
    assert page.last("hello")["to"] == "late"
    assert page.data("hello") == b"$ "


def test_output_waits_for_the_views_that_draw_it(terminal: TerminalWidget, shell: Shell) -> None:
    page = Page(terminal)
    page.say("ready")
    terminal.start()
    shell.write("stdout", b"x" * 2_000_000)
    wait_for(lambda: len(page.data("output")) > 250_000)
    time.sleep(0.1)
    sent = len(page.data("output"))
    assert sent < 400_000
    page.say("ack", bytes=sent)
    wait_for(lambda: len(page.data("output")) > sent)


def test_closing_cancels_the_work_and_ends_the_threads(
    terminal: TerminalWidget, shell: Shell, gallery: Gallery
) -> None:
    before = threading.active_count()
    terminal.start()
    assert threading.active_count() > before
    terminal.close()
    assert shell.cancelled.wait(5)
    wait_for(lambda: threading.active_count() <= before)
    terminal.close()
    assert len(gallery) == 0
    page = Page(terminal)
    page.say("ready")
    page.say("input", b"x")
    assert page.got == []


def test_what_keeps_it_from_starting_is_raised(gallery: Gallery) -> None:
    def work(*_: Any) -> int:
        raise ImageNotFoundError("no such image: nope")

    terminal = TerminalWidget(TerminalWork("nope", work), gallery)
    with pytest.raises(ImageNotFoundError):
        terminal.start()
    assert "no such image: nope" in terminal.text


def test_a_failure_that_takes_its_time_is_raised(gallery: Gallery) -> None:
    def work(on_output: Any, keys: int, size: Any) -> int:
        size()
        time.sleep(0.8)
        raise ImageNotFoundError("no such program: nope")

    terminal = TerminalWidget(TerminalWork("nope", work), gallery)
    with pytest.raises(ImageNotFoundError):
        terminal.start()


def test_a_silent_program_does_not_hold_up_its_cell(gallery: Gallery) -> None:
    release = threading.Event()

    def work(on_output: Any, keys: int, size: Any) -> int:
        while not release.wait(0.05):
            size()
        return 0

    terminal = TerminalWidget(TerminalWork("quiet", work), gallery)
    began = time.monotonic()
    terminal.start()
    assert time.monotonic() - began < 4
    release.set()
    assert terminal.wait(5) == 0


def test_a_cleared_output_closes_it(
    terminal: TerminalWidget, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jupyter_containers.widgets.live._REMOVED_SECONDS", 0.05)
    page = Page(terminal)
    page.say("ready")
    page.view = "v2"
    page.say("ready")
    page.say("gone")
    time.sleep(0.15)
    assert not terminal.closed
    page.view = "v1"
    page.say("cleared")
    assert page.kinds()[-1] == "who"
    page.view = "v3"  # it was only moved
    page.say("here")
    time.sleep(0.15)
    assert not terminal.closed
    page.say("cleared")
    wait_for(lambda: terminal.closed)


def test_a_full_screen_program_draws_anew_for_a_new_view(
    terminal: TerminalWidget, shell: Shell
) -> None:
    terminal.start()
    shell.write("stdout", b"\x1b[?1049h~")
    Page(terminal).say("ready")
    wait_for(lambda: (23, 80) in shell.sizes and shell.sizes[-1] == (24, 80))


def test_the_fallback_is_safe_text(terminal: TerminalWidget, shell: Shell) -> None:
    terminal.start()
    shell.write("stdout", b"\x1b[31m<b>red</b>\x1b[0m\r\n")
    text, markup = terminal.fallback()
    assert text.splitlines()[0] == "box · sh · a terminal, live while its kernel runs"
    assert "<b>red</b>" in text
    assert "&lt;b&gt;red&lt;/b&gt;" in markup
    assert "exec -it box sh" in markup
    assert terminal._repr_mimebundle_()[0].keys() == {
        "text/plain",
        "text/html",
        "application/vnd.jupyter.widget-view+json",
    }
    terminal.close()
    assert terminal._repr_mimebundle_()[0].keys() == {"text/plain", "text/html"}
