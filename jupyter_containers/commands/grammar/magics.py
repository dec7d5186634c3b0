"""The commands that load the magics in every kernel."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag, Verb

_WHERE = (
    Flag("profile", "The IPython profile (default)", metavar="NAME"),
    Flag("sys-prefix", "For all users of this Python environment", "bool"),
    Flag("system", "For all users of this machine", "bool"),
)

VERBS: tuple[Verb, ...] = (
    Verb(
        "magics enable",
        "Load the magics whenever an IPython kernel starts, without %load_ext",
        "magics:enable",
        _WHERE,
        examples=(
            ("magics enable", "for all your notebooks"),
            ("magics enable --sys-prefix", "for all users of this environment"),
        ),
    ),
    Verb(
        "magics disable",
        "Load the magics only with %load_ext again",
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
