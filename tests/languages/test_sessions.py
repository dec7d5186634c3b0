"""Sessions of R and Node: what cells show, how they end, and values that cross."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from typing import Any

import pandas
import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.sessions.session import Session
from jupyter_containers.errors import SessionCellError
from tests.languages.conftest import IMAGE


@pytest.fixture(scope="module", params=["r", "node"])
def session(engine: Engine, request: pytest.FixtureRequest) -> Iterator[Session]:
    """Yield a session of each language."""
    start = engine.sessions.start
    with start(IMAGE, language=request.param, network="none", read_only=True) as session:
        yield session


@pytest.fixture(scope="module")
def r(engine: Engine) -> Iterator[Session]:
    """Yield a session of R."""
    with engine.sessions.start(IMAGE, language="r", network="none") as session:
        yield session


@pytest.fixture(scope="module")
def node(engine: Engine) -> Iterator[Session]:
    """Yield a session of Node."""
    with engine.sessions.start(IMAGE, language="node", network="none") as session:
        yield session


CELLS = {
    "r": {
        "set": "x <- 20; f <- function(n) n * 2",
        "use": "cat('text\\n'); message('note'); f(x)",
        "shown": "[1] 40",
        "loop": "kept <- 1; while (TRUE) {}; kept <- 2",
        "sleep": "kept <- 1; Sys.sleep(60); kept <- 2",
        "kept": "kept",
        "one": "[1] 1",
        "fail": "g <- function() {\n  stop('bad')\n}\ng()",
        "line": "<cell>:2",
        "ask": "readline('name? ')",
        "answer": '[1] "word"',
        "child": "system('echo child; echo error >&2')",
        "leave": "quit(status = 3)",
        "die": "tools::pskill(Sys.getpid(), 9)",
    },
    "node": {
        "set": "const x = 20; function f(n) { return n * 2 }",
        "use": "console.log('text'); console.error('note'); f(x)",
        "shown": "40",
        "loop": "let kept = 1; while (true) {}; kept = 2",
        "sleep": "let kept = 1; await new Promise(r => setTimeout(r, 60000)); kept = 2",
        "kept": "kept",
        "one": "1",
        "fail": "function g() {\n  throw new Error('bad')\n}\ng()",
        "line": "<cell>:2",
        "ask": "prompt('name? ')",
        "answer": "'word'",
        "child": "require('child_process').spawnSync('sh', ['-c', 'echo child; echo error >&2'], "
        "{stdio: 'inherit'}), undefined",
        "leave": "process.exit(3)",
        "die": "process.kill(process.pid, 'SIGKILL'); await new Promise(() => {})",
    },
}


@pytest.fixture
def cells(session: Session) -> dict[str, str]:
    """Return the cells of the session's language."""
    return CELLS[session.language]


def test_state_stays_streams_and_the_last_value_come(session: Session, cells: Any) -> None:
    assert session.run(cells["set"]).outputs == []
    done = session.run(cells["use"]).check()
    assert (done.text, done.stdout, done.stderr) == (cells["shown"], "text\n", "note\n")
    child = session.run(cells["child"])
    assert (child.stdout, child.stderr) == ("child\n", "error\n")


def test_an_error_has_the_line_of_the_cell(session: Session, cells: Any) -> None:
    error = session.run(cells["fail"], name="<cell>").error
    assert error is not None
    assert error.value == "bad"
    assert any(cells["line"] in line for line in error.traceback)
    assert not any("agent" in line for line in error.traceback)
    assert session.run("x <- (" if session.language == "r" else "const = (").error is not None


@pytest.mark.parametrize("kind", ["loop", "sleep"])
def test_an_interrupt_keeps_variables(session: Session, cells: Any, kind: str) -> None:
    done = session.run(cells[kind], timeout=0.4)
    assert (done.stopped_by, done.error and done.error.name) == ("time", "Interrupted")
    assert session.run(cells["kept"]).text == cells["one"]


def test_input_asks_the_caller(session: Session, cells: Any) -> None:
    asked = []

    def answer(prompt: str, hidden: bool) -> str:
        asked.append((prompt, hidden))
        return "word"

    assert session.run(cells["ask"], on_input=answer).text == cells["answer"]
    assert asked == [("name? ", False)]


def test_json_crosses_both_ways(session: Session) -> None:
    values: dict[str, Any] = {
        "text": "it's\n\"ü\\",
        "number": 2.5,
        "whole": 7,
        "truth": True,
        "numbers": [1, None, 3],
        "deep": {"a": [{"b": "c"}], "e": {}},
    }
    session.push(**values)
    assert {name: session.pull(name) for name in values} == values
    with pytest.raises(SessionCellError, match="is not defined"):
        session.pull("nothing_here")


