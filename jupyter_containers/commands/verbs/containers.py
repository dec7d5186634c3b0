"""Verbs that change containers: run, create, exec, stop …; :mod:`.looking` has the others."""

from __future__ import annotations

from typing import Any

from jupyter_containers.commands.render.results import Lines
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.attaching import lent, outcome, said_once, signals
from jupyter_containers.commands.verbs.listing import each
from jupyter_containers.commands.verbs.terminals import (
    execute_in_terminal,
    opens_terminal,
    run_in_terminal,
)
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import (
    InvalidArgumentError,
    NotFoundError,
)
from jupyter_containers.events import WARNING, Event, EventSink


def run(session: Session, parsed: Parsed) -> Any:
    """Run a container; return it (``-d``), the outcome of its process, or an open terminal."""
    flags, quiet = _create_flags(parsed), parsed.flag("quiet", False)
    image, command = parsed.operands["image"], parsed.operands["command"] or None
    if flags.get("detach"):
        with session.progress() as emit:
            return session.engine.run(image, command, emit=_display(emit, quiet), **flags)
    if opens_terminal(session, parsed):
        return run_in_terminal(session, image, command, flags)
    with (
        session.progress() as emit,
        lent(session, parsed) as streams,
        signals(session, flags),
        said_once(session),
    ):
        result = session.engine.run(image, command, emit=_display(emit, quiet), **streams, **flags)
    return outcome(session, result)


def create(session: Session, parsed: Parsed) -> Any:
    """Create a container and return it."""
    image, command = parsed.operands["image"], parsed.operands["command"] or None
    with session.progress() as emit:
        heard = _display(emit, parsed.flag("quiet", False))
        return session.engine.containers.create(image, command, emit=heard, **_create_flags(parsed))


def _display(emit: EventSink, quiet: bool) -> EventSink:
    """Return a display of all events, or with ``--quiet`` only of warnings."""

    def warnings_only(event: Event) -> None:
        if event.task.startswith(WARNING):
            emit(event)

    return warnings_only if quiet else emit


def _create_flags(parsed: Parsed) -> dict[str, Any]:
    flags = dict(parsed.flags)
    flags.pop("quiet", None)
    if flags.get("entrypoint") == "":
        # Docker's form of: no entrypoint.
        flags["entrypoint"] = ()
    return flags


def execute(session: Session, parsed: Parsed) -> Any:
    """Run a command in a container and return its outcome; None if it is left running.

    With ``-it`` in a notebook, return the terminal, which stays open.
    """
    name, command = parsed.operands["name"], parsed.operands["command"]
    if not command:
        raise InvalidArgumentError(
            "'exec' requires at least 2 arguments", hint="usage: exec [OPTIONS] CONTAINER COMMAND"
        )
    flags = dict(parsed.flags)
    if flags.get("detach"):
        session.engine.containers.exec(name, command, **flags)
        return None
    if opens_terminal(session, parsed):
        return execute_in_terminal(session, name, command, flags)
    with lent(session, parsed) as streams, said_once(session):
        result = session.engine.containers.exec(name, command, **streams, **flags)
    return outcome(session, result)


def remove(session: Session, parsed: Parsed) -> Lines[str]:
    """Remove containers and return their names; with ``--force`` missing ones are ignored."""
    engine = session.engine
    force, volumes = parsed.flag("force", False), parsed.flag("volumes", False)
    removed: list[str] = []

    def attempt(name: str) -> None:
        try:
            engine.containers.remove(name, force=force, volumes=volumes)
        except NotFoundError:
            if not force:
                raise
        else:
            removed.append(name)

    each(parsed.operands["names"], attempt)
    return Lines(removed)
