"""The command that maps a container over many items."""

from __future__ import annotations

from jupyter_containers.commands.grammar.containers import CREATE_FLAGS, RUN_OPERANDS
from jupyter_containers.commands.words import Flag, Verb

# Flags without a meaning for several containers in the foreground.
_FOR_ONE = ("attach", "cidfile", "interactive", "name", "restart", "rm", "tty")

VERBS: tuple[Verb, ...] = (
    Verb(
        "map",
        "Run a command for every item (a line of the input), each in its own container",
        "workloads:map_items",
        (
            Flag("stdin", "Pass the item as input, not as an argument", "bool"),
            Flag("over", "Use the items of this notebook variable", metavar="NAME"),
            Flag("retries", "Number of retries after a failure", "int"),
            Flag("workers", "Number of parallel containers (default: by CPUs and memory)", "int"),
            *(flag for flag in CREATE_FLAGS if flag.key not in _FOR_ONE),
        ),
        RUN_OPERANDS,
        ("container map",),
        reads_stdin=True,
        examples=(("map --over names busybox echo hello {}", "names: a list in the notebook"),),
    ),
)
