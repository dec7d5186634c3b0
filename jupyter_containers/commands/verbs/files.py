"""Verbs for the files of containers: cp, diff, export, commit."""

from __future__ import annotations

from typing import Any

from jupyter_containers.commands.render.results import Table
from jupyter_containers.commands.render.table import Column
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.listing import progress_of
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError


def copy(session: Session, parsed: Parsed) -> None:
    """Copy files into or out of a container."""
    with progress_of(session, parsed) as emit:
        session.engine.containers.copy(
            parsed.operands["source"],
            parsed.operands["target"],
            archive=parsed.flag("archive", False),
            follow_link=parsed.flag("follow_link", False),
            stdin=session.stdin,
            stdout=session.binary_output,
            emit=emit,
        )


class Changes(Table[Any]):
    """The changes of a container; a terminal shows lines like ``C /path``, as in Docker."""

    def __str__(self) -> str:
        return "\n".join(f"{change.kind} {change.path}" for change in self)


_CHANGES = (Column("Kind", ""), Column("Path", "PATH"))
_WORDS = {"A": "added", "C": "changed", "D": "deleted"}


def diff(session: Session, parsed: Parsed) -> Changes:
    """Return the files that a container added, changed and deleted."""
    return Changes(
        session.engine.containers.diff(parsed.operands["name"]),
        _CHANGES,
        lambda change: [{"Kind": _WORDS[change.kind], "Path": change.path}],
        "nothing has changed",
    )


def export(session: Session, parsed: Parsed) -> None:
    """Write a container's files to an archive file, or to standard output."""
    output: Any = parsed.flag("output") or session.binary_output
    if output is None:
        raise InvalidArgumentError(
            "export has no output", hint="name a file with --output, or redirect"
        )
    session.engine.containers.export(parsed.operands["name"], output)
