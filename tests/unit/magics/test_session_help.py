"""Completion and help in session cells: who is asked, and for how long."""

from __future__ import annotations

import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.magics import session_help
from jupyter_containers.magics.cell import dockerfile_verb
from jupyter_containers.magics.completion import make_matcher


class FakeSession:
    """A session that completes with its name, when it may."""

    def __init__(self, name: str, status: str = "idle", matches: Any = ()) -> None:
        self.name, self.status, self.matches = name, status, list(matches)
        self.asked: list[tuple[str, int]] = []
        self.hold = threading.Event()
        self.hold.set()
        self.interrupted = False

    def complete(self, code: str, position: int) -> tuple[list[str], int]:
        self.asked.append((code, position))
        self.hold.wait(20)
        return self.matches, position - 2

    def inspect(self, code: str, position: int, detail: int = 0) -> str:
        return f"{self.name} {code[:position]} {detail}"

    def interrupt(self) -> None:
        self.interrupted = True
        self.hold.set()


def completed(text: str, *sessions: FakeSession) -> Any:
    """Return the matcher's answer where the bar is."""
    before, _, after = text.partition("|")
    matcher = make_matcher(lambda _kind: ["py"], dockerfile_verb, lambda: list(sessions))  # type: ignore[arg-type]  # fakes
    line, column = before.count("\n"), len(before.rpartition("\n")[2])
    context = SimpleNamespace(full_text=before + after, cursor_line=line, cursor_position=column)
    answer = matcher(context)
    return [one.text for one in answer["completions"]], answer.get("matched_fragment")


def test_the_session_of_the_cell_is_asked() -> None:
    first, second = FakeSession("a"), FakeSession("b", matches=["path"])
    assert completed("%%session -i x b\nimport os\nos.pa|", first, second) == (["path"], "pa")
    assert (first.asked, second.asked) == ([], [("import os\nos.pa", 15)])
    assert completed("%%session\nos.pa|", second) == (["path"], "pa")
    assert completed("%%session p|") == (["py"], "p")
    assert completed("%%session py --time|")[0] == ["--timeout"]


@pytest.mark.parametrize("text", ["%%session\nos.pa|", "%%session c\nos.pa|"])
def test_several_sessions_or_none_are_not_asked(text: str) -> None:
    sessions = [FakeSession("a"), FakeSession("b")]
    assert completed(text, *sessions) == ([], "")  # and nothing of the kernel's
    assert not sessions[0].asked
    assert not sessions[1].asked


def test_a_busy_session_is_not_asked() -> None:
    busy = FakeSession("a", status="busy")
    assert completed("%%session a\nos.pa|", busy) == ([], "")
    assert not busy.asked


def test_a_slow_answer_is_dropped_and_interrupted() -> None:
    slow = FakeSession("a", matches=["path"])
    slow.hold.clear()
    began = time.monotonic()
    assert completed("%%session a\nos.pa|", slow) == ([], "")
    assert time.monotonic() - began < 10 * session_help.SECONDS
    assert slow.interrupted


def test_a_kernel_asks_the_session_and_forgets_it() -> None:
    class Kernel:
        def do_inspect(self, code: str, cursor_pos: int, detail_level: int = 0) -> str:
            return f"kernel {code}{cursor_pos}{detail_level}"

    kernel = Kernel()
    undo = session_help.answer_inspections(kernel, lambda: [FakeSession("a")])  # type: ignore[arg-type,list-item]  # a fake
    reply: Any = kernel.do_inspect("%%session a\nname", 16, detail_level=1)
    assert (reply["found"], reply["data"]) == (True, {"text/plain": "a name 1"})
    assert kernel.do_inspect("name", 4) == "kernel name40"
    undo()
    assert kernel.do_inspect("%%session a\nname", 16).startswith("kernel")


@pytest.mark.parametrize(
    ("cell", "expected"),
    [
        ("len?\n", ("len", 0)),
        ("os.path.join??", ("os.path.join", 1)),
        ("?len", ("len", 0)),
        ("len", None),
        ("x = 1\nlen?", None),
        ("a ? b : c", None),
    ],
)
def test_questions(cell: str, expected: Any) -> None:
    assert session_help.question(cell) == expected
