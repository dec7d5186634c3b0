"""Flags of ``run`` in a notebook: variables into the container, and results back."""

from __future__ import annotations

from jupyter_containers.commands.words import Flag

INPUT = Flag(
    "input",
    "Pass a variable as a file, /data/in/NAME.* ($NAME); also -i NAME",
    "list",
    metavar="NAME[=FILE]",
)
RESULT = Flag(
    "result",
    "Read /data/out/NAME.* ($NAME) into a variable afterwards",
    "list",
    "o",
    metavar="NAME",
)
DATA_FLAGS = (INPUT, RESULT)
