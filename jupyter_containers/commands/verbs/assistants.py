"""The verb that serves sessions to assistants."""

from __future__ import annotations

from typing import Any

from jupyter_containers.commands.session import Session
from jupyter_containers.commands.verbs.sessions import seconds
from jupyter_containers.commands.words import Parsed
from jupyter_containers.errors import InvalidArgumentError


def serve(session: Session, parsed: Parsed) -> None:
    """Serve on standard input and output until the client ends; raise in a notebook."""
    from jupyter_containers.mcp.server import serve as serve_tools
    from jupyter_containers.mcp.tools import Limits

    if not session.whole:
        raise InvalidArgumentError(
            "an assistant starts this command, and talks to it over its standard input",
            hint='give it the command "jupyter-container mcp"',
        )
    usual = Limits()
    most = int(parsed.flag("sessions", usual.sessions))
    if most < 1:
        raise InvalidArgumentError(f"invalid number of sessions: {most}")
    flags: dict[str, Any] = {
        key: value for key, value in parsed.flags.items() if key in ("memory", "cpus", "volume")
    }
    if "memory" in flags:
        flags["memory_swap"] = flags["memory"]
    limits = Limits(
        image=parsed.operands.get("image") or usual.image,
        images=bool(parsed.flag("any_image", False)),
        allow=tuple(parsed.flag("allow", ())),
        sessions=most,
        seconds=seconds(parsed.flag("timeout", str(usual.seconds))),
        flags=flags,
    )
    serve_tools(session.engine, limits)
