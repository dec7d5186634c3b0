"""``run -it`` and ``exec -it`` of the installed command on a real terminal."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.engine_fixtures import Place

COMMAND = Path(sys.executable).with_name("jupyter-container")


class Person:
    """A user at a terminal: types, reads, resizes the window."""

    def __init__(self, place: Place, *words: str, rows: int = 33, columns: int = 111) -> None:
        self.ours, theirs = pty.openpty()
        self.resize(rows, columns)
        self.before = termios.tcgetattr(theirs)
        environment = {
            **os.environ,
            **place.variables,
        }
        self.process = subprocess.Popen(
            [COMMAND, *words],
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env=environment,
            start_new_session=True,
        )
        self.theirs = theirs
        self.seen = b""

    def resize(self, rows: int, columns: int) -> None:
        fcntl.ioctl(self.ours, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def type(self, text: bytes) -> None:
        os.write(self.ours, text)

    def read_until(self, text: bytes, seconds: float = 10) -> None:
        deadline = time.monotonic() + seconds
        while text not in self.seen:
            assert time.monotonic() < deadline, f"{text!r} did not come: {self.seen!r}"
            if select.select([self.ours], [], [], 0.1)[0]:
                self.seen += os.read(self.ours, 65536)
        self.seen = self.seen.partition(text)[2]

    def leave(self) -> int:
        code = self.process.wait(10)
        assert termios.tcgetattr(self.theirs) == self.before, "the terminal was left raw"
        return code

    def close(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)
        os.close(self.theirs)
        os.close(self.ours)


@pytest.fixture
def person(place: Place, busybox: str) -> Iterator[object]:
    people: list[Person] = []

    def sit_down(*words: str) -> Person:
        people.append(Person(place, *words))
        return people[-1]

    yield sit_down
    for somebody in people:
        somebody.close()


def conversation(person: Person) -> None:
    """Size at the start, size after a resize, keys that mean something, the exit code."""
    person.read_until(b"# ")
    person.type(b"tty; stty size\r")
    person.read_until(b"/dev/pts/")
    person.read_until(b"33 111\r\n")
    person.resize(40, 90)
    person.read_until(b"# ")
    # Not later than a person could type the next command.
    time.sleep(0.2)
    person.type(b"stty size\r")
    person.read_until(b"40 90\r\n")
    person.read_until(b"# ")
    person.type(b"sleep 100\r")
    person.read_until(b"sleep 100\r\n")
    time.sleep(0.2)
    person.type(b"\x03")  # Ctrl-C is the container's
    person.read_until(b"# ")
    person.type(b"exit 9\r")


def test_run(person, engine: Engine, busybox: str) -> None:
    somebody = person("run", "-it", "--rm", "--network", "none", busybox, "sh")
    conversation(somebody)
    assert somebody.leave() == 9
    assert engine.containers(all=True) == []


def test_exec(person, engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["sleep", "60"], detach=True, name="session", network="none")
    somebody = person("exec", "-it", "session", "sh")
    conversation(somebody)
    assert somebody.leave() == 9


def test_the_end_of_input_ends_a_shell(person, engine: Engine, busybox: str) -> None:
    somebody = person("run", "-it", "--rm", "--network", "none", busybox, "sh")
    somebody.read_until(b"# ")
    somebody.type(b"\x04")
    assert somebody.leave() == 0


def test_a_program_hears_of_a_resize(person, engine: Engine, busybox: str) -> None:
    engine.run(busybox, ["sleep", "60"], detach=True, name="session", network="none")
    traps = "trap 'exit 143' TERM; trap 'echo heard; stty size' WINCH"
    script = f"{traps}; echo ready; while :; do sleep 0.05; done"
    for words in (
        ("run", "-it", "--rm", "--network", "none", busybox),
        ("exec", "-it", "session"),
    ):
        somebody = person(*words, "sh", "-c", script)
        somebody.read_until(b"ready")
        somebody.resize(50, 100)
        somebody.read_until(b"heard")
        somebody.read_until(b"50 100")
        somebody.process.send_signal(signal.SIGTERM)
        assert somebody.leave() == 128 + signal.SIGTERM


def test_no_terminal_is_said(place: Place, engine: Engine, busybox: str) -> None:
    done = subprocess.run(
        [COMMAND, "run", "-it", "--rm", "--network", "none", busybox, "true"],
        env={
            **os.environ,
            **place.variables,
        },
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert done.returncode == 1  # as Docker's command
    assert "not a TTY" in done.stderr
