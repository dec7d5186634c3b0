"""The commands of volumes."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import (
    FILTER,
    FORCE,
    FORMAT,
    INSPECT,
    PRUNE,
    QUIET,
    REMOVED,
)
from jupyter_containers.commands.words import Flag, Operand, Verb

VOLUMES = Operand("names", "VOLUME", "some")

VERBS: tuple[Verb, ...] = (
    Verb(
        "volume ls",
        "List volumes",
        "volumes:ls",
        (FILTER, FORMAT, QUIET),
        (),
        ("volume list",),
        examples=(("volume ls -f dangling=true", "those that no container uses"),),
        reads=True,
    ),
    Verb(
        "volume create",
        "Create a volume",
        "volumes:create",
        (
            Flag("driver", "Driver: local", "text", "d"),
            Flag("label", "Set a label", "list"),
            Flag("name", "Name of the volume"),
            Flag("opt", "Option of the driver: type, device, o (as of mount)", "list", "o"),
        ),
        (Operand("name", "VOLUME", "optional"),),
        examples=(("volume create results", ""),),
    ),
    Verb(
        "volume rm",
        "Remove volumes",
        "volumes:remove",
        (FORCE,),
        (VOLUMES,),
        ("volume remove",),
        examples=(("volume rm data", ""),),
    ),
    Verb(
        "volume inspect",
        "Show details of volumes",
        "system:inspect_volume",
        INSPECT,
        (VOLUMES,),
        examples=(("volume inspect -f '{{.Mountpoint}}' data", "where its files are"),),
        reads=True,
    ),
    Verb(
        "volume prune",
        "Remove volumes that no container uses",
        "system:prune_volumes",
        (Flag("all", "Also remove volumes with a name", "bool", "a"), *PRUNE),
        examples=(
            ("volume prune -f", "only those without a name"),
            ("volume prune -af", "all that no container uses"),
        ),
        interrupted=REMOVED,
    ),
)
