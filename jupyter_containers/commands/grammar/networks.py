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
            Flag("attachable", "Accepted without effect: every container can be attached", "bool"),
            Flag("aux-address", "Address that no container gets (name=IP)", "list"),
            Flag("config-only", "Not supported: networks of a swarm", "bool"),
            Flag("driver", "Driver: bridge", "text", "d"),
            Flag("gateway", "Gateway address (at most one for IPv4 and one for IPv6)", "list"),
            Flag("ingress", "Not supported: networks of a swarm", "bool"),
            Flag("internal", "Block access to external networks", "bool"),
            Flag("ip-range", "Part of the subnet to choose addresses from", "list"),
            Flag("ipam-driver", "Address management driver: default"),
            Flag("ipv6", "Enable IPv6 addresses", "bool"),
            Flag("label", "Set a label", "list"),
            Flag("opt", "Driver option (com.docker.network.…=value)", "list", "o"),
            Flag("scope", "Scope: local"),
            Flag("subnet", "Address range (CIDR; at most one for IPv4 and one for IPv6)", "list"),
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
            Flag("alias", "Additional name in the network", "list"),
            Flag("gw-priority", "Priority of the network for the default route", "int"),
            *declared(EndpointFlags),
        ),
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
    ),
    Verb(
        "network prune",
        "Remove networks that no container uses",
        "system:prune_networks",
        PRUNE,
        examples=(("network prune -f", ""),),
    ),
)
