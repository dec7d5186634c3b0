from __future__ import annotations

import io
import threading
import time

import pytest

from jupyter_containers.commands.render.progress import (
    NotebookProgress,
    PlainProgress,
    TerminalProgress,
)
from jupyter_containers.commands.render.steps import StepLog, Steps
from jupyter_containers.commands.render.table import Column, html_table
from jupyter_containers.commands.render.tree import html_tree
from jupyter_containers.events import (
    CHECKS,
    WARNING,
    EventSink,
    TaskFinished,
    TaskOutput,
    TaskProgress,
    TaskStarted,
)


class Handle:
    def __init__(self) -> None:
        self.shown: list[dict[str, str]] = []
        self.displays = 0

    def display(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.displays += 1
        self.shown.append(bundle)

    def update(self, bundle: dict[str, str], *, raw: bool) -> None:
        assert raw
        self.shown.append(bundle)


EVENTS = (
    TaskStarted("1", "[1/2] FROM debian <x>"),
    TaskFinished("1", "cached"),
    TaskStarted("2", "[2/2] RUN make"),
    TaskOutput("2", b"\x1b[31mwarning\x1b[0m <b>\n"),
    TaskOutput("2", b"last line\n", "stderr"),
)


def feed(sink: object, *more: object) -> None:
    for event in (*EVENTS, *more):
        sink(event)


def feed_checks(sink: EventSink) -> None:
    sink(TaskStarted(CHECKS, "1 warning of the build checks"))
    sink(TaskOutput(CHECKS, b"WorkdirRelativePath: ...\n", "stderr"))
    sink(TaskFinished(CHECKS, "done"))


def test_notebook_shows_one_display_with_a_static_end() -> None:
    handle = Handle()
    with NotebookProgress(lambda: handle, interval=0.01) as progress:
        feed(progress, TaskFinished("2", "done", seconds=1.5))
    final = handle.shown[-1]
    assert handle.displays == 1
    assert "CACHED" in final["text/plain"]
    assert "1.5s" in final["text/plain"]
    assert final["text/html"].count("<details>") == 1
    assert "warning</span> &lt;b&gt;" in final["text/html"]
    assert "<x>" not in final["text/html"]
    assert "<script" not in final["text/html"]


def test_notebook_folds_the_log_of_a_failed_step_whose_end_the_error_tells() -> None:
    handle = Handle()
    with NotebookProgress(lambda: handle) as progress:
        feed(progress, TaskFinished("2", "failed", "exit code 2"))
    assert "<details><summary" in handle.shown[-1]["text/html"]
    assert "last line" in handle.shown[-1]["text/html"]
    assert "FAILED: exit code 2" in handle.shown[-1]["text/plain"]
    assert "last line" not in handle.shown[-1]["text/plain"]


def test_an_interrupted_step_does_not_look_as_if_it_still_ran() -> None:
    handle = Handle()

    def work() -> None:
        with NotebookProgress(lambda: handle) as progress:
            progress(TaskStarted("a", "layer", total=1000))
            progress(TaskProgress("a", 250))
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        work()
    assert "⊘ layer · CANCELLED · 250B/1kB" in handle.shown[-1]["text/plain"]


def test_notebook_shows_nothing_without_events() -> None:
    handle = Handle()
    with NotebookProgress(lambda: handle):
        pass
    assert handle.shown == []


def test_notebook_updates_at_most_at_its_rate_from_many_threads() -> None:
    handle = Handle()
    began = time.monotonic()

    def work(name: str) -> None:
        for current in range(2000):
            progress(TaskProgress(name, current, 2000, "Downloading"))

    with NotebookProgress(lambda: handle, interval=0.1) as progress:
        threads = [threading.Thread(target=work, args=(f"t{i}",)) for i in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    allowed = (time.monotonic() - began) / 0.1 + 2
    assert len(handle.shown) <= allowed
    assert handle.shown[-1]["text/plain"].count("Downloading") == 4


def test_notebook_survives_a_front_end_that_went_away() -> None:
    class Broken(Handle):
        def update(self, bundle: dict[str, str], *, raw: bool) -> None:
            if threading.current_thread() is not threading.main_thread():
                raise OSError("gone")

    with NotebookProgress(Broken, interval=0.005) as progress:
        feed(progress)
        time.sleep(0.05)


def test_plain_lines() -> None:
    stream = io.StringIO()
    sink = PlainProgress(stream)
    feed(sink, TaskOutput("2", b"no newline"), TaskFinished("2", "done", seconds=2))
    assert stream.getvalue().splitlines() == [
        "▸ [1/2] FROM debian <x>",
        "✓ [1/2] FROM debian <x> · CACHED",
        "▸ [2/2] RUN make",
        "  | warning <b>",
        "  | last line",
        "  | no newline",
        "✓ [2/2] RUN make · 2.0s",
    ]


def test_a_warning_is_told_once_and_in_its_own_words() -> None:
    stream = io.StringIO()
    sink = PlainProgress(stream)
    sink(TaskStarted(f"{WARNING} 0", "WARNING: ports are discarded"))
    sink(TaskFinished(f"{WARNING} 0"))
    assert stream.getvalue() == "WARNING: ports are discarded\n"


def test_terminal_leaves_every_step_once() -> None:
    stream = io.StringIO()
    with TerminalProgress(stream, width=40) as sink:
        feed(sink, TaskProgress("2", 5, 10), TaskFinished("2", "failed", "exit code 1"))
    last = stream.getvalue().rpartition("\x1b[J")[2]
    assert "✗ [2/2] RUN make" in last
    assert "last line" not in last  # it stands in the error that follows
    assert stream.getvalue().count("✓ [1/2]") == 1


def test_terminal_tells_what_the_checks_found() -> None:
    stream = io.StringIO()
    with TerminalProgress(stream, width=40) as sink:
        feed_checks(sink)
    assert "! 1 warning of the build checks\n  WorkdirRelativePath: ...\n" in stream.getvalue()


def test_a_log_keeps_beginning_and_end() -> None:
    log = StepLog()
    assert not log
    log.add(b"first\n")
    for _ in range(400):
        log.add(b"x" * 4095 + b"\n")
    log.add(b"last\n")
    assert log.text.startswith("first\n")
    assert log.text.endswith("last\n")
    assert "left out" in log.text
    assert len(log.text) < 1024 * 1024
    assert log.last_lines(1) == ["last"]
    short = log.shortened(100)
    assert short.startswith("first\nxxx")
    assert short.endswith("xxx\nlast\n")
    assert "1.64MB left out" in short
    assert len(short) < 300
    few = StepLog()
    few.add(b"one\ntwo\n")
    assert few.shortened(4) == few.text
    assert few.shortened(3) == "one\n… 2B left out …\nwo\n"


def test_steps_keep_order_and_know_how_far_they_are() -> None:
    steps = Steps(clock=lambda: 10.0)
    steps.receive(TaskStarted("a", "layer", total=1000))
    steps.receive(TaskProgress("a", 250, status="Downloading"))
    [step], _ = steps.snapshot()
    assert step.fraction == 0.25
    assert step.amount == "250B/1kB"
    steps.receive(TaskFinished("a", "exists"))
    assert step.fraction == 1.0


def test_what_the_checks_found_is_open_and_no_success() -> None:
    handle = Handle()
    with NotebookProgress(lambda: handle) as progress:
        feed_checks(progress)
    markup = handle.shown[-1]["text/html"]
    assert "<details open>" in markup
    assert "✓" not in markup
    text = handle.shown[-1]["text/plain"]
    assert text.splitlines() == [
        "! 1 warning of the build checks",
        "  WorkdirRelativePath: ...",
    ]


def test_dollar_signs_are_no_formulas() -> None:
    handle = Handle()
    with NotebookProgress(lambda: handle) as progress:
        progress(TaskStarted("1", "[2/2] RUN for i in $(seq 3); do echo $i; done"))
    table = html_table((Column("Command", "COMMAND"),), [{"Command": "echo $a $b"}])
    for markup in (handle.shown[-1]["text/html"], table, html_tree({"Cmd": "$a $b"})):
        assert markup.startswith('<div class="tex2jax_ignore mathjax_ignore"')
