"""Verbs of containers that act: run, create, exec, stop …; those that only look are in looking."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, BinaryIO

from jupyter_containers.commands.render.results import Lines, Outcome
from jupyter_containers.commands.session import OnOutput, Session
from jupyter_containers.commands.verbs.listing import done, each
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import ContainerFailedError, InvalidArgumentError, UnsupportedError


def run(session: Session, parsed: Parsed) -> Any:
    """Return the container (``-d``) or the outcome of the finished process."""
    flags = _create_flags(parsed)
    image, command = parsed.operands["image"], parsed.operands["command"] or None
    if flags.get("detach"):
        with session.progress() as emit:
            return session.engine.run(image, command, emit=emit, **flags)
    with session.progress() as emit, _streams(session, parsed) as (stdin, on_output):
        result = session.engine.run(
            image, command, emit=emit, on_output=on_output, stdin=stdin, check=False, **flags
        )
    return _outcome(session, result, f"container of {image}")


def create(session: Session, parsed: Parsed) -> Any:
    """Return the new container."""
    image, command = parsed.operands["image"], parsed.operands["command"] or None
    with session.progress() as emit:
        return session.engine.create(image, command, emit=emit, **_create_flags(parsed))


def _create_flags(parsed: Parsed) -> dict[str, Any]:
    flags = dict(parsed.flags)
    if flags.get("entrypoint") == "":
        # Docker's way to say: no entrypoint at all.
        flags["entrypoint"] = ()
    return flags


def execute(session: Session, parsed: Parsed) -> Outcome | None:
    """Return the outcome of a command in a running container; None when it is left running."""
    name, command = parsed.operands["name"], parsed.operands["command"]
    if not command:
        raise InvalidArgumentError(
            "'exec' requires at least 2 arguments", hint="usage: exec [OPTIONS] CONTAINER COMMAND"
        )
    flags = dict(parsed.flags)
    if flags.get("detach"):
        session.engine.exec(name, command, **flags)
        return None
    with _streams(session, parsed) as (stdin, on_output):
        result = session.engine.exec(
            name, command, on_output=on_output, stdin=stdin, check=False, **flags
        )
    return _outcome(session, result, f"command in {name}")


@contextmanager
def _streams(
    session: Session, parsed: Parsed
) -> Iterator[tuple[bytes | BinaryIO | None, OnOutput | None]]:
    """Yield input and output of a foreground process, the person's terminal for ``-it``."""
    interactive, tty = parsed.flag("interactive", False), parsed.flag("tty", False)
    stdin = session.stdin if interactive else None
    if not (interactive and tty) or isinstance(stdin, bytes):
        yield stdin, session.on_output
        return
    if session.terminal is None:
        raise UnsupportedError(
            "-it needs a terminal, and a notebook cell is none",
            capability="terminal",
            hint="leave -t out and give the input in the cell (%%container run -i …), "
            f"or use a terminal: jupyter container {parsed.verb.name if parsed.verb else ''} -it …",
        )
    with session.terminal() as terminal:
        yield terminal.stdin, terminal.on_output


def _outcome(session: Session, result: Any, what: str) -> Outcome:
    if session.check and result.exit_code:
        tail = (result.stderr or result.stdout).decode("utf-8", "replace").splitlines()[-8:]
        raise ContainerFailedError(
            f"{what} ended with exit code {result.exit_code}",
            exit_code=result.exit_code,
            # Live output is on the page already; showing it twice would hide the message.
            log_tail=() if session.on_output else tail,
            hint=_exit_hint(result),
        )
    return Outcome(
        result.exit_code,
        result.stdout,
        result.stderr,
        getattr(result, "container_id", ""),
        getattr(result, "oom_killed", False),
        session.shown,
    )


def _exit_hint(result: Any) -> str:
    if getattr(result, "oom_killed", False):
        return "it went over its memory limit; give it more with --memory"
    return {
        126: "the command was found but could not be executed",
        127: "the command was not found in the image",
        137: "it was killed (SIGKILL)",
        143: "it was told to end (SIGTERM)",
    }.get(result.exit_code, "")


def start(session: Session, parsed: Parsed) -> Lines[str]:
    """Return the names of the started containers."""
    return done(parsed.operands["names"], session.engine.start)


def stop(session: Session, parsed: Parsed) -> Lines[str]:
    """Return the names of the stopped containers."""
    engine, timeout = session.engine, parsed.flag("timeout")
    return done(parsed.operands["names"], lambda name: engine.stop(name, timeout=timeout))


def restart(session: Session, parsed: Parsed) -> Lines[str]:
    """Return the names of the restarted containers."""
    engine, timeout = session.engine, parsed.flag("timeout")
    return done(parsed.operands["names"], lambda name: engine.restart(name, timeout=timeout))


def kill(session: Session, parsed: Parsed) -> Lines[str]:
    """Return the names of the signalled containers."""
    engine, signal = session.engine, parsed.flag("signal", "KILL")
    return done(parsed.operands["names"], lambda name: engine.kill(name, signal))


def pause(session: Session, parsed: Parsed) -> Lines[str]:
    """Return the names of the paused containers."""
    return done(parsed.operands["names"], session.engine.pause)


def unpause(session: Session, parsed: Parsed) -> Lines[str]:
    """Return the names of the containers that go on."""
    return done(parsed.operands["names"], session.engine.unpause)


def wait(session: Session, parsed: Parsed) -> Lines[int]:
    """Return the exit codes."""
    return Lines(each(parsed.operands["names"], session.engine.wait))


def remove(session: Session, parsed: Parsed) -> Lines[str]:
    """Return the names of the removed containers."""
    engine = session.engine
    force, volumes = parsed.flag("force", False), parsed.flag("volumes", False)
    return done(
        parsed.operands["names"], lambda name: engine.remove(name, force=force, volumes=volumes)
    )


def rename(session: Session, parsed: Parsed) -> None:
    """Give a container another name."""
    session.engine.rename(parsed.operands["name"], parsed.operands["new"])
