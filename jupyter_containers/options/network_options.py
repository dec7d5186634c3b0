"""A network to create: the options of ``network create``, parsed and checked."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Mapping
from typing import Any, Unpack

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.options.groupflags import CreateNetworkFlags
from jupyter_containers.options.network import check_address
from jupyter_containers.options.values import as_sequence, natural, parse_labels


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """One network to create (the flags of ``network create``); empty fields are chosen.

    ``driver_options`` are the ``--opt`` values as given; those with a meaning here are also in the
    fields after it.
    """

    subnet: str = ""
    gateway: str = ""
    ip_range: str = ""
    ip_range6: str = ""
    subnet6: str = ""
    gateway6: str = ""
    ipv6: bool = False
    internal: bool = False
    attachable: bool = False
    labels: Mapping[str, str] = field(default_factory=dict)
    aux_addresses: Mapping[str, str] = field(default_factory=dict)
    driver_options: Mapping[str, str] = field(default_factory=dict)
    interface: str = ""
    mtu: int = 0
    containers_talk: bool = True
    masquerade: bool = True
    publish_address: str = ""

    @classmethod
    def of(cls, **flags: Unpack[CreateNetworkFlags]) -> NetworkOptions:
        """Return the options for Docker's flags in snake_case."""
        values: dict[str, Any] = {name: value for name, value in flags.items() if value is not None}
        _check_driver(values)
        subnet, subnet6 = _by_family(values.pop("subnet", ()), "subnet")
        gateway, gateway6 = _by_family(values.pop("gateway", ()), "gateway")
        ip_range, range6 = _by_family(values.pop("ip_range", ()), "ip-range")
        if range6 and not subnet6:
            raise InvalidArgumentError("an IPv6 ip-range needs a subnet", hint="--subnet …")
        if (ip_range or gateway) and not subnet:
            raise InvalidArgumentError("gateway and ip-range need a subnet", hint="--subnet …")
        wants = bool(values.pop("ipv6", False))
        if (subnet6 or gateway6) and not wants:
            raise InvalidArgumentError("an IPv6 subnet needs --ipv6")
        driver_options = parse_labels(values.pop("opt", None) or ())
        options = cls(
            subnet=subnet,
            gateway=gateway,
            ip_range=ip_range,
            ip_range6=range6,
            subnet6=subnet6,
            gateway6=gateway6,
            ipv6=wants,
            internal=bool(values.pop("internal", False)),
            attachable=bool(values.pop("attachable", False)),
            labels=parse_labels(values.pop("label", None) or ()),
            aux_addresses=_aux(parse_labels(values.pop("aux_address", None) or ())),
            driver_options=driver_options,
            **_meanings(driver_options),
        )
        if values:
            raise InvalidArgumentError(f"unknown option {min(values)!r} of network create")
        return options


def _check_driver(values: dict[str, Any]) -> None:
    driver = values.pop("driver", "bridge")
    if driver in ("host", "null"):
        raise InvalidArgumentError(f"only one instance of the {driver} network is allowed")
    if driver != "bridge":
        raise UnsupportedError(
            f"the network driver {driver!r} is not supported here",
            capability=f"network driver {driver}",
            provided_by="use the driver bridge",
        )
    if values.pop("ipam_driver", "default") != "default":
        raise UnsupportedError(
            "addresses are assigned only by the driver default",
            capability="IPAM drivers",
            provided_by="omit --ipam-driver",
        )
    scope = values.pop("scope", "local") or "local"
    if scope != "local" or values.pop("ingress", False) or values.pop("config_only", False):
        raise UnsupportedError(
            "networks of a swarm are not supported here",
            capability="swarm networks",
            provided_by="create a network on this machine",
        )


def _by_family(value: Any, flag: str) -> tuple[str, str]:
    found = {4: "", 6: ""}
    for text in as_sequence(value):
        try:
            version = ipaddress.ip_interface(text).version
        except ValueError as error:
            raise InvalidArgumentError(f"invalid {flag}: {text!r}") from error
        if found[version]:
            raise InvalidArgumentError(
                f"a network has one {flag} of IPv4 and one of IPv6", hint="create a second network"
            )
        found[version] = text
    return found[4], found[6]


def _aux(entries: Mapping[str, str]) -> Mapping[str, str]:
    for name, text in entries.items():
        try:
            ipaddress.ip_address(text)
        except ValueError as error:
            raise InvalidArgumentError(
                f"invalid aux-address: {name}={text}", hint="write name=192.168.1.5"
            ) from error
    return entries


_OPTION = "com.docker.network."


def _meanings(options: Mapping[str, str]) -> dict[str, Any]:
    """Return the fields for driver options; raise for an unknown option."""
    found: dict[str, Any] = {}
    for name, value in options.items():
        word = name.removeprefix(_OPTION)
        if word == "bridge.name":
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,15}", value):
                raise InvalidArgumentError(f"invalid interface name: {value!r}")
            found["interface"] = value
        elif word in ("driver.mtu", "mtu"):
            mtu = natural(value) or 0
            if not 68 <= mtu <= 65535:
                raise InvalidArgumentError(f"invalid MTU: {value!r}")
            found["mtu"] = mtu
        elif word == "bridge.enable_icc":
            found["containers_talk"] = _boolean(name, value)
        elif word == "bridge.enable_ip_masquerade":
            found["masquerade"] = _boolean(name, value)
        elif word == "bridge.host_binding_ipv4":
            check_address(value, 4, name)
            found["publish_address"] = value
        else:
            raise UnsupportedError(
                f"the driver option {name} has no effect here",
                capability=name,
                provided_by=f"omit it; known: {_OPTION}bridge.name, driver.mtu, "
                "bridge.enable_icc, bridge.enable_ip_masquerade, bridge.host_binding_ipv4",
            )
    return found


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise InvalidArgumentError(f"invalid {name}: {value!r}", hint="true or false")
    return value.lower() in ("true", "1", "t")
