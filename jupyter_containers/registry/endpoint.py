"""Addresses of registries, and whether plain http is allowed for them.

Vocabulary: an *endpoint* is a registry's network address.  An *origin* is scheme, host and port
of a URL: credentials belong to an origin.  *Plain* means http without TLS.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from typing import Literal
from urllib.parse import SplitResult, urlsplit

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.reference import DEFAULT_REGISTRY

HUB_HOST = "registry-1.docker.io"
Pulls = Literal["all", "digest-only", "tag-only"]
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One registry or mirror: its name for people and credentials, host, and a fixed scheme if any.

    ``prefix`` is a path before ``/v2/``, which only mirrors have.  Repositories under ``old`` are
    under ``new`` there.  ``pulls`` limits the requests to a mirror.
    """

    registry: str
    host: str
    scheme: str = ""
    prefix: str = ""
    old: str = ""
    new: str = ""
    pulls: Pulls = "all"

    def renamed(self, path: str) -> str:
        """Return a repository, or a path that begins with one, under its name at this endpoint."""
        if self.old == self.new or not path or path.startswith("_"):
            return path
        rest = path.removeprefix(self.old).lstrip("/")
        return "/".join(part for part in (self.new, rest) if part)

    def answers(self, reference: str) -> bool:
        """Return whether a mirror serves this tag or digest."""
        return self.pulls == "all" or (self.pulls == "digest-only") == (":" in reference)

    @classmethod
    def of_registry(cls, registry: str) -> Endpoint:
        """Return the endpoint of a registry's name; Docker Hub's differs from its name."""
        if registry == DEFAULT_REGISTRY:
            return cls(registry, HUB_HOST)
        return cls(registry, registry)

    @classmethod
    def of_mirror(cls, mirror: str) -> Endpoint:
        """Return the endpoint of a mirror, written as a host or as a URL."""
        if "://" not in mirror:
            host, _, path = mirror.partition("/")
            return cls(host, host, "", _prefix(path))
        try:
            parts = urlsplit(mirror)
            fits = parts.scheme in _DEFAULT_PORTS and parts.hostname and "@" not in parts.netloc
        except ValueError:  # brackets without an address
            fits = False
        if not fits:
            raise InvalidArgumentError(
                f"not a registry mirror: {redacted(mirror)!r}",
                hint="write it as mirror.example.org or https://mirror.example.org",
            )
        return cls(parts.netloc, parts.netloc, parts.scheme, _prefix(parts.path))


def _prefix(path: str) -> str:
    path = path.strip("/").removesuffix("v2").rstrip("/")
    return f"/{path}" if path else ""


@dataclass(frozen=True, slots=True)
class TrustPolicy:
    """The hosts that may be used without TLS, or with an unverified certificate.

    ``insecure`` lists ``host``, ``host:port`` (this port only) or networks (``10.0.0.0/8``).
    Loopback may always be plain, but its certificates are verified.
    """

    insecure: tuple[str, ...] = ()

    def is_listed(self, host: str) -> bool:
        """Return whether ``host`` (``name[:port]``) is listed as insecure."""
        name, port = split_host(host)
        address = _address(name)
        for entry in self.insecure:
            if "/" in entry:
                if address is not None and address in _network(entry):
                    return True
                continue
            listed_name, listed_port = split_host(entry)
            if listed_name == name and listed_port in (None, port):
                return True
        return False

    def allows_plain(self, host: str) -> bool:
        """Return whether http may be used with ``host`` (``name[:port]``)."""
        return is_loopback(host) or self.is_listed(host)


def mirrors_for(registry: str, entries: Iterable[str]) -> tuple[str, ...]:
    """Return the mirrors of one registry from the setting ``registry_mirrors``.

    An entry is a mirror of Docker Hub (``https://mirror``), or of a named registry when written
    ``quay.io=https://mirror``.
    """
    found = []
    for entry in entries:
        named, equals, mirror = entry.partition("=")
        target, value = (named, mirror) if equals else (DEFAULT_REGISTRY, entry)
        if target == registry and value:
            found.append(value)
    return tuple(found)


def split_host(host: str) -> tuple[str, int | None]:
    """Return name (lower case, IPv6 without brackets) and port of ``name[:port]``."""
    try:
        parts = urlsplit(f"//{host}")
        return (parts.hostname or "", parts.port)
    except ValueError as error:
        raise InvalidArgumentError(f"not a host: {host!r}") from error


def is_loopback(host: str) -> bool:
    """Return whether the host is ``localhost``, in 127.0.0.0/8, or ``[::1]``, with any port."""
    name, _ = split_host(host)
    if name == "localhost":
        return True
    address = _address(name)
    return address is not None and address.is_loopback


def origin(url: str) -> tuple[str, str, int]:
    """Return scheme, host and port of ``url``; the default port is filled in."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise InvalidArgumentError(f"not a URL: {redacted(url)!r}") from error
    scheme = parts.scheme.lower()
    return scheme, (parts.hostname or ""), port or _DEFAULT_PORTS.get(scheme, 0)


def redacted(url: str) -> str:
    """Return ``url`` without user information, query and fragment: they may carry secrets."""
    text = url.partition("#")[0].partition("?")[0]
    scheme, separator, rest = text.partition("://")
    if not separator:
        return text
    netloc, slash, path = rest.partition("/")
    return f"{scheme}://{netloc.rpartition('@')[2]}{slash}{path}"


def with_query(url: str, parameters: Sequence[tuple[str, str]]) -> str:
    """Return ``url`` with parameters appended to its query, which is otherwise unchanged."""
    from urllib.parse import urlencode

    parts: SplitResult = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(parameters, safe=":/,"))))
    return parts._replace(query=query).geturl()


def _address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(name)
    except ValueError:
        return None


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network:
    try:
        return ipaddress.ip_network(text, strict=False)
    except ValueError as error:
        raise InvalidArgumentError(f"not a network: {text!r} in insecure registries") from error
