"""Completion and help in ``%%session`` cells, answered by the session while it is idle.

The answer of a session that takes longer than :data:`SECONDS` is dropped and its work interrupted,
so that typing never waits for a container and a cell never loses its variables.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Any, TypeVar

from jupyter_containers.errors import ContainersError
from jupyter_containers.lazy_dataclasses import dataclass

if TYPE_CHECKING:
    from jupyter_containers.engine.sessions.session import Session

SECONDS = 0.5
_MAGIC = "%%session"
_QUESTION = re.compile(r"\s*(\?{0,2})\s*([^\s?;|&()]+)\s*?(\?{0,2})\s*$")
T = TypeVar("T")
Sessions = Callable[[], "list[Session]"]
"""Returns the sessions of this kernel; none if it has started no engine."""


@dataclass(frozen=True, slots=True)
class Place:
    """A position in the text below a ``%%session`` line."""

    session: Session
    code: str
    position: int


def place(text: str, offset: int, sessions: Sessions) -> Place | None:
    """Return the place of an offset in a cell; None outside, or if its session is not idle."""
    head, newline, code = text.partition("\n")
    words = head.split()
    position = offset - len(head) - 1
    if not newline or position < 0 or not words or words[0] != _MAGIC:
        return None
    known = {one.name: one for one in sessions()}
    named = [known[word] for word in words[1:] if word in known]
    found = named[0] if named else (next(iter(known.values())) if len(known) == 1 else None)
    if found is None or found.status != "idle":
        return None
    return Place(found, code, position)


def completions(at: Place) -> tuple[str, list[str]] | None:
    """Return the word before the place and its completions; None without an answer in time."""
    answer = _in_time(at.session, lambda: at.session.complete(at.code, at.position))
    if answer is None:
        return None
    matches, start = answer
    if not 0 <= start <= at.position:  # the container controls it
        return None
    return at.code[start : at.position], matches


def inspection(at: Place, detail: int = 0) -> str:
    """Return help for the name at the place; empty without an answer in time."""
    return _in_time(at.session, lambda: at.session.inspect(at.code, at.position, detail)) or ""


def question(cell: str) -> tuple[str, int] | None:
    """Return the name and the detail (0 or 1) of a cell that is ``name?`` or ``name??``."""
    found = _QUESTION.match(cell)
    marks = found and (found[1] or found[3])
    return (found[2], len(marks) - 1) if found and marks else None


def answer_inspections(kernel: Any, sessions: Sessions) -> Callable[[], None]:
    """Let a kernel answer ``inspect_request`` in these cells; return a function to undo it."""
    usual = kernel.do_inspect

    def do_inspect(
        code: str, cursor_pos: int, detail_level: int = 0, *rest: Any, **more: Any
    ) -> Any:
        at = place(code, cursor_pos, sessions)
        if at is None:
            return usual(code, cursor_pos, detail_level, *rest, **more)
        text = inspection(at, detail_level)
        data = {"text/plain": text} if text else {}
        return {"status": "ok", "found": bool(text), "data": data, "metadata": {}}

    kernel.do_inspect = do_inspect

    def undo() -> None:
        if kernel.__dict__.get("do_inspect") is do_inspect:
            del kernel.do_inspect

    return undo


def _in_time(session: Session, ask: Callable[[], T]) -> T | None:
    found: list[T] = []

    def run() -> None:
        try:
            found.append(ask())
        except ContainersError:
            return  # no answer

    thread = threading.Thread(target=run, name="session-help", daemon=True)
    thread.start()
    thread.join(SECONDS)
    if thread.is_alive():
        with suppress(ContainersError):  # it has ended
            session.interrupt()
        return None
    return found[0] if found else None
