"""The rules of an allow list: which hosts and addresses a sandbox may reach.

Vocabulary: a *pattern* is a host name, or ``*.`` and a domain, which means every name below it and
not the domain itself.  A *host* is compared by name, an *address* only after it was resolved.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass

from jupyter_containers.errors import InvalidArgumentError

_LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
# The last label begins with a letter: 0x7f.1, 2130706433 and 127.1 are addresses to some resolvers.
_HOST = re.compile(rf"(?:{_LABEL}\.)*[a-z](?:[a-z0-9-]{{0,61}}[a-z0-9])?")
_LONGEST_NAME = 253
# Global to the ipaddress module, but they contain an IPv4 address of any kind.
_TRANSLATED = tuple(
    map(ipaddress.IPv6Network, ("64:ff9b::/96", "64:ff9b:1::/48", "2002::/16", "2001::/32"))
)


@dataclass(frozen=True, slots=True)
class AllowList:
    """Hosts that may be reached, by name."""

    patterns: tuple[str, ...]

    @classmethod
    def of(cls, texts: Iterable[str]) -> AllowList:
        """Return the list; raise :class:`InvalidArgumentError` for what is no pattern."""
        if isinstance(texts, str):
            texts = (texts,)
        patterns = []
        for text in texts:
            pattern = text.strip().lower().rstrip(".")
            if host_name(pattern.removeprefix("*.")) is None:
                raise InvalidArgumentError(
                    f"invalid host of an allow list: {text!r}",
                    hint="a name such as pypi.org, or *.example.org for all names below it; "
                    "no address, no port, no URL",
                )
            patterns.append(pattern)
        return cls(tuple(patterns))

    def permits(self, host: str) -> bool:
        """Return whether a host (in lower case, without a final dot) is on the list."""
        return any(
            host.endswith(pattern[1:]) if pattern.startswith("*.") else host == pattern
            for pattern in self.patterns
        )


def host_name(text: str) -> str | None:
    """Return a host's name in lower case without a final dot; None for what is no name."""
    name = text.lower().removesuffix(".")
    if len(name) > _LONGEST_NAME or _HOST.fullmatch(name) is None:
        return None
    # Inside a sandbox these mean the sandbox, here this machine.
    return None if name == "localhost" or name.endswith(".localhost") else name


def is_public(address: str) -> bool:
    """Return whether an address belongs to the public internet, by the registries of IANA."""
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address):
        if any(found in network for network in _TRANSLATED):
            return False
        found = found.ipv4_mapped or found
    return found.is_global and not (found.is_multicast or found.is_reserved)
