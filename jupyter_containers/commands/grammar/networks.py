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
from jupyter_containers.options.groupflags import EndpointFlags

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
    ),
    Verb(
        "network create",
        "Create a network",
        Call("networks.create", "id"),
        (
            Flag("attachable", "Accepted; every container may be attached", "bool"),
            Flag("aux-address", "Address that no container gets (name=IP)", "list"),
            Flag("config-only", "Refused: networks of a swarm", "bool"),
            Flag("driver", "Driver: bridge", "text", "d"),
            Flag("gateway", "Gateway address, one of IPv4 and one of IPv6", "list"),
            Flag("ingress", "Refused: networks of a swarm", "bool"),
            Flag("internal", "No way out of the network", "bool"),
            Flag("ip-range", "Part of the subnet that addresses are chosen from", "list"),
            Flag("ipam-driver", "Who gives out addresses: default"),
            Flag("ipv6", "IPv6 addresses too", "bool"),
            Flag("label", "Set a label", "list"),
            Flag("opt", "Driver option (com.docker.network.…=value)", "list", "o"),
            Flag("scope", "Scope: local"),
            Flag("subnet", "Address range (CIDR), one of IPv4 and one of IPv6", "list"),
        ),
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
        (
            Flag("alias", "A further name in the network", "list"),
            Flag("gw-priority", "The highest of its networks has the default route", "int"),
            *declared(EndpointFlags),
        ),
        (NETWORK, CONTAINER),
        examples=(("network connect --alias site backend web", "while it runs"),),
    ),
    Verb(
        "network disconnect",
        "Disconnect a container from a network",
        Call("networks.disconnect", "nothing"),
        (Flag("force", "Also one that is not connected or gone", "bool", "f"),),
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
        "Show everything about networks",
        "networks:inspect",
        INSPECT,
        (NETWORKS,),
        live=Live(View.NETWORK),
        examples=(("network inspect backend", "drawn, and live, in a notebook"),),
    ),
    Verb(
        "network prune",
        "Remove networks that no container uses",
        "system:prune_networks",
        PRUNE,
        examples=(("network prune -f", ""),),
    ),
)
