"""Options that are combined in one value: a container's networks, and its health check."""

# Annotations are values here: the grammar reads them.
from typing import Annotated, TypedDict

from jupyter_containers.options.flag import Flag, Shown
from jupyter_containers.options.given import Decimal, Networks, Number, Switch, Text, Texts


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
