"""Host names and DNS servers: the values of ``--add-host`` and ``--dns``."""

from __future__ import annotations

import ipaddress
from typing import Any

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.values import as_sequence
from jupyter_containers.options.written import Written

HOST_GATEWAY = "host-gateway"
HOST_NAME = pattern(r"[A-Za-z0-9_]([A-Za-z0-9_.-]{0,253}[A-Za-z0-9_])?")


class AddedHost(Written):
    """``name:address`` or ``name=address``; the address may be ``host-gateway``."""

    __slots__ = ("address", "name")
    name: str
    address: str

    def read(self) -> dict[str, Any]:
        """Return name and address."""
        name, separator, address = self.partition("=" if "=" in self else ":")
        if not (separator and address == HOST_GATEWAY):
            address = address.removeprefix("[").removesuffix("]")
        if not HOST_NAME.fullmatch(name) or not (address == HOST_GATEWAY or is_address(address)):
            raise InvalidArgumentError(
                f"invalid add-host: {str(self)!r}",
                hint="write name:192.0.2.7 or name:host-gateway",
            )
        return {"name": name, "address": address}


def is_address(text: str) -> bool:
    """Return whether a text is an IP address."""
    try:
        ipaddress.ip_address(text)
    except ValueError:
        return False
    return True


def parse_servers(value: Any) -> tuple[str, ...]:
    """Return the addresses of ``--dns``."""
    servers = as_sequence(value)
    for server in servers:
        if not is_address(server):
            raise InvalidArgumentError(f"invalid dns: {server!r} is not an IP address")
    return servers


def parse_resolver_words(value: Any) -> tuple[str, ...]:
    """Return the words of ``--dns-search`` and ``--dns-option``."""
    words = as_sequence(value)
    for word in words:
        if not word or word.split() != [word]:
            raise InvalidArgumentError(f"invalid dns search domain or option: {word!r}")
    return words
