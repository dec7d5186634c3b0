"""The command for assistants."""

from __future__ import annotations

from jupyter_containers.commands.grammar.containers import CREATE_FLAGS
from jupyter_containers.commands.words import Flag, Operand, Verb

_LIMITS = tuple(flag for flag in CREATE_FLAGS if flag.key in ("memory", "cpus", "volume"))

VERBS: tuple[Verb, ...] = (
    Verb(
        "mcp",
        "Serve sandboxed sessions to an assistant, over the Model Context Protocol",
        "assistants:serve",
        (
            *_LIMITS,
            Flag("allow", "Let the sessions reach this host, by name or *.DOMAIN", "list"),
            Flag("any-image", "Let the assistant choose other images", "bool"),
            Flag("sessions", "The most sessions at once (4)", "int"),
            Flag("timeout", "Interrupt code after so many seconds (60)", metavar="seconds"),
        ),
        (Operand("image", "IMAGE", "optional"),),
        examples=(
            ("mcp python:3.11-slim", "the command that an assistant's configuration names"),
            ("mcp --allow pypi.org --memory 1g", "with one host, and more memory"),
        ),
    ),
)
