"""Sessions of a shell: an image with ``sh`` is enough."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.sessions.session import Session
from jupyter_containers.errors import SessionCellError
from tests.integration.engine_fixtures import BUSYBOX


@pytest.fixture(scope="module")
def session(engine: Engine) -> Iterator[Session]:
    """Yield a session that the tests share; the image has no other language."""
    with engine.sessions.start(BUSYBOX, network="none", read_only=True) as session:
        assert session.language == "shell"
        yield session
    assert engine.sessions.list() == []


def test_variables_functions_and_folder_stay(session: Session) -> None:
    session.run("word='two words'; f() { echo \"<$1>\"; }; cd /etc").check()
    done = session.run('f "$word"; pwd; echo error >&2')
    assert (done.stdout, done.stderr, done.ok) == ("<two words>\n/etc\n", "error\n", True)


def test_a_status_is_the_cells_error_and_the_shell_stays(session: Session) -> None:
    session.run("kept=1").check()
    failures = {"false": "1", "f() { return 7; }; f": "7", "if then": "2", ": ${missing:?}": "2"}
    for code, status in failures.items():
        error = session.run(code).error
        assert error is not None, code
        assert (error.name, error.value) == ("ExitStatus", f"the cell ended with {status}")
    assert session.run("echo $kept").stdout == "1\n"


def test_output_arrives_while_the_cell_runs(session: Session) -> None:
    seen = threading.Event()
    session.run("mkfifo /dev/shm/go").check()

    def show(output: dict[str, object]) -> None:
        if output.get("text") == "first\n":
            seen.set()

    thread = threading.Thread(target=lambda: seen.wait(20) and session.interrupt())
    thread.start()
    done = session.run("echo first; read -r line </dev/shm/go; echo second", on_output=show)
    thread.join()
    assert (done.stdout, done.error and done.error.name) == ("first\n", "Interrupted")


@pytest.mark.parametrize("code", ["while :; do :; done", "sleep 60"])
def test_an_interrupt_stops_the_cell_and_keeps_variables(session: Session, code: str) -> None:
    done = session.run(f"kept=2; {code}; kept=3", timeout=0.3)
    assert (done.stopped_by, done.error and done.error.name) == ("time", "Interrupted")
    assert session.run("echo $kept").stdout == "2\n"


def test_read_asks_the_caller(session: Session) -> None:
    asked = []

    def answer(prompt: str, hidden: bool) -> str:
        asked.append((prompt, hidden))
        return "a b\\c"

    done = session.run("read -r -p 'name? ' one two; echo $two-$one", on_input=answer)
    assert (done.stdout, asked) == ("b\\c-a\n", [("name? ", False)])
    assert session.run("read x; echo $?").stdout == "1\n"
    assert session.run("printf 'x y\\n' | while read a b; do echo $b; done").stdout == "y\n"


def test_values_are_text(session: Session) -> None:
    session.push(text="it's\n$x", number=5, lines=["a", "b"])
    done = session.run('echo "$text" $number; for l in $lines; do echo -$l; done')
    assert done.stdout == "it's\n$x 5\n-a\n-b\n"
    assert session.pull("text") == "it's\n$x"
    with pytest.raises(SessionCellError, match="missing is not set"):
        session.pull("missing")


def test_words_complete(session: Session) -> None:
    session.run("a_long_name=1").check()
    assert session.complete("echo $a_lo", 10) == (["$a_long_name"], 5)
    assert "sleep" in session.complete("slee", 4)[0]
    assert session.complete("cat /etc/pass", 13)[0] == ["/etc/passwd"]
    assert "builtin" in session.inspect("cd /", 1)


def test_a_shell_that_exits_is_replaced(session: Session) -> None:
    done = session.run("exit 3")
    assert done.error is not None
    assert "exit code 3" in done.error.value
    assert session.run("echo again").stdout == "again\n"
    session.restart()
    assert session.status == "idle"
