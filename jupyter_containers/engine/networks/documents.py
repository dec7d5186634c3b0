"""Docker's documents about networks: ``network inspect``, and a container's ``NetworkSettings``.

Field names are those of the Docker Engine API v1.43.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence
from typing import Any

from jupyter_containers.engine.networks.catalog import mode_id
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.network.model import Endpoint, Network
from jupyter_containers.options.network import DEFAULT_NETWORK, MODES, NetworkRequest


def network_document(network: Network, members: Sequence[ContainerRecord]) -> dict[str, Any]:
    """Return the object of ``docker network inspect``; ``members`` are the running containers."""
    return {
        "Name": network.name,
        "Id": network.id,
        "Created": network.created,
        "Scope": "local",
        "Driver": network.driver,
        "EnableIPv6": bool(network.subnet6),
        "IPAM": {"Driver": "default", "Options": {}, "Config": _ipam(network)},
        "Internal": network.internal,
        "Attachable": network.attachable,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            member.id: _member(member, endpoint)
            for member in members
            for endpoint in member.endpoints
            if endpoint.network_id == network.id
        },
        "Options": {
            "com.docker.network.bridge.name": network.interface,
            "com.docker.network.driver.mtu": str(network.mtu),
            **network.options,
        },
        "Labels": dict(network.labels),
    }


def mode_document(
    name: str, network_id: str, driver: str, members: Sequence[ContainerRecord]
) -> dict[str, Any]:
    """Return the object of ``docker network inspect`` of the networks host and none."""
    empty = {"MacAddress": "", "IPv4Address": "", "IPv6Address": ""}
    return {
        "Name": name,
        "Id": network_id,
        "Created": "0001-01-01T00:00:00Z",
        "Scope": "local",
        "Driver": driver,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {
            member.id: {"Name": member.name, "EndpointID": "", **empty} for member in members
        },
        "Options": {},
        "Labels": {},
    }


def _ipam(network: Network) -> list[dict[str, Any]]:
    config: dict[str, Any] = {"Subnet": network.subnet}
    if network.ip_range:
        config["IPRange"] = network.ip_range
    config["Gateway"] = network.gateway
    if network.reserved:
        config["AuxiliaryAddresses"] = dict(network.reserved)
    if not network.subnet6:
        return [config]
    return [config, {"Subnet": network.subnet6, "Gateway": network.gateway6}]


def _member(member: ContainerRecord, endpoint: Endpoint) -> dict[str, str]:
    return {
        "Name": member.name,
        "EndpointID": endpoint_id(endpoint),
        "MacAddress": endpoint.mac,
        "IPv4Address": f"{endpoint.address}/{endpoint.prefix_len}",
        "IPv6Address": f"{endpoint.address6}/{endpoint.prefix_len6}" if endpoint.address6 else "",
    }


def endpoint_id(endpoint: Endpoint | None) -> str:
    """Return an endpoint's identifier in Docker's format."""
    import hashlib

    if endpoint is None:
        return ""
    text = f"{endpoint.network_id}/{endpoint.container_id}/{endpoint.address}"
    return hashlib.sha256(text.encode()).hexdigest()


def network_settings(record: ContainerRecord, networks: dict[str, Network]) -> dict[str, Any]:
    """Return a container's ``NetworkSettings``; ``networks`` by ID.

    The fields outside ``Networks`` are those of the default network, as with Docker.
    """
    alive = record.state.status.alive
    live = record.endpoints if alive else ()
    by_name = {
        networks[endpoint.network_id].name: endpoint
        for endpoint in live
        if endpoint.network_id in networks
    }
    names = {network.id: network.name for network in networks.values()}
    attached: dict[str, Any] = {}
    for request in record.networks:
        if request.name.startswith("container:"):
            continue
        name = names.get(request.name, request.name)
        network = next((item for item in networks.values() if item.name == name), None)
        attached[name] = _endpoint(record.id, request, by_name.get(name), network)
    process = record.state.process
    return {
        "Bridge": "",
        "SandboxID": record.id if alive else "",
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "Ports": _ports(record),
        "SandboxKey": f"/proc/{process.pid}/ns/net" if alive and process else "",
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        **_addresses(by_name.get(DEFAULT_NETWORK)),
        "Networks": attached,
    }


def _ports(record: ContainerRecord) -> dict[str, list[dict[str, str]] | None]:
    if not record.state.status.alive or not record.endpoints:
        return {}
    ports: dict[str, list[dict[str, str]] | None] = dict.fromkeys(
        (*record.config.exposed_ports, *record.options.expose)
    )
    for port in record.ports:
        binding = {"HostIp": port.host_ip, "HostPort": str(port.host_port)}
        name = f"{port.container_port}/{port.protocol}"
        ports[name] = [*(ports.get(name) or []), binding]
    return ports


def _addresses(endpoint: Endpoint | None) -> dict[str, Any]:
    return {
        "EndpointID": endpoint_id(endpoint),
        "Gateway": endpoint.gateway if endpoint else "",
        "GlobalIPv6Address": endpoint.address6 if endpoint else "",
        "GlobalIPv6PrefixLen": endpoint.prefix_len6 if endpoint else 0,
        "IPAddress": endpoint.address if endpoint else "",
        "IPPrefixLen": endpoint.prefix_len if endpoint else 0,
        "IPv6Gateway": endpoint.gateway6 if endpoint else "",
        "MacAddress": endpoint.mac if endpoint else "",
    }


def _endpoint(
    container_id: str,
    request: NetworkRequest,
    endpoint: Endpoint | None,
    network: Network | None,
) -> dict[str, Any]:
    config: dict[str, Any] = {}
    if request.ip:
        config["IPv4Address"] = request.ip
    if request.ip6:
        config["IPv6Address"] = str(ipaddress.ip_address(request.ip6))
    if request.link_local_ips:
        config["LinkLocalIPs"] = list(request.link_local_ips)
    aliases = request.aliases
    mode = request.name in MODES
    if request.name != DEFAULT_NETWORK and not request.is_mode:
        aliases = (*request.aliases, container_id[:12])
    return {
        "IPAMConfig": config or None,
        "Links": [f"{name}:{alias}" for name, alias in request.links] or None,
        "Aliases": list(aliases) or None,
        "NetworkID": network.id if network else mode_id(request.name) if mode else "",
        **_addresses(endpoint),
        "DriverOpts": None,
    }
