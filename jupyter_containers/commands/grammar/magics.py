"""The commands that have the magics in every kernel."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag, Verb

_WHERE = (
    Flag("profile", "The IPython profile (default)", metavar="NAME"),
    Flag("sys-prefix", "For everybody who uses this Python environment", "bool"),
    Flag("system", "For everybody on this machine", "bool"),
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "magics enable",
        "Have %container in every IPython kernel from its start on, without %load_ext",
        "magics:enable",
        _WHERE,
        examples=(
            ("magics enable", "for all notebooks of yours"),
            ("magics enable --sys-prefix", "for everybody who uses this environment"),
        ),
    ),
    Verb(
        "magics disable",
        "Have %container only after %load_ext again",
        "magics:disable",
        _WHERE,
        examples=(("magics disable", ""),),
    ),
    Verb(
        "magics ls",
        "List where the magics are enabled",
        "magics:listing",
        examples=(("magics ls", ""),),
    ),
)
