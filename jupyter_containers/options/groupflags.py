"""Options that come together in one value: networks, a container in them, its health check."""

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
            help="A further name for another container (container:alias)",
            kind="list",
            names="container",
        ),
    ]
    link_local_ip: Annotated[Texts, Flag(help="Link-local address", kind="list")]


class ConnectFlags(EndpointFlags, total=False):
    """Options of ``network connect``."""

    alias: Annotated[Texts, Flag(help="A further name in the network", kind="list")]
    gw_priority: Annotated[
        Number, Flag(help="The highest of its networks has the default route", kind="int")
    ]
    mac_address: Text  # Docker's API has it, its command does not


class CreateNetworkFlags(TypedDict, total=False):
    """Options of ``network create``: read by ``NetworkOptions``, or refused by name."""

    attachable: Annotated[
        Switch, Flag(help="Accepted; every container may be attached", kind="bool")
    ]
    aux_address: Annotated[
        Pairs, Flag(help="Address that no container gets (name=IP)", kind="list")
    ]
    config_only: Annotated[Switch, Flag(help="Refused: networks of a swarm", kind="bool")]
    driver: Annotated[Text, Flag(help="Driver: bridge", short="d")]
    gateway: Annotated[
        Texts, Flag(help="Gateway address, one of IPv4 and one of IPv6", kind="list")
    ]
    ingress: Annotated[Switch, Flag(help="Refused: networks of a swarm", kind="bool")]
    internal: Annotated[Switch, Flag(help="No way out of the network", kind="bool")]
    ip_range: Annotated[
        Texts, Flag(help="Part of the subnet that addresses are chosen from", kind="list")
    ]
    ipam_driver: Annotated[Text, Flag(help="Driver that assigns addresses: default")]
    ipv6: Annotated[Switch, Flag(help="IPv6 addresses too", kind="bool")]
    label: Annotated[Pairs, Flag(help="Set a label", kind="list")]
    opt: Annotated[
        Pairs, Flag(help="Driver option (com.docker.network.…=value)", kind="list", short="o")
    ]
    scope: Annotated[Text, Flag(help="Scope: local")]
    subnet: Annotated[
        Texts, Flag(help="Address range (CIDR), one of IPv4 and one of IPv6", kind="list")
    ]


class NetworkFlags(EndpointFlags, total=False):
    """Options that come together in ``RunOptions.networks``."""

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
        Texts, Flag(help="A further name in the network", kind="list", aliases=("net-alias",))
    ]


class HealthFlags(TypedDict, total=False):
    """Options that come together in ``RunOptions.health``."""

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
