"""``%%compose``: the text of a cell is the Compose file of a command, by default ``up``.

``up`` ends when everything runs and is healthy, so that the next cell can go on. It stays in the
foreground only with a flag that means nothing in the background.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.commands.grammar.applications import PROJECT_FLAGS
from jupyter_containers.commands.grammar.compose import reordered
from jupyter_containers.commands.words import Flag, Parsed
from jupyter_containers.errors import UsageError
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.magics.cell import INTERPOLATE, OUT

if TYPE_CHECKING:
    from jupyter_containers.commands.render.application import ApplicationView
    from jupyter_containers.commands.session import Session

FLAGS: tuple[Flag, ...] = (OUT, INTERPOLATE)
BEFORE = frozenset(("-f", "-p", *(f"--{flag.name}" for flag in PROJECT_FLAGS), "--progress"))
_UP = "compose up"
# Flags for the output of an application in the foreground.
_FOREGROUND = (
    "abort_on_container_exit",
    "abort_on_container_failure",
    "attach",
    "attach_dependencies",
    "exit_code_from",
    "no_attach",
    "watch",
)


def command_of(words: Sequence[str]) -> list[str]:
    """Return the magic's words as a command: ``up`` where no verb is given."""
    project, own, rest = _split(words)
    if names_no_verb(words):
        rest = [_UP.split()[1], *rest]
    compose, verb, *others = reordered(["compose", *project, *rest])
    return [compose, verb, *own, *others]


def names_no_verb(words: Sequence[str]) -> bool:
    """Return whether the magic's words leave the verb out."""
    _, _, rest = _split(words)
    return not rest or rest[0].startswith("-")


def _split(words: Sequence[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the flags of the project, those of the magic, and what begins with the verb."""
    own_flags = {f"--{flag.name}": flag for flag in FLAGS}
    project: list[str] = []
    own: list[str] = []
    index = 0
    while index < len(words) and words[index].startswith("-"):
        name, equals, _ = words[index].partition("=")
        if name not in own_flags and name not in BEFORE:
            break
        alone = equals or (name in own_flags and own_flags[name].kind == "bool")
        taken = words[index : index + (1 if alone else 2)]
        (own if name in own_flags else project).extend(taken)
        index += len(taken)
    return project, own, list(words[index:])


def leaves_running(parsed: Parsed) -> bool:
    """Return whether the command brings an application up in the background."""
    return bool(_brings_up(parsed) and parsed.flag("detach"))


def _brings_up(parsed: Parsed) -> bool:
    is_up = parsed.verb is not None and parsed.verb.name == _UP and not parsed.help
    return is_up and not any(parsed.flag(key) for key in (*_FOREGROUND, "no_start"))


def prepared(parsed: Parsed) -> Parsed:
    """Return the command for a cell: the text is its file, ``up`` leaves all running."""
    flags: dict[str, Any] = dict(parsed.flags)
    if flags.get("files"):
        raise UsageError(
            "the cell is the Compose file, and -f names another",
            hint="write include: [FILE] in the cell, or %container compose -f FILE",
        )
    if _brings_up(parsed):
        flags["detach"] = True
    return replace(parsed, flags=flags)


def wait(session: Session, parsed: Parsed) -> None:
    """Wait until the application of a command is ready; ``--wait`` has done so in its own way."""
    from jupyter_containers.commands.applications import wait_until_ready
    from jupyter_containers.commands.verbs.applications import application, progress

    if parsed.flag("wait"):
        return
    services = tuple(parsed.operands.get("services", ()))
    timeout = parsed.flag("wait_timeout")
    with progress(session, parsed) as emit:
        wait_until_ready(application(session, parsed), services, emit=emit, timeout=timeout)


def view_of(session: Session, parsed: Parsed) -> ApplicationView:
    """Return the view of a command's application for the cell's output."""
    from jupyter_containers.commands.render.application import ApplicationView
    from jupyter_containers.commands.render.links import proxy_base
    from jupyter_containers.commands.verbs.applications import application

    found = application(session, parsed)
    return ApplicationView(found, found.status(), proxy_base())


def bound(result: Any) -> Any:
    """Return the application that ``--out`` binds to a variable."""
    return getattr(result, "application", result)


def body_of(cell: str) -> bytes:
    """Return the file's text; the magic's own line counts, so that lines are those of the cell."""
    return f"\n{cell}".encode()
