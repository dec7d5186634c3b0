"""Networks: create, list, inspect, connect, remove."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

import msgspec

from jupyter_containers.api.bodies import Fields, read
from jupyter_containers.api.call import Answer, Call
from jupyter_containers.api.container_body import EndpointConfig as Endpoint
from jupyter_containers.api.errors import StatusError
from jupyter_containers.engine.filters import has_label, label_of
from jupyter_containers.errors import InvalidArgumentError

_PREDEFINED = ("bridge", "host", "none")
_KEYS = ("dangling", "driver", "id", "label", "name", "scope", "type")


class SubnetConfig(Fields):
    """One subnet, and the range of addresses for containers in it."""

    Subnet: str = ""
    IPRange: str = ""
    Gateway: str = ""
    AuxiliaryAddresses: dict[str, str] = msgspec.field(default_factory=dict)


class Addresses(Fields):
    """The address management of a network: its driver and subnets."""

    Driver: str = ""
    Config: tuple[SubnetConfig, ...] = ()
    Options: dict[str, str] = msgspec.field(default_factory=dict)


class NetworkBody(Fields):
    """The body of ``POST /networks/create``."""

    __harmless__: ClassVar[frozenset[str]] = frozenset({"CheckDuplicate", "EnableIPv4"})
    Name: str = ""
    Driver: str = ""
    Internal: bool = False
    Attachable: bool = False
    Ingress: bool = False
    Scope: str = ""
    ConfigOnly: bool = False
    IPAM: Addresses = msgspec.field(default_factory=Addresses)
    EnableIPv6: bool = False
    Options: dict[str, str] = msgspec.field(default_factory=dict)
    Labels: dict[str, str] = msgspec.field(default_factory=dict)


class ConnectBody(Fields):
    """The body of ``POST /networks/{id}/connect``."""

    Container: str = ""
    EndpointConfig: Endpoint | None = None


class DisconnectBody(Fields):
    """The body of ``POST /networks/{id}/disconnect``."""

    Container: str = ""
    Force: bool = False


def create(call: Call) -> Answer:
    """Create a bridge network."""
    body = read(call, NetworkBody)
    if not body.Name:
        raise InvalidArgumentError("invalid network name: it is empty")
    if body.Name in _PREDEFINED:
        raise StatusError(403, f"operation is not permitted on predefined {body.Name} network")
    subnets = body.IPAM.Config
    if body.IPAM.Options:
        raise InvalidArgumentError("IPAM.Options have no effect here")
    flags: dict[str, Any] = {
        "driver": body.Driver or None,
        "internal": body.Internal,
        "attachable": body.Attachable,
        "ingress": body.Ingress,
        "scope": body.Scope,
        "config_only": body.ConfigOnly,
        "ipam_driver": body.IPAM.Driver or None,
        "ipv6": body.EnableIPv6,
        "subnet": [one.Subnet for one in subnets if one.Subnet],
        "gateway": [one.Gateway for one in subnets if one.Gateway],
        "ip_range": [one.IPRange for one in subnets if one.IPRange],
        "aux_address": {
            name: address for one in subnets for name, address in one.AuxiliaryAddresses.items()
        },
        "opt": body.Options,
        "label": body.Labels,
    }
    made = call.engine.networks.create(body.Name, **flags)
    return Answer(201, {"Id": made.id, "Warning": ""})


def listed(call: Call) -> list[dict[str, Any]]:
    """Return the networks that filters select."""
    networks = call.engine.networks
    documents = [networks.inspect(item.id) for item in networks.list()]
    filters = call.query.filters()
    unknown = [key for key in filters if key not in _KEYS]
    if unknown:
        raise InvalidArgumentError(
            f"invalid filter {unknown[0]!r}", hint=f"one of {', '.join(_KEYS)}"
        )
    unused = {item.id for item in networks.unused()} if "dangling" in filters else set()
    return [
        {**document, "Containers": {}}
        for document in documents
        if all(_fits(key, values, document, unused) for key, values in filters.items())
    ]


def _fits(key: str, values: Sequence[str], document: dict[str, Any], unused: set[str]) -> bool:
    if key == "label":
        return all(has_label(document["Labels"], *label_of(text)) for text in values)
    name, network_id = document["Name"], document["Id"]
    tests = {
        "name": lambda text: text in name,
        "id": network_id.startswith,
        "driver": lambda text: text == document["Driver"],
        "scope": lambda text: text == document["Scope"],
        "type": lambda text: (text == "builtin") == (name in _PREDEFINED),
        "dangling": lambda text: (network_id in unused) == (text.lower() in ("1", "true")),
    }
    return any(tests[key](text) for text in values)


def inspect(call: Call) -> dict[str, Any]:
    """Return everything about a network."""
    return call.engine.networks.inspect(call.names["name"])


def connect(call: Call) -> Answer:
    """Connect a container to a network."""
    body = read(call, ConnectBody)
    request = (body.EndpointConfig or Endpoint()).request(call.names["name"])
    call.engine.networks.connect(
        call.names["name"],
        body.Container,
        alias=list(request.aliases),
        ip=request.ip or None,
        ip6=request.ip6 or None,
        mac_address=request.mac_address or None,
        link=[f"{name}:{alias}" for name, alias in request.links],
        link_local_ip=list(request.link_local_ips),
        gw_priority=request.gateway_priority or None,
    )
    return Answer(200, b"")


def disconnect(call: Call) -> Answer:
    """Disconnect a container from a network."""
    body = read(call, DisconnectBody)
    call.engine.networks.disconnect(call.names["name"], body.Container, force=body.Force)
    return Answer(200, b"")


def remove(call: Call) -> None:
    """Remove a network."""
    name = call.engine.networks.get(call.names["name"]).name
    if name in _PREDEFINED:
        raise StatusError(403, f"{name} is a pre-defined network and cannot be removed")
    call.engine.networks.remove(name)


def prune(call: Call) -> dict[str, Any]:
    """Remove networks that no container uses."""
    result = call.engine.networks.prune(filters=call.query.filters())
    return {"NetworksDeleted": list(result.removed) or None}
