from __future__ import annotations

import io
import os
import select
import subprocess
import sys
import threading
import time
from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers import cli
from jupyter_containers.cli import main
from jupyter_containers.commands.parser import parse
from jupyter_containers.engine.results import PruneResult
from jupyter_containers.errors import (
    ContainerFailedError,
    ContainerNotFoundError,
    ImageNotFoundError,
    OCIRuntimeError,
    UnknownUserError,
)


def command(engine: Any, *words: str) -> int:
    return main(list(words), make_engine=lambda: engine)


def raising(error: BaseException) -> Any:
    def fail(*args: Any, **kwargs: Any) -> Any:
        raise error

    return fail


def test_run_passes_bytes_on_and_exits_like_the_container(
    fake_engine: Any, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    def run(image: str, command: Any, *, on_output: Any, **flags: Any) -> Any:
        on_output("stdout", b"\xff\x00raw")
        on_output("stderr", b"err\n")
        raise ContainerFailedError("container web ended with exit code 42", exit_code=42)

    fake_engine.answers["run"] = run
    assert command(fake_engine, "run", "img") == 42
    captured = capfdbinary.readouterr()
    assert captured.out == b"\xff\x00raw"
    assert captured.err == b"err\n"
    assert fake_engine.closed


@pytest.mark.parametrize(
    ("words", "error", "code"),
    [
        (["run", "x"], ImageNotFoundError("no such image: x", hint="pull it"), 125),
        (["container", "run", "x"], ImageNotFoundError("no such image: x", hint="pull it"), 125),
        (["run", "x"], OCIRuntimeError("no such image: x", exit_code=127, hint="pull it"), 127),
        (["run", "x"], OCIRuntimeError("no such image: x", exit_code=1, hint="pull it"), 125),
        (["exec", "x", "y"], UnknownUserError("no such image: x", hint="pull it"), 126),
        (["rm", "x"], ContainerNotFoundError("no such image: x", hint="pull it"), 1),
        (["run", "x"], KeyboardInterrupt(), 130),
    ],
)
def test_exit_codes(
    fake_engine: Any, words: list[str], error: BaseException, code: int, capfd: Any
) -> None:
    fake_engine.answers.update(
        {
            "run": raising(error),
            "containers.remove": raising(error),
            "containers.exec": raising(error),
        }
    )
    assert command(fake_engine, *words) == code
    captured = capfd.readouterr()
    assert captured.out == ""
    if code != 130:
        assert captured.err == "jupyter container: no such image: x\nhint: pull it\n"


def test_want_of_memory_is_said(fake_engine: Any, capfd: Any) -> None:
    error = ContainerFailedError(
        "container web was killed: out of memory", exit_code=137, oom_killed=True, hint="--memory"
    )
    fake_engine.answers["run"] = raising(error)
    assert command(fake_engine, "run", "x") == 137
    assert capfd.readouterr().err == (
        "jupyter container: container web was killed: out of memory\nhint: --memory\n"
    )


@pytest.mark.parametrize(
    ("words", "code"), [(["run", "--nam", "x"], 125), (["ps", "--al"], 125), (["psx"], 1)]
)
def test_a_wrong_command_line_starts_no_engine(words: list[str], code: int, capfd: Any) -> None:
    assert main(words, make_engine=raising(AssertionError("an engine was started"))) == code
    assert "hint: did you mean" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("words", "out"),
    [
        (["ps", "-q"], "4f5e00000000\n"),
        (["run", "-d", "nginx"], "4f5e" + "0" * 60 + "\n"),
        (["create", "nginx"], "4f5e" + "0" * 60 + "\n"),
        (["stop", "web"], "web\n"),
        (["pull", "-q", "app"], "docker.io/library/app:latest\n"),
        (["pull", "localhost:5000/app:2"], "localhost:5000/app:2\n"),
        (["build", "-q"], "sha256:" + "ab" * 32 + "\n"),
        (["rename", "a", "b"], ""),
        (["ps", "-q", "-f", "name=none"], ""),
    ],
)
def test_results_are_printed_as_docker_does(
    fake_engine: Any, a_container: Any, an_image: Any, words: list[str], out: str, capfd: Any
) -> None:
    fake_engine.answers |= {
        "containers": lambda **kwargs: [] if kwargs["filters"] else [a_container],
        "run": a_container,
        "containers.create": a_container,
        "pull": an_image,
        "build": an_image,
    }
    assert command(fake_engine, *words) == 0
    assert capfd.readouterr().out == out


