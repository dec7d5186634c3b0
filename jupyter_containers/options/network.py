"""The networks that a container joins: ``--network`` and related flags.

A *mode* may be given instead of networks: ``host``, ``none`` or ``container:NAME``.  ``--ip``,
``--ip6``, ``--mac-address``, ``--network-alias``, ``--link`` and ``--link-local-ip`` apply to the
first network; the long form of ``--network`` (``name=front,alias=web,ip=…``) sets them for each.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Callable, Mapping
from typing import Any

from msgspec import UNSET, UnsetType

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.limits import whole
from jupyter_containers.options.values import as_sequence, parse_labels

OF_CONTAINER = "container:"
MODES = ("host", "none")
DEFAULT_NETWORK = "bridge"

_LONG = pattern(r"[\w.-]+=[^,]*(,[\w.-]+=[^,]*)*")
_LONG_FORM = "write NAME or name=NAME,alias=web,ip=10.90.1.5"
_MAC = pattern(r"([0-9a-fA-F]{2}[:-]){5}[0-9a-fA-F]{2}")


@dataclass(frozen=True, slots=True)
class NetworkRequest:
    """One network to join; empty fields are chosen automatically.

    ``links`` are additional names for other containers: pairs of container and alias.  The default
    route uses the network with the highest ``gateway_priority``, then the first by name.
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
        """True for host, none and another container's network: no network is joined."""
        return self.name in MODES or self.name.startswith(OF_CONTAINER)


def parse_networks(flags: Mapping[str, Any]) -> tuple[NetworkRequest, ...]:
    """Return the requests of the :class:`~.groupflags.NetworkFlags`, at least one.

    Raises :class:`InvalidArgumentError` for flags that Docker refuses as conflicting.
    """
    value = flags.get("network") or DEFAULT_NETWORK
    items = [value] if isinstance(value, (str, NetworkRequest)) else list(value)
    requests = [
        item if isinstance(item, NetworkRequest) else parse_network(str(item)) for item in items
    ]
    requests[0] = _with_flags(requests[0], flags)
    if len(requests) > 1 and any(request.is_mode for request in requests):
        raise InvalidArgumentError(
            "conflicting options: host, none and container:NAME exclude other networks"
        )
    names = [request.name for request in requests]
    for name in names:
        if names.count(name) > 1:
            raise InvalidArgumentError(f"network {name!r} is given more than once")
    for request in requests:
        _check(request)
    return tuple(requests)


def endpoint_request(name: str, flags: Mapping[str, Any]) -> NetworkRequest:
    """Return the request of ``network connect``; raise :class:`InvalidArgumentError`."""
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
                f"conflicting options: {word.replace('_', '-')} is given both for network "
                f"{request.name} and as a flag"
            )
    return replace(request, **changes)


def _check(request: NetworkRequest) -> None:
    check_address(request.ip, 4, "ip")
    check_address(request.ip6, 6, "ip6")
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
            "aliases are supported only in user-defined networks",
            hint="network create NAME, then --network NAME",
        )
    if bare and (request.ip or request.ip6):
        raise InvalidArgumentError(
            "an IP address can be chosen only in user-defined networks",
            hint="network create --subnet … NAME, then --network NAME",
        )
    if request.is_mode and request.mac_address:
        raise InvalidArgumentError("conflicting options: mac-address and the network mode")
    if request.is_mode and request.links:
        raise InvalidArgumentError(f"conflicting options: {request.name} network cannot have links")


def check_address(text: str, version: int, flag: str) -> None:
    """Raise :class:`InvalidArgumentError` if the text is not an address of IP version 4 or 6."""
    if not text:
        return
    try:
        fits = ipaddress.ip_address(text).version == version
    except ValueError:
        fits = False
    if not fits:
        raise InvalidArgumentError(f"invalid {flag}: {text!r} is not an IPv{version} address")
