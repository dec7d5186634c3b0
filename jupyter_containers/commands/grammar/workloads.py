"""The command for many items."""

from __future__ import annotations

from jupyter_containers.commands.grammar.containers import CREATE_FLAGS, RUN_OPERANDS
from jupyter_containers.commands.words import Flag, Verb

# What has no meaning for several containers that are waited for.
_FOR_ONE = ("attach", "cidfile", "interactive", "name", "restart", "rm", "tty")

VERBS: tuple[Verb, ...] = (
    Verb(
        "map",
        "Run a command for every item (a line of the input), each in a container of its own",
        "workloads:map_items",
        (
            Flag("stdin", "Give the item as input, not in place of {} or as last word", "bool"),
            Flag("over", "Take the items from this variable of the notebook", metavar="NAME"),
            Flag("retries", "Further attempts where one fails", "int"),
            Flag("workers", "Containers at once (default: what CPUs and memory allow)", "int"),
            *(flag for flag in CREATE_FLAGS if flag.key not in _FOR_ONE),
        ),
        RUN_OPERANDS,
        ("container map",),
        reads_stdin=True,
        examples=(("map --over names busybox echo hello {}", "names: a list in the notebook"),),
    ),
)
