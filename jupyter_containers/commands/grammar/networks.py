"""The commands of networks."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import FORCE, INSPECT, LIST_FLAGS, PRUNE
from jupyter_containers.commands.words import Flag, Operand, Verb

NETWORKS = Operand("names", "NETWORK", "some")

VERBS: tuple[Verb, ...] = (
    Verb("network ls", "List networks", "networks:ls", LIST_FLAGS, (), ("network list",)),
    Verb(
        "network create",
        "Create a network",
        "networks:create",
        (
            Flag("driver", "Driver: bridge", "text", "d"),
            Flag("gateway", "Gateway address"),
            Flag("internal", "No way out of the network", "bool"),
            Flag("label", "Set a label", "list"),
            Flag("subnet", "Address range (CIDR)"),
        ),
        (Operand("name", "NETWORK"),),
    ),
    Verb(
        "network rm",
        "Remove networks",
        "networks:remove",
        (FORCE,),
        (NETWORKS,),
        ("network remove",),
    ),
    Verb(
        "network inspect",
        "Show everything about networks",
        "system:inspect_network",
        INSPECT,
        (NETWORKS,),
    ),
    Verb("network prune", "Remove networks that no container uses", "system:prune_networks", PRUNE),
)
