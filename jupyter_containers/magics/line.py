"""Splits a magic's line into words: shell quoting, and ``{{expression}}`` of notebook variables.

:mod:`.shell` handles other parts of a pasted shell line.

An expression in double braces becomes one word; if it stands alone, a list becomes several.
Text that is not a Python expression, such as ``{{.Names}}`` and ``{{json .}}`` in a Go template, is
kept.
"""

from __future__ import annotations

import builtins
import re
import shlex
from collections.abc import Callable, Mapping
from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.magics.shell import Answer, is_open, without_shell

_LONGEST = 128 * 1024  # characters; the maximum length of an argument on Linux (MAX_ARG_STRLEN)
EXPRESSION = pattern(r"\{\{(.+?)\}\}", re.DOTALL)
# Private-use characters: shell splitting keeps them, and they are never typed.
_MARK = pattern("\ue000([0-9]+)\ue001")
# Python would parse "range .A" and "json .B" as attributes, which are written without a space.
_GO_ACTION = pattern(r"\.|(end|else)$|[a-z]+\s+[.$]")


def words_of(line: str, namespace: Mapping[str, Any], answer: Answer | None = None) -> list[str]:
    """Return the words of a command line; ``answer`` runs the commands of ``$(…)``.

    Raises :class:`InvalidArgumentError` for an open quote, an expression that fails, and syntax
    that needs a shell.
    """
    if len(line) > _LONGEST:
        raise InvalidArgumentError("the command line is too long", hint="put data into a file")
    values: list[Any] = []

    def keep(match: re.Match[str]) -> str:
        code = _compiled(match[1])
        if code is None:
            return match[0]
        values.append(_evaluated(code, match[1], namespace))
        return f"\ue000{len(values) - 1}\ue001"

    def with_values(command: str) -> str:
        return (
            answer(_MARK.sub(lambda mark: _text(values[int(mark[1])]), command)) if answer else ""
        )

    marked = _replaced(line, keep)
    plain = without_shell(marked, with_values if answer else None)
    try:
        words = shlex.split(plain)
    except ValueError as error:
        raise InvalidArgumentError(
            f"cannot split the command line: {str(error).lower()}", hint="close the quote"
        ) from error
    return [filled for word in words for filled in _filled(word, values)]


def interpolated(text: str, namespace: Mapping[str, Any]) -> str:
    """Return a text with every ``{{expression}}`` replaced by its value."""

    def value(match: re.Match[str]) -> str:
        code = _compiled(match[1])
        return match[0] if code is None else _text(_evaluated(code, match[1], namespace))

    return _replaced(text, value)


def is_expression(text: str) -> bool:
    """Return whether the text in double braces is Python, not an action of a Go template."""
    return _compiled(text) is not None


def _replaced(text: str, value: Callable[[re.Match[str]], str]) -> str:
    """Return a text with its expressions replaced; unclosed braces are ignored."""
    end = text.rfind("}}") + 2
    return EXPRESSION.sub(value, text[:end]) + text[end:] if end > 1 else text


def _compiled(text: str) -> Any:
    stripped = text.strip()
    if _GO_ACTION.match(stripped):
        return None
    try:
        return compile(stripped, "<magic line>", "eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError):
        return None


def _evaluated(code: Any, text: str, namespace: Mapping[str, Any]) -> Any:
    try:
        return eval(code, {"__builtins__": builtins, **namespace})  # noqa: S307  # the user's own code, as in any cell
    except Exception as error:
        raise InvalidArgumentError(
            f"{{{{{text}}}}}: {type(error).__name__}: {error}",
            hint="an expression in double braces is Python, evaluated in this notebook",
        ) from error


def _filled(word: str, values: list[Any]) -> list[str]:
    whole = _MARK.fullmatch(word)
    value = values[int(whole[1])] if whole else None
    if isinstance(value, (list, tuple)):
        return [_text(item) for item in value]
    if isinstance(value, (Mapping, bytes)):
        raise InvalidArgumentError(
            f"a {type(value).__name__} cannot be a word of a command line",
            hint="to use a variable as a file of a build: --context-var [PATH=]NAME",
        )
    return [_MARK.sub(lambda match: _text(values[int(match[1])]), word)]


def _text(value: Any) -> str:
    # An Image or a Container stands for its ID.
    identifier = getattr(value, "id", None)
    return identifier if isinstance(identifier, str) else str(value)


def command_lines(cell: str) -> list[str]:
    """Return a cell's commands, one per line; a backslash or an open quote continues one.

    ``#`` begins a comment.
    """
    lines: list[str] = []
    pending, quoted = "", False
    for line in cell.splitlines():
        if not pending and line.lstrip().startswith("#"):
            continue
        text = pending + (line if quoted else line.strip())
        quoted = is_open(text)
        if quoted:
            pending = f"{text}\n"
            continue
        if text.endswith("\\"):
            pending = text[:-1] + " "
            continue
        pending = ""
        if text:
            lines.append(text)
    if pending.strip():
        lines.append(pending.strip())
    return lines
