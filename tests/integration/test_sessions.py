"""Sessions: cells in a container that keeps state, their outputs and their ends."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.sessions.session import Session
from jupyter_containers.errors import (
    ConflictError,
    SessionCellError,
    SessionNotFoundError,
    UnsupportedError,
)
from tests.integration.engine_fixtures import Place


@pytest.fixture(scope="module")
def session(engine: Engine, python: str) -> Iterator[Session]:
    """Yield a session that the tests share: each sets the variables that it needs."""
    with engine.sessions.start(python, name="shared", network="none", read_only=True,
                               tmpfs=["/tmp"]) as session:  # fmt: skip
        yield session
    assert engine.sessions.list() == []


def shown(session: Session, code: str) -> list[dict[str, Any]]:
    """Return the outputs of a cell that succeeds."""
    return session.run(code).check().outputs


def test_variables_stay_and_the_last_expression_is_shown(session: Session) -> None:
    session.run("import math\nx = 20").check()
    done = session.run("print('text')\nx * 2 + math.floor(2.5)")
    assert (done.text, done.stdout, done.ok) == ("42", "text\n", True)
    assert [output["output_type"] for output in done.outputs] == ["stream", "execute_result"]
    assert session.run("x;").outputs == []
    assert session.run("_").text == "42"
    assert session.run("import asyncio\nawait asyncio.sleep(0, 'awaited')").text == "'awaited'"
    assert session.version.startswith("3.")


def test_values_show_themselves_as_in_ipython(session: Session) -> None:
    code = """
from IPython.display import HTML, Markdown, display
class Picture:
    def _repr_png_(self): return b'\\x89PNG'
    def _repr_html_(self): return None, {'ignored': True}
handle = display(HTML('<b>1</b>'), display_id=True)
handle.update(HTML('<b>2</b>'))
display(Markdown('*m*'), {'a': [1, 2]})
Picture()
"""
    bundles = [output["data"] for output in shown(session, code)]
    assert [bundle.get("text/html") for bundle in bundles] == ["<b>2</b>", None, None, None]
    assert bundles[1]["text/markdown"] == "*m*"
    assert bundles[2] == {"text/plain": "{'a': [1, 2]}"}
    assert bundles[3]["image/png"] == "iVBORw=="


def test_output_of_subprocesses_and_threads_arrives_in_order(session: Session) -> None:
    code = """
import subprocess, threading, os
print('first', flush=True)
subprocess.run('echo second; echo error >&2', shell=True)
thread = threading.Thread(target=print, args=('third',)); thread.start(); thread.join()
if os.fork() == 0:
    print('fourth'); os._exit(0) if not __import__('sys').stdout.flush() else None
os.wait(); print('fifth')
"""
    done = session.run(code).check()
    assert done.stdout.split() == ["first", "second", "third", "fourth", "fifth"]
    assert done.stderr == "error\n"


def test_a_traceback_has_the_lines_of_the_cell(session: Session) -> None:
    done = session.run("def f():\n    return 1 / 0\n\nf()", name="<cell 7>")
    assert done.error is not None
    assert (done.error.name, done.error.value) == ("ZeroDivisionError", "division by zero")
    text = "\n".join(done.error.traceback)
    assert 'File "<cell 7>", line 2, in f' in text
    assert "return 1 / 0" in text
    assert "agent" not in text
    with pytest.raises(SessionCellError, match="division by zero"):
        done.check()
    broken = session.run("x = (\n").error
    assert broken is not None
    assert broken.name == "SyntaxError"
    assert not any("agent" in line for line in broken.traceback)
    deep = session.run("def g(): g()\ng()").error
    assert deep is not None
    assert len(deep.traceback) < 150


def test_input_asks_the_caller(session: Session) -> None:
    asked = []

    def answer(prompt: str, hidden: bool) -> str:
        asked.append((prompt, hidden))
        return "word"

    code = "from getpass import getpass\ninput('name? ') + getpass()"
    assert session.run(code, on_input=answer).text == "'wordword'"
    assert asked == [("name? ", False), ("Password: ", True)]
    refused = session.run("input()").error
    assert refused is not None
    assert refused.name == "EOFError"


def test_values_cross_as_data(session: Session) -> None:
    pandas = pytest.importorskip("pandas")
    value = {"a": [1, 2.5, None, "ü"]}
    session.push(value=value, data=b"\x00\xff", text="line\n")
    assert session.run("value, data, text").text == repr((value, b"\x00\xff", "line\n"))
    assert [session.pull(name) for name in ("value", "data", "text")] == [
        value, b"\x00\xff", "line\n",
    ]  # fmt: skip
    session.push(frame=pandas.DataFrame({"n": [1, 2, 3]}))
    assert session.run("sum(frame['n'])").text == "6"
    with pytest.raises(SessionCellError, match="not defined"):
        session.pull("nothing_of_this_name")
    session.run("import threading\nlock = threading.Lock()").check()
    with pytest.raises(SessionCellError, match="cannot return lock"):
        session.pull("lock")


def test_names_complete_and_explain_themselves(session: Session) -> None:
    session.run("import posixpath").check()
    matches, start = session.complete("x = posixpath.joi", 17)
    assert (matches[0].rstrip("("), start) == ("posixpath.join", 4)
    assert "components" in session.inspect("posixpath.join(", 12)
    assert session.inspect("nothing_here", 3) == ""


def test_a_time_limit_stops_the_cell_and_keeps_variables(session: Session) -> None:
    session.run("kept = 1").check()
    done = session.run("while True: pass", timeout=0.3)
    assert (done.stopped_by, done.error and done.error.name) == ("time", "KeyboardInterrupt")
    assert session.run("kept").text == "1"


def test_an_interrupt_stops_the_cell_and_keeps_variables(session: Session) -> None:
    session.run("kept = 2").check()
    main = threading.main_thread().ident
    assert main is not None
    threading.Timer(0.5, signal.pthread_kill, (main, signal.SIGINT)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        session.run("import time; time.sleep(60)")
    assert time.monotonic() - began < 30
    assert session.run("kept").text == "2"


def test_a_cell_that_ignores_interrupts_loses_its_process(session: Session) -> None:
    session.run("open('/tmp/file', 'w').write('stays'); kept = 3").check()
    code = "import signal\nsignal.signal(signal.SIGINT, signal.SIG_IGN)\nwhile True: pass"
    done = session.run(code, timeout=0.2)
    assert done.stopped_by == "time"
    assert done.error is not None
    assert "variables are lost" in done.error.value
    assert session.run("open('/tmp/file').read()").text == "'stays'"
    assert not session.run("kept").ok


def test_a_process_that_dies_says_how(session: Session) -> None:
    done = session.run("import os; os._exit(3)")
    assert done.error is not None
    assert "exit code 3" in done.error.value
    session.run("again = 1").check()
    session.restart()
    assert not session.run("again").ok
    assert session.status == "idle"


def test_forged_frames_harm_the_cell_alone(session: Session) -> None:
    """The cell finds the pipe and writes forged frames: the engine refuses them, and goes on."""
    code = """
