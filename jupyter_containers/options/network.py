"""Which networks a container is to join, and how: ``--network`` and the flags beside it.

The first network may be a *mode* instead: ``host``, ``none`` or ``container:NAME``; a mode stands
alone.  ``--ip``, ``--ip6``, ``--mac-address``, ``--network-alias``, ``--link`` and
``--link-local-ip`` belong to the first network; the long form of ``--network``
(``name=front,alias=web,ip=…``) says it for each.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from msgspec import UNSET, UnsetType

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options.limits import whole
from jupyter_containers.options.values import as_sequence, natural, parse_labels

OF_CONTAINER = "container:"
MODES = ("host", "none")
DEFAULT_NETWORK = "bridge"

_LONG = re.compile(r"[\w.-]+=[^,]*(,[\w.-]+=[^,]*)*")
_LONG_FORM = "write NAME or name=NAME,alias=web,ip=10.90.1.5"
_MAC = re.compile(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """One network to be joined; what is empty is chosen.

    ``links`` are containers that get a further name here: pairs of container and alias.  The
    default route goes by the network with the highest ``gateway_priority``, then by name.
    ``driver_options`` are recorded for ``inspect``: none has a meaning for a bridge.  ``UNSET`` is
    none, and is not written, so that records are the same as those of earlier engines.
    """

    name: str = DEFAULT_NETWORK
    aliases: tuple[str, ...] = ()
    ip: str = ""
    ip6: str = ""
    mac_address: str = ""
    link_local_ips: tuple[str, ...] = ()
    links: tuple[tuple[str, str], ...] = ()
    gateway_priority: int = 0
    driver_options: tuple[tuple[str, str], ...] | UnsetType = UNSET

    @property
    def is_mode(self) -> bool:
        """True for host, none and another container's network: nothing is joined."""
        return self.name in MODES or self.name.startswith(OF_CONTAINER)


def parse_networks(flags: Mapping[str, Any]) -> tuple[NetworkRequest, ...]:
    """Return the requests that the :class:`~.groupflags.NetworkFlags` mean, at least one.

    Raises :class:`InvalidArgumentError` for what Docker refuses as conflicting.
    """
    value = flags.get("network") or DEFAULT_NETWORK
    items = [value] if isinstance(value, (str, NetworkRequest)) else list(value)
    requests = [
        item if isinstance(item, NetworkRequest) else parse_network(str(item)) for item in items
    ]
    requests[0] = _with_flags(requests[0], flags)
    if len(requests) > 1 and any(request.is_mode for request in requests):
        raise InvalidArgumentError(
            "conflicting options: host, none and container:NAME go with no other network"
        )
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgumentError(f"network {name!r} is given more than once")
    for request in requests:
        _check(request)
    return tuple(requests)


def endpoint_request(name: str, flags: Mapping[str, Any]) -> NetworkRequest:
    """Return what ``network connect`` asks for; raises :class:`InvalidArgumentError`."""
    request = _with_flags(NetworkRequest(name), flags)
    _check(request)
    return request


def parse_network(text: str) -> NetworkRequest:
    """Return one value of ``--network``, short or long form."""
    if text == "default":
        return NetworkRequest()
    if not _LONG.fullmatch(text):
        if not text or "," in text:
            raise InvalidArgumentError(f"invalid network: {text!r}", hint=_LONG_FORM)
        return NetworkRequest(text)
    values: dict[str, list[str]] = {}
    for item in text.split(","):
        key, _, value = item.partition("=")
        values.setdefault(key.strip().lower(), []).append(value.strip())
    names = values.pop("name", [])
    if len(names) != 1 or not names[0]:
        raise InvalidArgumentError(f"invalid network: {text!r}: it needs a name", hint=_LONG_FORM)
    changes: dict[str, Any] = {}
    for key, given in values.items():
        if key not in _KEYS:
            raise InvalidArgumentError(
                f"invalid network: {text!r}: unknown key {key!r}",
                hint=f"known keys: name, {', '.join(_KEYS)}",
            )
        name, convert = _KEYS[key]
        changes[name] = tuple(given) if convert is None else convert(given[-1])
    return NetworkRequest(names[0], **changes)


def parse_link(text: str) -> tuple[str, str]:
    """Return container and alias of a ``--link`` value: ``container[:alias]``."""
    name, _, alias = text.partition(":")
    name = name.removeprefix("/")
    if not name or ":" in alias:
        raise InvalidArgumentError(f"invalid link: {text!r}", hint="write container:alias")
    return name, (alias or name).rpartition("/")[2]


def _priority(text: str) -> int:
    return whole(text, "gw-priority")


_KEYS: dict[str, tuple[str, Callable[[str], Any] | None]] = {
    "alias": ("aliases", None),
    "ip": ("ip", str),
    "ip6": ("ip6", str),
    "mac-address": ("mac_address", str),
    "link-local-ip": ("link_local_ips", None),
    "gw-priority": ("gateway_priority", _priority),
}


