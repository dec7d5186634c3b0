"""The verb ``explain``."""

from __future__ import annotations

from jupyter_containers.commands.render.explanation import Explained
from jupyter_containers.commands.session import Session
from jupyter_containers.commands.words import Parsed


def explain(session: Session, parsed: Parsed) -> Explained:
    """Return a container from inside and outside, side by side."""
    return Explained(session.engine.containers.explain(parsed.operands["name"]))
