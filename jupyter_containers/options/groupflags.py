"""Options that are combined in one value: networks, a container in them, its health check."""

# Annotations are values here: the grammar reads them.
from typing import Annotated, TypedDict

from jupyter_containers.options.flag import Flag, Shown
from jupyter_containers.options.given import Decimal, Networks, Number, Pairs, Switch, Text, Texts


class EndpointFlags(TypedDict, total=False):
    """Options of a container in one network."""

    ip: Annotated[Text, Flag(help="IPv4 address (172.30.100.104)")]
    ip6: Annotated[Text, Flag(help="IPv6 address (2001:db8::33)")]
    link: Annotated[
        Texts,
        Flag(
            help="Additional name for another container (container:alias)",
            kind="list",
            names="container",
        ),
    ]
    link_local_ip: Annotated[Texts, Flag(help="Link-local address", kind="list")]


class ConnectFlags(EndpointFlags, total=False):
    """Options of ``network connect``."""

    alias: Annotated[Texts, Flag(help="Additional name in the network", kind="list")]
    gw_priority: Annotated[
        Number, Flag(help="Priority of the network for the default route", kind="int")
    ]
    mac_address: Text  # in Docker's API, but not in its command


class CreateNetworkFlags(TypedDict, total=False):
    """Options of ``network create``: read by ``NetworkOptions``, or refused by name."""

    attachable: Annotated[
        Switch, Flag(help="Accepted without effect: every container can be attached", kind="bool")
    ]
    aux_address: Annotated[
        Pairs, Flag(help="Address that no container gets (name=IP)", kind="list")
    ]
    config_only: Annotated[Switch, Flag(help="Not supported: networks of a swarm", kind="bool")]
    driver: Annotated[Text, Flag(help="Driver: bridge", short="d")]
    gateway: Annotated[
        Texts, Flag(help="Gateway address (at most one for IPv4 and one for IPv6)", kind="list")
    ]
    ingress: Annotated[Switch, Flag(help="Not supported: networks of a swarm", kind="bool")]
    internal: Annotated[Switch, Flag(help="Block access to external networks", kind="bool")]
    ip_range: Annotated[
        Texts, Flag(help="Part of the subnet to choose addresses from", kind="list")
    ]
    ipam_driver: Annotated[Text, Flag(help="Driver that assigns addresses: default")]
    ipv6: Annotated[Switch, Flag(help="Enable IPv6 addresses", kind="bool")]
    label: Annotated[Pairs, Flag(help="Set a label", kind="list")]
    opt: Annotated[
        Pairs, Flag(help="Driver option (com.docker.network.…=value)", kind="list", short="o")
    ]
    scope: Annotated[Text, Flag(help="Scope: local")]
    subnet: Annotated[
        Texts, Flag(help="Address range (CIDR; at most one for IPv4 and one for IPv6)", kind="list")
    ]


class NetworkFlags(EndpointFlags, total=False):
    """Options that are combined in ``RunOptions.networks``."""

    mac_address: Annotated[Text, Flag(help="MAC address (92:d0:c6:0a:29:33)")]
    network: Annotated[
        Networks,
        Flag(
            help="Join a network (NAME or name=NAME,alias=…)",
            kind="list",
            aliases=("net",),
            values=("bridge", "host", "none"),
            names="network",
            shown=Shown("NetworkMode"),
        ),
    ]
    network_alias: Annotated[
        Texts, Flag(help="Additional name in the network", kind="list", aliases=("net-alias",))
    ]


class HealthFlags(TypedDict, total=False):
    """Options that are combined in ``RunOptions.health``."""

    health_cmd: Annotated[Texts, Flag(help="Command that checks the health")]
    health_interval: Annotated[Decimal, Flag(help="Time between two checks", metavar="duration")]
    health_retries: Annotated[
        Number, Flag(help="Failures in a row that mean unhealthy", kind="int")
    ]
    health_start_interval: Annotated[
        Decimal, Flag(help="Time between checks while it starts", metavar="duration")
    ]
    health_start_period: Annotated[
        Decimal, Flag(help="Time in which failures do not count", metavar="duration")
    ]
    health_timeout: Annotated[
        Decimal, Flag(help="Time that one check may take", metavar="duration")
    ]
    no_healthcheck: Annotated[Switch, Flag(help="Do not run the image's health check", kind="bool")]