def test_logs_keep_their_streams(fake_engine: Any, capfdbinary: Any) -> None:
    fake_engine.answers["containers.logs"] = [
        SimpleNamespace(time="t", stream="stdout", data=b"\xffout\n"),
        SimpleNamespace(time="t", stream="stderr", data=b"err\n"),
    ]
    assert command(fake_engine, "logs", "web") == 0
    captured = capfdbinary.readouterr()
    assert (captured.out, captured.err) == (b"\xffout\n", b"err\n")


def test_help_and_version(capfd: Any) -> None:
    from jupyter_containers import __version__

    assert main(["run", "--help"]) == 0
    assert "Usage:  jupyter container run" in capfd.readouterr().out
    assert main(["--version"]) == 0
    assert capfd.readouterr().out == f"{__version__}\n"
    assert main([]) == 0


def test_prune_reads_its_answer_from_a_pipe_too(fake_engine: Any, monkeypatch: Any) -> None:
    fake_engine.answers["containers.prune"] = PruneResult()
    for typed, calls in (("n\n", 0), ("y\n", 1)):
        monkeypatch.setattr("sys.stdin", io.StringIO(typed))
        assert command(fake_engine, "container", "prune") == 0
        assert len(fake_engine.calls) == calls


def test_prune_asks_only_somebody(fake_engine: Any, capfd: Any, monkeypatch: Any) -> None:
    with open(os.devnull) as nobody:
        monkeypatch.setattr("sys.stdin", nobody)
        assert command(fake_engine, "container", "prune") == 1
    assert "--force" in capfd.readouterr().err
    assert fake_engine.calls == []


ENV = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}


HELP_PROBE = "from jupyter_containers.cli import main; raise SystemExit(main(['--help']))"


def test_a_broken_pipe_is_silent() -> None:
    read, write = os.pipe()
    os.close(read)
    try:
        done = subprocess.run(
            [sys.executable, "-c", HELP_PROBE],
            stdout=write,
            stderr=subprocess.PIPE,
            env=ENV,
            timeout=20,
            check=False,
        )
    finally:
        os.close(write)
    assert done.stderr == b""
    assert done.returncode == 141


YES_PROBE = """
import sys, threading, time
from jupyter_containers.cli import main
class Engine:
    def __enter__(self): return self
    def __exit__(self, *_): sys.stderr.write("closed")
    def run(self, image, command, *, on_output, **flags):
        def work():
            for _ in range(10000):
                on_output("stdout", b"y" * 4096)
        threading.Thread(target=work).start()
        threading.Event().wait(30)
sys.exit(main(["run", "x"], make_engine=Engine))
"""


def test_a_container_ends_when_nobody_reads_its_output() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", YES_PROBE], stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=ENV
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        assert process.stdout.read(3) == b"yyy"
        process.stdout.close()
        assert process.stderr.read() == b"closed"
        assert process.wait(10) == 141


SIGTERM_PROBE = """
import sys, time
from jupyter_containers.cli import main
class Engine:
    def __enter__(self): return self
    def __exit__(self, *_): print("closed", flush=True)
    @property
    def containers(self): return self
    def wait(self, name):
        print("waiting", flush=True)
        time.sleep(30)
sys.exit(main(["wait", "x"], make_engine=Engine))
"""


