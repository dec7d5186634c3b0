"""``-i``, ``-t``, ``-a`` and ``-d`` in every combination: exit codes and output are Docker's.

The expectations were read off Debian's docker with the same input, ``typed`` on a pipe.
"""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.engine_fixtures import Place

COMMAND = Path(sys.executable).with_name("jupyter-container")
SCRIPT = (
    "echo out; echo err >&2; [ -t 0 ] && echo tty0; [ -t 1 ] && echo tty1;"
    " read -t 1 x && echo got $x; exit 3"
)
_TERMINAL = b"out\r\nerr\r\ntty0\r\ntty1\r\n"


def ask(place: Place, *words: str) -> subprocess.CompletedProcess[bytes]:
    environment = {
        **os.environ,
        **place.variables,
    }
    return subprocess.run(
        [COMMAND, *words], env=environment, input=b"typed\n", capture_output=True, check=False
    )


@pytest.mark.parametrize(
    ("flags", "code", "out", "err"),
    [
        ("", 3, b"out\n", b"err\n"),
        ("-i", 3, b"out\ngot typed\n", b"err\n"),
        ("-t", 3, _TERMINAL, b""),
        ("-a stdout", 3, b"out\n", b""),
        ("-a stderr", 3, b"", b"err\n"),
        ("-a STDOUT -a stderr", 3, b"out\n", b"err\n"),
        ("-a stdin -i", 3, b"", b""),
        ("-a stdin -a stdout -i", 3, b"out\ngot typed\n", b""),
        ("-i -a stdout", 3, b"out\ngot typed\n", b""),
        ("-t -a stdout", 3, _TERMINAL, b""),
    ],
)
def test_run(place: Place, busybox: str, flags: str, code: int, out: bytes, err: bytes) -> None:
    words = ["run", "--rm", "--network", "none", *shlex.split(flags), busybox, "sh", "-c", SCRIPT]
    done = ask(place, *words)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


@pytest.mark.parametrize("verb", ["run", "exec"])
def test_a_terminal_cannot_be_had_from_a_pipe(
    engine: Engine, place: Place, busybox: str, verb: str
) -> None:
    engine.run(busybox, ["sleep", "60"], detach=True, name="host", network="none")
    where = ["--rm", "--network", "none", busybox] if verb == "run" else ["host"]
    done = ask(place, verb, "-it", *where, "true")
    assert done.returncode == 1
    assert b"not a TTY" in done.stderr


@pytest.mark.parametrize(
    ("flags", "code", "out", "err"),
    [
        ("", 3, b"out\n", b"err\n"),
        ("-i", 3, b"out\ngot typed\n", b"err\n"),
        ("-t", 3, _TERMINAL, b""),
        ("-d", 0, b"", b""),
    ],
)
def test_exec(
    engine: Engine, place: Place, busybox: str, flags: str, code: int, out: bytes, err: bytes
) -> None:
    engine.run(busybox, ["sleep", "60"], detach=True, name="host", network="none")
    done = ask(place, "exec", *shlex.split(flags), "host", "sh", "-c", SCRIPT)
    assert (done.returncode, done.stdout, done.stderr) == (code, out, err)


@pytest.mark.parametrize(
    ("flags", "out", "err"),
    [
        ("-a", b"out\n", b"err\n"),
        ("-ai", b"out\ngot typed\n", b"err\n"),
    ],
)
def test_start(
    engine: Engine, place: Place, busybox: str, flags: str, out: bytes, err: bytes
) -> None:
    engine.containers.create(
        busybox, ["sh", "-c", SCRIPT], interactive=True, name="made", network="none"
    )
    done = ask(place, "start", flags, "made")
    assert (done.returncode, done.stdout, done.stderr) == (3, out, err)


def test_attach(engine: Engine, place: Place, busybox: str) -> None:
    command = ["sh", "-c", "read x; echo got $x; exit 4"]
    engine.run(busybox, command, detach=True, interactive=True, name="open", network="none")
    done = ask(place, "attach", "open")
    assert (done.returncode, done.stdout) == (4, b"got typed\n")
    assert ask(place, "attach", "open").returncode == 1
