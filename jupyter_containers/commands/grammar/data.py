"""Flags of ``run`` in a notebook: variables into the container, and results back."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag

INPUT = Flag(
    "input",
    "Hand a variable over as a file, /data/in/NAME.* ($NAME); -i NAME too, where it is one",
    "list",
    metavar="NAME[=FILE]",
)
RESULT = Flag(
    "result",
    "Bring /data/out/NAME.* ($NAME) back as a variable",
    "list",
    "o",
    metavar="NAME",
)
DATA_FLAGS = (INPUT, RESULT)
