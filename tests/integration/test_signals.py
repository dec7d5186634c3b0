"""Signals to the process of a foreground command, compared with Docker's command.

Frozen from the clients of Docker 20.10 and 28.2 before one dockerd 20.10, with the same program:
every signal reaches it, with ``-t`` too, the command lives until the program ends, prints its last
output and exits with its code.  Every test here was seen to fail before signals were passed on:
TERM and HUP killed the container, USR1 the command alone, which left a container of ``--rm``.
"""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from tests.integration.account import KINDS, opened
from tests.integration.engine_fixtures import Place

COMMAND = Path(sys.executable).with_name("jupyter-container")
NAMES = ("USR1", "HUP", "INT", "QUIT", "WINCH", "CONT")
TRAPS = "; ".join(f"trap 'echo got {name}' {name}" for name in NAMES)
# The output and exit code of Docker's command.
HEARD = b"".join(b"got %s\n" % name.encode() for name in (*NAMES, "TERM"))
CODE = 5
PROGRAM = f"{TRAPS}; trap 'echo got TERM; exit {CODE}' TERM; echo ready; while :; do sleep 1; done"
DEAF = "echo ready; sleep 60"
NONE = ("--network", "none")


class Command:
    """A command whose container has reported that it is ready."""

    def __init__(self, argv: list[str], environ: dict[str, str], output: int | None = None) -> None:
        self.process = subprocess.Popen(
            argv,
            env={**os.environ, **environ},
            stdin=subprocess.DEVNULL if output is None else output,
            stdout=subprocess.PIPE if output is None else output,
            stderr=subprocess.STDOUT if output is None else output,
            bufsize=0,
        )
        self.heard = b""

    def read_until(self, text: bytes, descriptor: int | None = None) -> None:
        if descriptor is None:
            assert self.process.stdout is not None
            descriptor = self.process.stdout.fileno()
        while text not in self.heard:
            data = os.read(descriptor, 4096)
            assert data, self.heard
            self.heard += data

    def tell(self, *names: str) -> None:
        """Send signals, each once the one before has been heard."""
        for name in names:
            self.process.send_signal(signal.Signals[f"SIG{name}"])
            self.read_until(f"got {name}".encode())


@contextmanager
def going(argv: list[str], environ: dict[str, str]) -> Iterator[Command]:
    command = Command(argv, environ)
    try:
        command.read_until(b"ready\n")
        yield command
    finally:
        if command.process.poll() is None:
            command.process.kill()
        command.process.wait(10)
        assert command.process.stdout is not None
        command.process.stdout.close()


def of_run(place: Place, engine: Engine, image: str) -> list[str]:
    return [str(COMMAND), "run", "--rm", *NONE, image, "sh", "-c", PROGRAM]


def of_start(place: Place, engine: Engine, image: str) -> list[str]:
    engine.containers.create(image, ["sh", "-c", PROGRAM], name="told", network="none")
    return [str(COMMAND), "start", "-a", "told"]


@pytest.mark.parametrize("words", [of_run, of_start])
def test_signals_reach_the_program_and_its_end_is_the_commands(
    place: Place,
    engine: Engine,
    busybox: str,
    words: Callable[[Place, Engine, str], list[str]],
) -> None:
    with going(words(place, engine, busybox), place.variables) as command:
        command.tell(*NAMES, "TERM")
        assert command.process.wait(10) == CODE
    assert command.heard == b"ready\n" + HEARD
    left = {item.name: item.exit_code for item in engine.containers(all=True)}
    assert left == ({} if words is of_run else {"told": CODE})


def test_signals_reach_a_container_that_is_attached_to(
    place: Place, engine: Engine, busybox: str
) -> None:
    program = f"while [ ! -e /go ]; do sleep 0.05; done; {PROGRAM}"
    container = engine.run(busybox, ["sh", "-c", program], name="on", network="none", detach=True)
    attached = {"container": [container.id], "event": ["attach"]}
    begin = threading.Thread(
        target=lambda: (
            next(iter(engine.system.events(after=0, filters=attached))),
            container.exec(["touch", "/go"]),
        )
    )
    begin.start()
    with going([str(COMMAND), "attach", "on"], place.variables) as command:
        command.tell("USR1", "TERM")
        assert command.process.wait(10) == CODE
    begin.join()


