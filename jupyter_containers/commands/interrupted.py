"""The one line about a command that was interrupted: what has become of its work."""

from __future__ import annotations

from jupyter_containers.commands.words import Interrupted, Parsed
from jupyter_containers.engine.interrupts import answered, notes_of

__all__ = ["answered", "remark"]


def remark(parsed: Parsed, interrupt: BaseException) -> str:
    """Return the line: what the clean-up has noted, or else what the verb declares."""
    verb = parsed.verb
    declared = verb.interrupted if verb else Interrupted()
    parts = notes_of(interrupt) or [declared.kept]
    if any(parsed.flag(key) for key in declared.advised_with):
        parts.append(declared.advice)
    kept = "; ".join(filter(None, parts))
    name = verb.name if verb else "the command"
    return f"{name} was interrupted{f': {kept}' if kept else ''}"
