"""Executes a command: parses the words, finds the verb's function and calls it."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from jupyter_containers.commands.parser import parse
from jupyter_containers.commands.passing import pass_on
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Call, Parsed
from jupyter_containers.errors import ContainerFailedError, StepFailedError


def execute(session: Session, words: Sequence[str]) -> Any:
    """Execute the command in ``words`` and return its value.

    Raises the engine's errors, and :class:`InvalidArgumentError` for a wrong command line.
    """
    return perform(session, parse(words))


def perform(session: Session, parsed: Parsed) -> Any:
    """Execute a parsed command and return its value."""
    if parsed.help or parsed.verb is None:
        from jupyter_containers.commands.help import help_text
        from jupyter_containers.commands.render.results import Text

        return Text(help_text(parsed, session.program))
    handler = parsed.verb.handler
    try:
        if isinstance(handler, Call):
            return pass_on(session, parsed, handler)
        module, _, function = handler.partition(":")
        # A verb's module is imported only when the verb is used.
        found = import_module(f"jupyter_containers.commands.verbs.{module}")
        return getattr(found, function)(session, parsed)
    except (StepFailedError, ContainerFailedError) as error:
        error.log_tail = tuple(_readable(error.log_tail))
        raise


def _readable(lines: Sequence[str]) -> list[str]:
    """Return a log's last lines as a terminal would show them, without control sequences."""
    from jupyter_containers.commands.render.ansi import visible_lines
    from jupyter_containers.printable import printable

    return [printable(visible_lines(line)) for line in lines]
