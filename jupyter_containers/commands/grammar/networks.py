"""The commands of networks."""

from __future__ import annotations

from jupyter_containers.commands.grammar.flags import (
    FORCE,
    INSPECT,
    LIST_FLAGS,
    PRUNE,
)
from jupyter_containers.commands.words import Call, Flag, Live, Operand, Verb, View
from jupyter_containers.options.flag import declared
from jupyter_containers.options.groupflags import ConnectFlags, CreateNetworkFlags

NETWORK = Operand("network", "NETWORK")
NETWORKS = Operand("names", "NETWORK", "some")
CONTAINER = Operand("name", "CONTAINER")

VERBS: tuple[Verb, ...] = (
    Verb(
        "network ls",
        "List networks",
        "networks:ls",
        LIST_FLAGS,
        (),
        ("network list",),
        examples=(("network ls", ""),),
        reads=True,
    ),
    Verb(
        "network create",
        "Create a network",
        Call("networks.create", "id"),
        declared(CreateNetworkFlags),
        (Operand("name", "NETWORK"),),
        examples=(
            ("network create frontend", "its containers find each other by name"),
            ("network create --subnet 172.30.0.0/24 --internal closed", "no way out"),
        ),
    ),
    Verb(
        "network connect",
        "Connect a container to a network",
        Call("networks.connect", "nothing"),
        declared(ConnectFlags),
        (NETWORK, CONTAINER),
        examples=(("network connect --alias site backend web", "while it runs"),),
    ),
    Verb(
        "network disconnect",
        "Disconnect a container from a network",
        Call("networks.disconnect", "nothing"),
        (Flag("force", "Ignore a container that is not connected or does not exist", "bool", "f"),),
        (NETWORK, CONTAINER),
        examples=(("network disconnect backend db", ""),),
    ),
    Verb(
        "network rm",
        "Remove networks",
        "networks:remove",
        (FORCE,),
        (NETWORKS,),
        ("network remove",),
        examples=(("network rm backend", ""),),
    ),
    Verb(
        "network inspect",
        "Show details of networks",
        "networks:inspect",
        INSPECT,
        (NETWORKS,),
        live=Live(View.NETWORK),
        examples=(("network inspect backend", "a live drawing in a notebook"),),
        reads=True,
    ),
    Verb(
        "network prune",
        "Remove networks that no container uses",
        "system:prune_networks",
        PRUNE,
        examples=(("network prune -f", ""),),
    ),
)
