"""The line about an interrupted command: the state in which it left its work."""

from __future__ import annotations

from jupyter_containers.commands.words import Interrupted, Parsed
from jupyter_containers.engine.interrupts import answered, notes_of

__all__ = ["answered", "remark"]


def remark(parsed: Parsed, interrupt: BaseException) -> str:
    """Return the line: the note of the clean-up, or else the verb's declaration."""
    verb = parsed.verb
    declared = verb.interrupted if verb else Interrupted()
    parts = notes_of(interrupt) or [declared.kept]
    if any(parsed.flag(key) for key in declared.advised_with):
        parts.append(declared.advice)
    kept = "; ".join(filter(None, parts))
    name = verb.name if verb else "the command"
    return f"{name} was interrupted{f': {kept}' if kept else ''}"
