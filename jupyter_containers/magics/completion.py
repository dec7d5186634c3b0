"""Completion in cells: verbs, flags and names on the magics' lines, instructions in Dockerfiles.

IPython calls every matcher for every word; this one returns completions only on the lines of these
magics, and suppresses the other matchers there.
"""

from __future__ import annotations

import shlex
from collections.abc import Callable, Sequence
from itertools import dropwhile
from typing import TYPE_CHECKING, Any

from IPython.core.completer import CompletionContext, SimpleCompletion, SimpleMatcherResult
from IPython.core.completer import context_matcher as matches_context

from jupyter_containers.commands.completion import Names, complete, complete_verb
from jupyter_containers.commands.words import Verb

if TYPE_CHECKING:
    from jupyter_containers.magics.session_help import Sessions

_LINE_MAGICS = ("%container", "%docker")
_CELL_MAGICS = ("%%container", "%%docker")
_DOCKERFILE = "%%dockerfile"
_COMPOSE = "%%compose"
_SESSIONS = ("%%session", "%%sandbox")


def make_matcher(
    names: Names, dockerfile_verb: Callable[[], Verb], sessions: Sessions = list
) -> Any:
    """Return the matcher to add to a shell's completer."""

    @matches_context()  # type: ignore[untyped-decorator]  # IPython's carries no annotations
    def container_matcher(context: CompletionContext) -> SimpleMatcherResult:
        try:
            text, line = context.full_text, context.cursor_line
            found = _in_session(text, line, context.cursor_position, sessions) or completions(
                text, line, context.cursor_position, names, dockerfile_verb
            )
        except Exception:  # noqa: BLE001  # a store that cannot be read must not disturb typing
            found = None
        if found is None:
            return SimpleMatcherResult(completions=[], suppress=False)
        token, words = found
        return SimpleMatcherResult(
            completions=[SimpleCompletion(word, type="container") for word in words],
            suppress=True,
            matched_fragment=token,
        )

    return container_matcher


def _in_session(
    text: str, line: int, column: int, sessions: Sessions
) -> tuple[str, list[str]] | None:
    """Return the answer of the session that a cell runs in; nothing of the kernel's while busy."""
    head = text.partition("\n")[0].split()
    if not line or head[:1] != ["%%session"]:
        return None
    from jupyter_containers.magics import session_help

    offset = sum(len(one) + 1 for one in text.split("\n")[:line]) + column
    at = session_help.place(text, offset, sessions)
    return (session_help.completions(at) if at is not None else None) or ("", [])


def completions(
    text: str, line_number: int, column: int, names: Names, dockerfile_verb: Callable[[], Verb]
) -> tuple[str, list[str]] | None:
    """Return the word before the cursor and its completions; None outside these magics."""
    lines = text.split("\n")
    before = lines[line_number][:column]
    head = lines[0].split(None, 1)[0] if lines[0].strip() else ""
    if head == _DOCKERFILE:
        if line_number > 0:
            from jupyter_containers.commands.dockerfile_completion import complete_dockerfile

            return complete_dockerfile("\n".join([*lines[1:line_number], before]), names)
        words, token = _split(before)
        return token, complete_verb(dockerfile_verb(), words[1:], token, names)
    if head == _COMPOSE:
        if line_number > 0:
            from jupyter_containers.compose.editing.suggestions import suggest

            return suggest("\n".join(lines[1:]), line_number - 1, column, names)
        words, token = _split(before)
        return token, _compose_words(words[1:], token, names)
    if head in _SESSIONS and line_number == 0:
        words, token = _split(before)
        return (
            (token, complete_verb(_session_verb(head), words[1:], token, names)) if words else None
        )
    if head in _CELL_MAGICS:
        if line_number == 0:
            words, token = _split(before)
            return (token, complete(_command(words[1:]), token, names)) if words else None
        if len(lines[0].split()) > 1:
            return None  # the cell is input of a program
        words, token = _split(before)
        return token, complete(_command(words), token, names)
    # "name = %container ps" is a command too.
    start = max((before.rfind(f"{magic} ") for magic in _LINE_MAGICS), default=-1)
    if start < 0 or before[:start].strip().rstrip("=") not in ("", *_assigned(before[:start])):
        return None
    words, token = _split(before[start:])
    return token, complete(_command(words[1:]), token, names)


def _session_verb(head: str) -> Verb:
    from jupyter_containers.commands.grammar.sessions import SANDBOX_CELL, SESSION_CELL

    return SANDBOX_CELL if head == "%%sandbox" else SESSION_CELL


def _compose_words(words: Sequence[str], token: str, names: Names) -> list[str]:
    """Return flags and verbs of the Compose magic: those of its verb, or of the one it implies."""
    from jupyter_containers.magics import compose_cell

    command = compose_cell.command_of(words)
    found = complete(command, token, names)
    if compose_cell.names_no_verb(words) and not token.startswith("-"):
        found = [*complete(command[:1], token, names), *found]
    if token.startswith("-"):
        own = (f"--{flag.name}" for flag in compose_cell.FLAGS)
        found = sorted([*found, *(name for name in own if name.startswith(token))])
    return found


def _command(words: Sequence[str]) -> list[str]:
    """Remove the words before a pasted command, like :mod:`.shell`."""
    return list(dropwhile(lambda word: word in ("$", "sudo", "docker", "podman"), words))


def _assigned(text: str) -> Sequence[str]:
    target = text.strip().removesuffix("=").strip()
    return (text.strip().rstrip("="),) if target.isidentifier() and "=" in text else ()


def _split(line: str) -> tuple[list[str], str]:
    """Return the finished words and the unfinished one."""
    token = "" if not line or line[-1].isspace() else line.split()[-1]
    rest = line[: len(line) - len(token)]
    try:
        return shlex.split(rest), token
    except ValueError:
        return rest.split(), token