def test_sigterm_ends_the_command_through_the_engines_clean_up() -> None:
    with subprocess.Popen(
        [sys.executable, "-c", SIGTERM_PROBE], stdout=subprocess.PIPE, text=True, env=ENV
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "waiting\n"
        process.terminate()
        assert process.stdout.read() == "closed\n"
        assert process.wait(10) == 143


TERMINAL_PROBE = """
import sys, termios
from jupyter_containers.cli import main
from jupyter_containers.errors import ContainerFailedError
class Engine:
    def __enter__(self): return self
    def __exit__(self, *_): pass
    def run(self, image, command, *, stdin, on_output, **flags):
        on_output("stdout", b"raw" if not termios.tcgetattr(0)[3] & termios.ECHO else b"cooked")
        key = stdin.read(1)
        on_output("stdout", b"key:" + key)
        raise ContainerFailedError("container web ended", exit_code=7)
code = main(["run", "-it", "img"], make_engine=Engine)
print("echo:", bool(termios.tcgetattr(0)[3] & termios.ECHO), "code:", code, flush=True)
"""


def read_until(descriptor: int, text: bytes) -> bytes:
    data = b""
    deadline = time.monotonic() + 20
    while text not in data and time.monotonic() < deadline:
        if select.select([descriptor], [], [], 0.1)[0]:
            data += os.read(descriptor, 4096)
    return data


def test_it_puts_the_terminal_in_raw_mode_and_back() -> None:
    master, slave = os.openpty()
    probe = [sys.executable, "-c", TERMINAL_PROBE]
    try:
        with subprocess.Popen(probe, stdin=slave, stdout=slave, env=ENV) as process:
            assert read_until(master, b"raw") == b"raw"
            os.write(master, b"\x03")
            assert b"key:\x03echo: True code: 7" in read_until(master, b"\n")
            assert process.wait(10) == 0
    finally:
        os.close(slave)
        os.close(master)


def test_version_loads_little() -> None:
    """Seen to fail with an import of the engine's parts at the top of a verb's module."""
    probe = (
        "import sys; from jupyter_containers.cli import main; main(['version']);"
        "heavy = {'requests','pyroute2','msgspec','IPython','traitlets','isal','asyncio'};"
        "print(sorted(heavy & set(sys.modules)), len(sys.modules))"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], capture_output=True, text=True, env=ENV, check=True
    )
    found, _, count = done.stdout.splitlines()[-1].rpartition(" ")
    assert found == "[]"
    assert int(count) < 180


@pytest.mark.parametrize(
    ("words", "watched"),
    [
        (["stats"], True),
        (["stats", "--no-stream"], False),
        (["stats", "--format", "json"], False),
        (["ps"], False),
        (["ps", "--watch"], True),
        (["ps", "--watch", "--help"], False),
    ],
)
def test_what_a_terminal_goes_on_showing(
    words: list[str], watched: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdout.isatty", lambda: True, raising=False)
    assert cli._is_watched(parse(words)) is watched


@pytest.mark.parametrize(
    ("redirection", "reason"),
    [
        (">/dev/full", "No space left on device"),
        (">&-", "Bad file descriptor"),
        ("<&- >&-", "Bad file descriptor"),
    ],
)
def test_an_output_that_cannot_be_written_to_is_one_line(redirection: str, reason: str) -> None:
    """Seen to fail before: tracebacks (OSError, AttributeError of a stream that is None)."""
    done = subprocess.run(
        ["sh", "-c", f'"$0" -m jupyter_containers.cli --help {redirection}', sys.executable],
        stderr=subprocess.PIPE,
        text=True,
        env=ENV,
        check=False,
    )
    expected = f"jupyter container: cannot write to standard output: {reason}\n"
    assert (done.returncode, done.stderr) == (1, expected)


def test_a_closed_or_full_error_output_says_nothing_and_harms_nothing() -> None:
    for redirection in ("2>&-", "2>/dev/full", ">&- 2>&-"):
        done = subprocess.run(
            ["sh", "-c", f'"$0" -m jupyter_containers.cli ps --foo {redirection}', sys.executable],
            env=ENV,
            check=False,
            capture_output=True,
        )
        assert (done.returncode, done.stdout, done.stderr) == (125, b"", b"")


def test_a_container_whose_output_cannot_be_written_ends_the_command(fake_engine: Any) -> None:
    def run(image: str, command: Any, *, on_output: Any, **flags: Any) -> Any:
        thread = threading.Thread(target=on_output, args=("stdout", b"x"))
        thread.start()
        time.sleep(10)

    fake_engine.answers["run"] = run
    kept = os.dup(1)
    full = os.open("/dev/full", os.O_WRONLY)
    try:
        os.dup2(full, 1)
        assert command(fake_engine, "run", "img") == 125
    finally:
        os.dup2(kept, 1)
        os.close(kept)
        os.close(full)


@pytest.mark.parametrize(
    "words", [["run", "img", "\udcff"], ["ps", "--filter", "name=\udcff"], ["\udcff"]]
)
def test_arguments_that_are_not_utf8_are_refused(
    words: list[str], fake_engine: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    """Seen to fail before: UnicodeEncodeError where a record or a message is written."""
    assert command(fake_engine, *words) == 125
    assert "not UTF-8" in capfd.readouterr().err
    assert fake_engine.calls == []


def test_paths_that_are_not_utf8_are_taken(fake_engine: Any) -> None:
    fake_engine.answers["images.load"] = []
    assert command(fake_engine, "load", "-i", "/nowhere/\udcff") == 0
    assert str(fake_engine.last[1][0]) == "/nowhere/\udcff"
