"""The values of networks: frozen, kept by the engine as JSON, without behaviour in the kernel.

A *network* is a bridge on the host with an IPv4 subnet and a gateway address (the bridge's own).
An *endpoint* joins one container to one network: an address, a MAC and a veth pair of which one
end is a port of the bridge and the other, ``eth0``, is in the container.  A *published port* leads
from an address and port of the host to a port of an endpoint.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Endpoint", "Network", "Protocol", "PublishedPort"]

Protocol = Literal["tcp", "udp"]


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A bridge network; ``subnet`` is CIDR, ``mtu`` bytes, ``created`` an RFC 3339 time.

    ``interface`` is the name of the bridge on the host.  An ``internal`` network has no way out:
    its containers reach each other and the gateway address only.
    """

    id: str
    name: str
    interface: str
    subnet: str
    gateway: str
    driver: Literal["bridge"] = "bridge"
    internal: bool = False
    mtu: int = 1500
    created: str = ""
    labels: dict[str, str] = {}
    options: dict[str, str] = {}


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A container's place in a network.

    ``host_interface`` is the bridge's port and ``interface`` its other end in the container;
    ``gateway`` is empty where the container gets no default route from this network.
    """

    network_id: str
    container_id: str
    address: str
    prefix_len: int
    mac: str
    host_interface: str
    gateway: str = ""
    interface: str = "eth0"
    aliases: tuple[str, ...] = ()


class PublishedPort(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A port of the host that leads into a container; ``host_ip`` 0.0.0.0 is every address."""

    host_ip: str
    host_port: int
    container_ip: str
    container_port: int
    protocol: Protocol = "tcp"

    def __str__(self) -> str:
        return f"{self.host_ip}:{self.host_port}->{self.container_port}/{self.protocol}"
