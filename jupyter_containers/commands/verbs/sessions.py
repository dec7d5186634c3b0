"""Verbs of sessions, which live in the kernel of a notebook."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.render.results import Log, Table
from jupyter_containers.commands.render.table import Column, Row
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.looking import tail_of
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError

if TYPE_CHECKING:
    from jupyter_containers.engine.sessions.session import Session as CellSession
    from jupyter_containers.runtime.logs import LogLine

_COLUMNS = (
    Column("Name", "NAME"),
    Column("Language", "LANGUAGE"),
    Column("Cells", "CELLS"),
    Column("Status", "STATUS"),
    Column("ID", "CONTAINER ID"),
)


def start(session: Session, parsed: Parsed) -> CellSession:
    """Start a session; raise :class:`InvalidArgumentError` outside a notebook."""
    if session.variables is None:
        raise InvalidArgumentError(
            "a session lives in a notebook's kernel, and this is a terminal",
            hint="in a terminal: run -it IMAGE python3; in Python: engine.sessions.start(IMAGE)",
        )
    flags = start_flags(parsed)
    with session.progress() as emit:
        return session.engine.sessions.start(parsed.operands["image"], emit=emit, **flags)


def ls(session: Session, parsed: Parsed) -> Table[CellSession]:
    """List the sessions of this kernel."""
    del parsed
    return Table(session.engine.sessions.list(), _COLUMNS, _rows, "no sessions")


def logs(session: Session, parsed: Parsed) -> Log[LogLine]:
    """Return the text of a session's cells."""
    tail = tail_of(parsed.flag("tail"))
    lines = session.engine.sessions.logs(parsed.operands["name"], tail=tail)
    return Log(lines, parsed.flag("timestamps", False))


def start_flags(parsed: Parsed) -> dict[str, Any]:
    """Return the flags with the time limit as a number of seconds."""
    flags = dict(parsed.flags)
    if "timeout" in flags:
        flags["timeout"] = seconds(flags["timeout"])
    return flags


def seconds(text: str) -> float:
    """Return a time limit; raise :class:`InvalidArgumentError` if it is no positive number."""
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < float("inf"):
        raise InvalidArgumentError(f"invalid timeout: {text!r}", hint="seconds, such as 2.5")
    return found


def _rows(one: CellSession) -> Iterable[Row]:
    yield {
        "Name": one.name,
        "Language": f"{one.language} {one.version}".strip(),
        "Cells": one.cells,
        "Status": one.status,
        "ID": one.container_id[:12],
    }