def test_names_complete_and_explain_themselves(session: Session) -> None:
    word = {"r": "read.cs", "node": "JSON.str"}[session.language]
    matches, start = session.complete(word, len(word))
    assert (matches[0], start) == ({"r": "read.csv", "node": "JSON.stringify"}[session.language], 0)
    assert "read.csv" in session.inspect("read.csv", 2) or "Math.max" in session.inspect(
        "Math.max", 6
    )


def test_leaving_is_an_error_and_death_is_told(session: Session, cells: Any) -> None:
    error = session.run(cells["leave"]).error
    assert error is not None
    assert "a session ends with stop" in error.value
    died = session.run(cells["die"]).error
    assert died is not None
    assert "exit code 137" in died.value
    assert session.run(cells["ask"]).error is not None or session.language == "node"  # no input


@pytest.mark.parametrize(
    ("language", "code"),
    [
        ("r", "for (i in 1:3000) cat(strrep('x', 1000))"),
        ("node", "for (let i = 0; i < 3000; i++) console.log('x'.repeat(1000))"),
    ],
)
def test_a_flood_is_cut(engine: Engine, language: str, code: str) -> None:
    start = engine.sessions.start
    with start(IMAGE, language=language, network="none", output_bytes=100_000) as session:
        done = session.run(code)
        assert done.stopped_by == "output"
        assert len(done.stdout) <= 100_000


def test_tables_keep_their_types(r: Session) -> None:
    frame = pandas.DataFrame({
        "n": [1, 2, 3], "f": [0.1, None, 1e300], "s": ["007", None, 'a,"b\nü'],
        "t": pandas.to_datetime(["2024-01-01 10:00", "2024-01-02 00:00", None]),
        "b": [True, False, True], "c": pandas.Categorical(["x", "y", "x"]),
        "i": pandas.array([1, None, 3], dtype="Int64"),
    })  # fmt: skip
    r.push(frame=frame)
    classes = r.run("cat(sapply(frame, function(x) class(x)[1]))").stdout
    assert classes == "integer numeric character POSIXct logical factor integer"
    back = r.pull("frame")
    pandas.testing.assert_frame_equal(back, frame, check_dtype=False)
    assert [str(kind).split("[")[0] for kind in back.dtypes] == [
        str(kind).split("[")[0] for kind in frame.dtypes
    ]


def test_r_shows_tables_plots_and_warnings(r: Session) -> None:
    r.run("d <- data.frame(a = 1:2, b = c('<', 'ü'))").check()
    bundle = r.run("d").outputs[0]["data"]
    assert "<td>&lt;</td>" in bundle["text/html"]
    assert "1 1 <" in bundle["text/plain"]
    plot = r.run("plot(1:3); hist(c(1, 2))").outputs
    assert [base64.b64decode(one["data"]["image/png"])[:4] for one in plot] == [b"\x89PNG"] * 2
    done = r.run("f <- function() warning('careful'); f(); invisible(3)")
    assert "In f() :\n  careful" in done.stderr
    assert [one["output_type"] for one in done.outputs] == ["stream"]
    rows = r.run("data.frame(n = 1:1000)").outputs[0]["data"]["text/html"]
    assert rows.count("<tr>") == 62


def test_node_awaits_declares_again_and_reads_lines(node: Session) -> None:
    assert node.run("const v = await Promise.resolve(1); v").text == "1"
    assert node.run("const v = 2; v").text == "2"
    assert node.run("undefined").outputs == []
    shown = node.run("display({_toHtml: () => '<b>1</b>'}, {display_id: 'a'}); null").outputs
    assert shown[0]["data"]["text/html"] == "<b>1</b>"
    code = """const lines = require('readline').createInterface({input: process.stdin});
const line = await new Promise(resolve => lines.question('who? ', resolve));
lines.close(); line"""
    assert node.run(code, on_input=lambda *_: "me").text == "'me'"
    error = node.run("await Promise.reject(new TypeError('later'))").error
    assert error is not None
    assert (error.name, error.value) == ("TypeError", "later")


def test_python_without_pandas_takes_columns(engine: Engine) -> None:
    with engine.sessions.start(IMAGE, network="none") as session:
        assert session.language == "python"  # the first of several
        session.push(frame=pandas.DataFrame({"a": [1, 2], "b": ["x", "y"]}))
        assert session.run("frame").text == "{'a': [1, 2], 'b': ['x', 'y']}"
