"""The values of networks: frozen, stored by the engine as JSON, without access to the kernel.

A *network* is a bridge on the host with an IPv4 subnet, optionally an IPv6 one, and a gateway
address in each (the bridge's own).  An *endpoint* connects one container to one network: addresses,
a MAC and a veth pair of which one end is a port of the bridge and the other, ``eth0``, is in the
container.  A *published port* leads from an address and port of the host to a port of an endpoint.
"""

from __future__ import annotations

from typing import Literal

import msgspec

__all__ = ["Endpoint", "Network", "Protocol", "PublishedPort"]

Protocol = Literal["tcp", "udp"]


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """A bridge network; ``subnet`` is CIDR, ``mtu`` bytes, ``created`` an RFC 3339 time.

    ``interface`` is the name of the bridge on the host.  An ``internal`` network has no way out:
    its containers reach only each other and the gateway address.  ``ip_range`` (of IPv6:
    ``ip_range6``) is the part of the subnet from which addresses are allocated, ``reserved`` are
    named addresses that are never allocated.  ``options`` are the driver options as given.
    """

    id: str
    name: str
    interface: str
    subnet: str
    gateway: str
    subnet6: str = ""
    gateway6: str = ""
    ip_range: str = ""
    ip_range6: str = ""
    reserved: dict[str, str] = {}
    driver: Literal["bridge"] = "bridge"
    internal: bool = False
    attachable: bool = False
    mtu: int = 1500
    created: str = ""
    labels: dict[str, str] = {}
    options: dict[str, str] = {}
    containers_talk: bool = True
    masquerade: bool = True
    publish_address: str = ""


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """A container's connection to a network.

    ``host_interface`` is the bridge's port and ``interface`` its other end in the container;
    ``gateway`` is empty if the container gets no default route from this network.
    """

    network_id: str
    container_id: str
    address: str
    prefix_len: int
    mac: str
    host_interface: str
    gateway: str = ""
    address6: str = ""
    prefix_len6: int = 0
    gateway6: str = ""
    interface: str = "eth0"
    aliases: tuple[str, ...] = ()
    link_local: tuple[str, ...] = ()
    priority: int = 0


class PublishedPort(msgspec.Struct, frozen=True, kw_only=True, order=True):
    """A port of the host that leads to a container; ``host_ip`` 0.0.0.0 or :: means all."""

    host_ip: str
    host_port: int
    container_ip: str
    container_port: int
    protocol: Protocol = "tcp"

    def __str__(self) -> str:
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{host}:{self.host_port}->{self.container_port}/{self.protocol}"