import os
for number in range(3, 20):
    try: os.write(number, b'\\xff' * 64)
    except OSError: pass
"""
    done = session.run(code)
    assert done.error is not None
    assert "no more than" in done.error.value
    assert session.run("1 + 1").text == "2"


def test_a_flood_is_cut(engine: Engine, python: str) -> None:
    with engine.sessions.start(python, network="none", output_bytes=100_000) as session:
        done = session.run("for _ in range(3000): print('x' * 1000)")
        assert (done.stopped_by, done.ok) == ("output", True)
        assert len(done.stdout) <= 100_000
        assert session.run("1").text == "1"


def test_a_sandbox_is_closed_and_names_the_limit(engine: Engine, python: str) -> None:
    with engine.sessions.sandbox(python, memory="256m", memory_swap="256m") as session:
        probe = """
import os, socket
found = []
for attempt in (
    lambda: open('/etc/passwd', 'a'),
    lambda: socket.create_connection(('192.0.2.1', 80), 1),
    lambda: os.setuid(0) or os.mkdir('/new'),
    lambda: os.chown('/tmp', 1, 1),
):
    try: attempt(); found.append('open')
    except OSError as error: found.append('closed')
found, [line for line in open('/proc/self/status') if line.startswith('CapEff')]
"""
        text = session.run(probe).check().text
        assert text.count("'closed'") == 4, text
        assert "0000000000000000" in text
        done = session.run("data = bytearray(900_000_000)")
        assert done.stopped_by == "memory"
        assert "memory limit" in done.reason
        bomb = session.run(
            "import os, time\nwhile True:\n    if os.fork() == 0: time.sleep(60); os._exit(0)"
        )
        assert (bomb.stopped_by, "processes" in bomb.reason) == ("processes", True), bomb


def test_names_are_those_of_containers(engine: Engine, python: str) -> None:
    with engine.sessions.start(python, name="py", network="none") as session:
        assert engine.sessions.get("py") is session
        assert "py" in engine.sessions
        assert engine.containers.get("py").id == session.container_id
        with pytest.raises(ConflictError, match="a session py is running"):
            engine.sessions.start(python, name="py")
    with pytest.raises(SessionNotFoundError, match="no session py"):
        engine.sessions.get("py")
    assert "py" not in {container.name for container in engine.containers(all=True)}


def pipes() -> int:
    """Return the number of this process's pipes; other files may be open for deletions."""
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with suppress(FileNotFoundError):
            found += os.readlink(f"/proc/self/fd/{number}").startswith("pipe:")
    return found


def test_an_image_without_the_language_is_refused(engine: Engine, busybox: str) -> None:
    """Seen to fail when the pipes of the programs that were tried stayed open."""
    counts: list[int] = []
    for _ in range(2):  # the first opens descriptors that the engine keeps
        with pytest.raises(UnsupportedError, match="has no python3 or python"):
            engine.sessions.start(busybox, language="python", network="none")
        counts.append(pipes())
    assert counts[1] <= counts[0]


def test_a_killed_kernel_leaves_no_session(engine: Engine, python: str, place: Place) -> None:
    program = (
        "import sys\nfrom jupyter_containers import Engine\n"
        f"session = Engine().sessions.start({python!r}, network='none', name='orphan')\n"
        "print('started', flush=True)\nsys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program],
        env={**os.environ, **place.variables},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"started\n"
        assert "orphan" in {container.name for container in engine.containers()}
        child.kill()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        if "orphan" not in {container.name for container in engine.containers(all=True)}:
            return
        time.sleep(0.05)
    pytest.fail("the session's container is still there")
