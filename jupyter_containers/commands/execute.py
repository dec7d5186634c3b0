"""From words to a value: parse, find the verb's function, call it."""

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
    """Return the value of the command that ``words`` mean.

    Raises whatever the engine raises, and :class:`InvalidArgumentError` for a wrong command line.
    """
    return perform(session, parse(words))


def perform(session: Session, parsed: Parsed) -> Any:
    """Return the value of a parsed command."""
    if parsed.help or parsed.verb is None:
        from jupyter_containers.commands.help import help_text
        from jupyter_containers.commands.render.results import Text

        return Text(help_text(parsed, session.program))
    handler = parsed.verb.handler
    try:
        if isinstance(handler, Call):
            return pass_on(session, parsed, handler)
        module, _, function = handler.partition(":")
        # A verb's module is imported when the verb is used: the others cost nothing.
        found = import_module(f"jupyter_containers.commands.verbs.{module}")
        return getattr(found, function)(session, parsed)
    except (StepFailedError, ContainerFailedError) as error:
        error.log_tail = tuple(_readable(error.log_tail))
        raise


def _readable(lines: Sequence[str]) -> list[str]:
    """Return a log's last lines as a terminal leaves them, with no sequence that acts on ours."""
    from jupyter_containers.commands.render.ansi import visible_lines
    from jupyter_containers.printable import printable

    return [printable(visible_lines(line)) for line in lines]
