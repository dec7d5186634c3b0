"""Verbs that connect the caller's streams to a container (attach, start -a), and their helpers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from jupyter_containers.commands.render.results import Outcome
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import done
from jupyter_containers.commands.verbs.terminals import attach_in_terminal, has_places
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import (
    ContainerFailedError,
    InvalidArgumentError,
    UnsupportedError,
)


def attach(session: Session, parsed: Parsed) -> Any:
    """Attach to a running container; return its outcome, or None if the caller detached."""
    name = parsed.operands["name"]
    flags = {key: value for key, value in parsed.flags.items() if key != "no_stdin"}
    wants_input = not parsed.flag("no_stdin")
    action = session.engine.containers.attach
    return _attached(session, parsed, action, name, flags, wants_input=wants_input)


def start(session: Session, parsed: Parsed) -> Any:
    """Start containers and return their names, or with ``-a`` or ``-i`` the outcome of one."""
    names = parsed.operands["names"]
    if not (parsed.flag("attach") or parsed.flag("interactive")):
        return done(names, session.engine.containers.start)
    if len(names) > 1:
        raise InvalidArgumentError("you cannot start and attach multiple containers at once")
    flags = {key: value for key, value in parsed.flags.items() if key == "detach_keys"}
    flags["attach"] = True
    wants_input = bool(parsed.flag("interactive"))
    action = session.engine.containers.start
    return _attached(session, parsed, action, names[0], flags, wants_input=wants_input)


def _attached(
    session: Session,
    parsed: Parsed,
    action: Any,
    name: str,
    flags: dict[str, Any],
    *,
    wants_input: bool,
) -> Any:
    options = session.engine.containers.get(name).record.options
    interactive = options.interactive and wants_input
    if interactive and options.tty and has_places(session):
        return attach_in_terminal(session, name, action, flags)
    with (
        _streams(session, parsed, interactive, options.tty) as streams,
        # As in Docker: with a terminal that another command started, signals are not forwarded.
        signals(session, flags, wanted=not options.tty),
        said_once(session),
    ):
        result = action(name, **streams, **flags)
    return outcome(session, result)


@contextmanager
def signals(session: Session, flags: dict[str, Any], *, wanted: bool = True) -> Iterator[None]:
    """Replace a true ``sig_proxy`` in ``flags`` by the front end's signals."""
    if session.signals is None or not (wanted and flags.get("sig_proxy", True)):
        yield
        return
    with session.signals.proxied(resized=bool(flags.get("tty"))) as source:
        flags["sig_proxy"] = source
        yield


@contextmanager
def lent(session: Session, parsed: Parsed) -> Iterator[dict[str, Any]]:
    """Yield the engine's arguments for the input and output of ``-i`` and ``-t``."""
    interactive, tty = parsed.flag("interactive", False), parsed.flag("tty", False)
    with _streams(session, parsed, interactive, tty) as streams:
        yield streams


@contextmanager
def _streams(
    session: Session, parsed: Parsed, interactive: bool, tty: bool
) -> Iterator[dict[str, Any]]:
    """Yield the arguments; with both flags they connect the user's terminal."""
    stdin = session.stdin if interactive else None
    if not (interactive and tty) or isinstance(stdin, bytes):
        yield {"stdin": stdin, "on_output": session.on_output}
        return
    if session.terminal is None:
        raise UnsupportedError(
            "-it needs an interactive front end",
            capability="terminal",
            hint="open the notebook in JupyterLab, Notebook or VS Code; or omit -t and write "
            "the input in the cell (%%container run -i …); or use a terminal: "
            f"jupyter container {parsed.verb.name if parsed.verb else ''} -it …",
        )
    with session.terminal() as terminal:
        yield {
            "stdin": terminal.stdin,
            "on_output": terminal.on_output,
            "terminal_size": terminal.size,
        }


@contextmanager
def said_once(session: Session) -> Iterator[None]:
    """Remove the last output from a failure if it has just been shown live."""
    try:
        yield
    except ContainerFailedError as error:
        if session.on_output is not None:
            error.log_tail = ()
        raise


def outcome(session: Session, result: Any) -> Outcome:
    """Return the result of a finished process as a value that renders itself."""
    return Outcome(
        result.exit_code,
        result.stdout,
        result.stderr,
        result.container_id,
        result.oom_killed,
        result.results,
        session.shown,
    )