@pytest.mark.parametrize("kind", KINDS)
def test_signals_of_a_user_without_root(kind: str) -> None:
    with opened(kind) as account:
        account.container("bootstrap busybox")
        line = f'run --rm --network none busybox sh -c "{PROGRAM}"'
        with going(account.words(account.command(line)), {}) as command:
            command.tell("USR1", "HUP", "TERM")
            assert command.process.wait(20) == CODE
        assert command.heard == b"ready\ngot USR1\ngot HUP\ngot TERM\n"
        assert account.container("ps -aq") == ""


def test_signals_with_a_terminal(place: Place, engine: Engine, busybox: str) -> None:
    """As Docker's ``run``; the size of its terminal is followed otherwise (WINCH)."""
    ours, theirs = pty.openpty()
    argv = [str(COMMAND), "run", "--rm", "-it", *NONE, busybox, "sh", "-c", PROGRAM]
    command = Command(argv, place.variables, theirs)
    try:
        command.read_until(b"ready", ours)
        for name in ("HUP", "USR1", "TERM"):
            command.process.send_signal(signal.Signals[f"SIG{name}"])
            command.read_until(f"got {name}".encode(), ours)
        assert command.process.wait(10) == CODE
    finally:
        command.process.kill()
        command.process.wait(10)
        os.close(ours)
        os.close(theirs)
    assert engine.containers(all=True) == []


def test_a_program_without_a_handler_goes_on(place: Place, engine: Engine, busybox: str) -> None:
    """The kernel drops signals without a handler in a namespace's first process, as in Docker."""
    argv = [str(COMMAND), "run", "--rm", "--name", "deaf", *NONE, busybox, "sh", "-c", DEAF]
    with going(argv, place.variables) as command:
        for name in ("TERM", "HUP", "USR1"):
            command.process.send_signal(signal.Signals[f"SIG{name}"])
        with pytest.raises(subprocess.TimeoutExpired):
            command.process.wait(0.5)
        assert engine.containers.get("deaf").status.alive
        engine.containers.kill("deaf")
        assert command.process.wait(10) == 128 + signal.SIGKILL


@pytest.mark.parametrize(
    ("program", "number", "times"),
    [(DEAF, signal.SIGINT, 1), (DEAF, signal.SIGTERM, 3), (PROGRAM, signal.SIGINT, 3)],
)
def test_what_still_ends_the_command(
    place: Place, engine: Engine, busybox: str, program: str, number: signal.Signals, times: int
) -> None:
    """Docker ignores the first for ever; its command of 28 leaves the container at the third."""
    argv = [str(COMMAND), "run", "--rm", *NONE, busybox, "sh", "-c", program]
    with going(argv, place.variables) as command:
        for _ in range(times):
            with pytest.raises(subprocess.TimeoutExpired):
                command.process.wait(0.1)
            command.process.send_signal(number)
        assert command.process.wait(10) == 128 + number
    assert engine.containers(all=True) == []


def test_without_the_proxy_a_signal_leaves_the_container(
    place: Place, engine: Engine, busybox: str
) -> None:
    argv = [str(COMMAND), "run", "--sig-proxy=false", "--name", "kept", *NONE, busybox]
    with going([*argv, "sh", "-c", PROGRAM], place.variables) as command:
        command.process.terminate()
        assert command.process.wait(10) == 128 + signal.SIGTERM
    assert engine.containers.get("kept").status.alive


def test_a_signal_that_ends_a_container_ends_its_restarts(
    place: Place, engine: Engine, busybox: str
) -> None:
    """As ``docker kill``, which Docker's command asks for: TERM is its stop signal."""
    argv = [str(COMMAND), "run", "--restart", "always", "--name", "again", *NONE, busybox]
    with going([*argv, "sh", "-c", PROGRAM], place.variables) as command:
        command.tell("TERM")
        assert command.process.wait(10) == CODE
    again = engine.containers.get("again")
    assert str(again.status) == "exited"
    # By ID: containers of other tests had the name before.
    events = engine.system.events(
        after=0, filters={"container": [again.id], "event": ["kill"]}, follow=False
    )
    assert [event.attributes["signal"] for event in events] == ["15"]