def _with_flags(request: NetworkRequest, flags: Mapping[str, Any]) -> NetworkRequest:
    aliases = as_sequence(flags.get("network_alias") or flags.get("alias"))
    given: dict[str, Any] = {
        "ip": str(flags.get("ip") or ""),
        "ip6": str(flags.get("ip6") or ""),
        "mac_address": str(flags.get("mac_address") or ""),
        "aliases": aliases,
        "link_local_ips": as_sequence(flags.get("link_local_ip")),
        "links": tuple(parse_link(text) for text in as_sequence(flags.get("link"))),
        "gateway_priority": _priority(str(flags.get("gw_priority") or 0)),
        "driver_options": tuple(parse_labels(flags.get("driver_opt") or ()).items()) or UNSET,
    }
    changes = {word: value for word, value in given.items() if value}
    for word in changes:
        if getattr(request, word):
            raise InvalidArgumentError(
                f"conflicting options: {word.replace('_', '-')} is given for network "
                f"{request.name} and beside it"
            )
    return replace(request, **changes)


def _check(request: NetworkRequest) -> None:
    _address(request.ip, 4, "ip")
    _address(request.ip6, 6, "ip6")
    for text in request.link_local_ips:
        try:
            address = ipaddress.ip_address(text)
        except ValueError as error:
            raise InvalidArgumentError(f"invalid link-local-ip: {text!r}") from error
        if not address.is_link_local:
            raise InvalidArgumentError(f"invalid link-local-ip: {text} is not link-local")
    if request.mac_address:
        first = int(request.mac_address[:2], 16) if _MAC.fullmatch(request.mac_address) else 1
        if first & 1:
            raise InvalidArgumentError(
                f"invalid mac-address: {request.mac_address!r}", hint="write 92:d0:c6:0a:29:33"
            )
    bare = request.name in (*MODES, DEFAULT_NETWORK) or request.is_mode
    if bare and request.aliases:
        raise InvalidArgumentError(
            "aliases are supported only in networks of one's own",
            hint="network create NAME, then --network NAME",
        )
    if bare and (request.ip or request.ip6):
        raise InvalidArgumentError(
            "an IP address can be chosen only in networks of one's own",
            hint="network create --subnet … NAME, then --network NAME",
        )
    if request.is_mode and request.mac_address:
        raise InvalidArgumentError("conflicting options: mac-address and the network mode")
    if request.is_mode and request.links:
        raise InvalidArgumentError(f"conflicting options: {request.name} network cannot have links")


def _address(text: str, version: int, flag: str) -> None:
    if not text:
        return
    try:
        fits = ipaddress.ip_address(text).version == version
    except ValueError:
        fits = False
    if not fits:
        raise InvalidArgumentError(f"invalid {flag}: {text!r} is not an IPv{version} address")


@dataclass(frozen=True, slots=True)
class NetworkOptions:
    """One network to be created (the flags of ``network create``); what is empty is chosen.

    ``driver_options`` are the ``--opt`` values as given; those that mean something here are in the
    fields behind them.
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
    def of(cls, **flags: Any) -> NetworkOptions:
        """Return the options that Docker's flags in snake_case mean."""
        values = {name: value for name, value in flags.items() if value is not None}
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
            f"the network driver {driver!r} is not known here",
            capability=f"network driver {driver}",
            provided_by="use the driver bridge",
        )
    if values.pop("ipam_driver", "default") != "default":
        raise UnsupportedError(
            "addresses are given out by the driver default only",
            capability="IPAM drivers",
            provided_by="leave --ipam-driver out",
        )
    scope = values.pop("scope", "local") or "local"
    if scope != "local" or values.pop("ingress", False) or values.pop("config_only", False):
        raise UnsupportedError(
            "networks of a swarm are not known here",
            capability="swarm networks",
            provided_by="create a network of this machine",
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
                f"a network has one {flag} of IPv4 and one of IPv6", hint="make a second network"
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
    """Return the fields that driver options mean; one we do not know is refused."""
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
            _address(value, 4, name)
            found["publish_address"] = value
        else:
            raise UnsupportedError(
                f"the driver option {name} has no effect here",
                capability=name,
                provided_by=f"leave it out; known: {_OPTION}bridge.name, driver.mtu, "
                "bridge.enable_icc, bridge.enable_ip_masquerade, bridge.host_binding_ipv4",
            )
    return found


def _boolean(name: str, value: str) -> bool:
    if value.lower() not in ("true", "false", "1", "0", "t", "f"):
        raise InvalidArgumentError(f"invalid {name}: {value!r}", hint="true or false")
    return value.lower() in ("true", "1", "t")
