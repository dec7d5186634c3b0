"""The contents of a container's /etc/hosts, /etc/hostname and /etc/resolv.conf.

All functions are pure except :func:`read_resolv_conf`, which reads the host's file.  On the default
network a container's hosts file contains only itself; on a user-defined network it also contains
its *peers*, the other containers by name, alias and short ID.  The engine rewrites the files of
running containers in place (they are bind-mounted, so a new file would not be seen) whenever the
peers change.

The name servers are chosen as in Docker: the host's without loopback addresses, which would mean
the container itself, and public ones if none is left.  See hosts(5) and resolv.conf(5).
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Sequence
from pathlib import Path

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.options.names import HOST_GATEWAY, HOST_NAME, AddedHost

__all__ = [
    "HostEntry",
    "added_hosts",
    "embedded_resolv_conf",
    "host_aliases",
    "hostname_file",
    "hosts_file",
    "hosts_lines",
    "read_resolv_conf",
    "resolv_conf",
]

# Docker's choice if the host has only a loopback resolver.
FALLBACK_NAMESERVERS = ("8.8.8.8", "8.8.4.4")
HOST_NAMES = ("host.containers.internal", "host.docker.internal")

_RESOLV_CONF = Path("/etc/resolv.conf")
# The file in which systemd-resolved, itself on 127.0.0.53, lists its upstream servers.
_UPSTREAM_RESOLV_CONF = Path("/run/systemd/resolve/resolv.conf")
_LOCAL = """127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""


@dataclass(frozen=True, slots=True)
class HostEntry:
    """One line of a hosts file: an address and its names."""

    address: str
    names: tuple[str, ...]


def added_hosts(added: Iterable[AddedHost], gateway: str) -> tuple[HostEntry, ...]:
    """Return the entries of ``--add-host``; the address ``host-gateway`` means ``gateway``.

    Raises :class:`InvalidArgumentError` if it is used without a gateway.
    """
    entries = []
    for host in added:
        address = gateway if host.address == HOST_GATEWAY else host.address
        if not address:
            raise InvalidArgumentError(
                f"invalid add-host: {str(host)!r}: this network has no host gateway"
            )
        entries.append(HostEntry(address, (host.name,)))
    return tuple(entries)


def host_aliases(gateway: str, extra: Iterable[HostEntry] = ()) -> tuple[HostEntry, ...]:
    """Return the entry with the names by which containers call the host.

    Names that ``extra`` (``--add-host``) defines are omitted; without a gateway there is no entry.
    """
    taken = {name for entry in extra for name in entry.names}
    names = tuple(name for name in HOST_NAMES if name not in taken)
    return (HostEntry(gateway, names),) if gateway and names else ()


def hosts_file(
    hostname: str,
    addresses: Sequence[str],
    *,
    gateway: str = "",
    extra: Sequence[HostEntry] = (),
    peers: Iterable[HostEntry] = (),
    base: str = "",
) -> str:
    """Return a container's hosts file.

    ``hostname`` may be several words, the full name first.  ``addresses`` are its own, the first
    network's first; ``extra`` precedes everything that could contradict it.  ``base`` replaces the
    standard beginning: the host's own file, for a container in the host's network.
    """
    own = [HostEntry(address, tuple(hostname.split())) for address in addresses]
    entries = [*extra, *host_aliases(gateway, extra), *own, *peers]
    head = base if not base or base.endswith("\n") else base + "\n"
    return (head or _LOCAL) + "".join(_hosts_line(entry) for entry in entries)


def hosts_lines(entries: Iterable[HostEntry]) -> str:
    """Return the lines of further entries of a hosts file, without duplicates."""
    return "".join(dict.fromkeys(_hosts_line(entry) for entry in entries))


def hostname_file(hostname: str) -> str:
    """Return the text of /etc/hostname."""
    return f"{hostname}\n"


def read_resolv_conf() -> str:
    """Return the host's resolver configuration, empty if it has none.

    If systemd-resolved is the only server, returns the file with its upstream servers.
    """
    text = _read(_RESOLV_CONF)
    if _nameservers(text) == ["127.0.0.53"]:
        return _read(_UPSTREAM_RESOLV_CONF) or text
    return text


def resolv_conf(
    host_text: str,
    *,
    servers: Sequence[str] = (),
    search: Sequence[str] = (),
    options: Sequence[str] = (),
    keep_loopback: bool = False,
) -> str:
    """Return a container's resolv.conf, made from the host's; the given lists replace its own.

    ``search`` of ``.`` alone means no search domain.  ``keep_loopback`` is for containers in the
    host's network.
    """
    found = [
        server for server in _nameservers(host_text) if keep_loopback or not _is_loopback(server)
    ]
    chosen = list(servers) or found or list(FALLBACK_NAMESERVERS)
    domains = list(search) or _words(host_text, "search") or _words(host_text, "domain")
    words = list(options) or _words(host_text, "options")
    # Docker's order since version 25; before, the search domains came first.
    lines = [f"nameserver {server}" for server in chosen]
    if domains and domains != ["."]:
        lines.append(f"search {' '.join(domains)}")
    if words:
        lines.append(f"options {' '.join(words)}")
    return "\n".join(lines) + "\n"


def embedded_resolv_conf(
    host_text: str, server: str, *, search: Sequence[str] = (), options: Sequence[str] = ()
) -> str:
    """Return the resolv.conf of a container that uses its networks' name server.

    As in Docker, names without a dot are queried as they are before any search domain is added.
    """
    chosen = list(options) or _words(host_text, "options")
    if not any(word.startswith("ndots:") for word in chosen):
        chosen.append("ndots:0")
    return resolv_conf(host_text, servers=(server,), search=search, options=chosen)


def _hosts_line(entry: HostEntry) -> str:
    for name in entry.names:
        if not HOST_NAME.fullmatch(name):
            raise InvalidArgumentError(f"invalid host name: {name[:80]!r}")
    return f"{entry.address}\t{' '.join(dict.fromkeys(entry.names))}\n" if entry.names else ""


def _nameservers(text: str) -> list[str]:
    rows = [line.split() for line in text.splitlines()]
    return [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"]


def _words(text: str, keyword: str) -> list[str]:
    # The last line of its kind wins, as in the C library.
    rows = [line.split() for line in text.splitlines()]
    return next((row[1:] for row in reversed(rows) if row[:1] == [keyword]), [])


def _is_loopback(text: str) -> bool:
    try:
        return ipaddress.ip_address(text.partition("%")[0]).is_loopback
    except ValueError:
        return True  # not an address: useless for a container too


def _read(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
