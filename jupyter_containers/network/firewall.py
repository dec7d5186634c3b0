"""The engine's nftables table: isolation, NAT and published ports.

For the bridges and subnets in its sets, the table does:

* *masquerade*: packets of a network that leave by another interface get the host's address.
* *published ports* are elements of two maps, one keyed by protocol, address and port, one by
  protocol and port (every local address).  Adding or removing one is one element, not a rule.
  Packets from outside meet the maps in prerouting, the host's own in output; loopback is only
  translated in output, so that 127.0.0.1 is never reachable from another machine.
* *hairpin*: a container that calls a published port, even its own, gets the reply through the host.
* *isolation*: a bridge accepts new connections from itself, from the host, and to published ports;
  nothing else, so networks do not reach each other.  An internal network has no way out or in.
  Packets for 127.0.0.0/8 that arrive by a bridge are dropped: publishing on loopback
  needs ``route_localnet``, which would otherwise open the host's own services to containers
  (:mod:`.loopback` is the second guard).

IPv6 follows the same rules, but publishing on ::1: the kernel drops the answers to that address
(with br_netfilter, which Docker loads, even where a route leads them to it).  So it is left
untranslated, and the socket that holds the port refuses at once instead of leaving the client to
wait.  Every change is one transaction, so a killed process
leaves the old state or the new one.  The table is shared by all kernels of one engine root; adding
and removing *networks* must be serialised by the caller, ports need no lock.

See nft(8), "Maps", "NAT statements" and "FIB expressions".
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import sys
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal

from jupyter_containers.errors import InvalidArgumentError, NetworkError
from jupyter_containers.lazy_modules import socket
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.network import nf_tables
from jupyter_containers.network.conntrack import forget_flows
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.nft import Nft

__all__ = ["DEFAULT_TABLE", "Firewall"]

DEFAULT_TABLE = "jupyter_containers"

# Increase it when _RULES change: tables of another edition are rewritten at the next start.
_EDITION = 3

_RULES = """
add table ip {table}
delete table ip {table}
add table inet {table}
add set inet {table} edition {{ type mark; }}
add set inet {table} bridges {{ type ifname; }}
add set inet {table} internal {{ type ifname; }}
add set inet {table} within {{ type ifname . ifname; }}
add set inet {table} subnets {{ type ipv4_addr; flags interval; }}
add set inet {table} subnets6 {{ type ipv6_addr; flags interval; }}
add map inet {table} published {{
  type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service;
}}
add map inet {table} published_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
add map inet {table} published6 {{
  type inet_proto . ipv6_addr . inet_service : ipv6_addr . inet_service;
}}
add map inet {table} published6_any {{ type inet_proto . inet_service : ipv6_addr . inet_service; }}
add chain inet {table} guard {{ type filter hook prerouting priority -300; policy accept; }}
add chain inet {table} forward {{ type filter hook forward priority 0; policy accept; }}
add chain inet {table} translate
add chain inet {table} prerouting {{ type nat hook prerouting priority -100; policy accept; }}
add chain inet {table} output {{ type nat hook output priority -100; policy accept; }}
add chain inet {table} postrouting {{ type nat hook postrouting priority 100; policy accept; }}
flush chain inet {table} guard
flush chain inet {table} forward
flush chain inet {table} translate
flush chain inet {table} prerouting
flush chain inet {table} output
flush chain inet {table} postrouting
flush set inet {table} edition
add element inet {table} edition {{ {edition} }}
add rule inet {table} guard iifname @bridges ip daddr 127.0.0.0/8 drop
add rule inet {table} guard iifname @bridges ip saddr 127.0.0.0/8 drop
add rule inet {table} forward iifname . oifname @within accept
add rule inet {table} forward iifname @internal drop
add rule inet {table} forward oifname @internal drop
add rule inet {table} forward ct state established,related accept
add rule inet {table} forward ct status dnat accept
add rule inet {table} forward oifname @bridges drop
add rule inet {table} forward iifname @bridges oifname {{ "docker0", "br-*", "podman*" }} drop
add rule inet {table} translate dnat ip to meta l4proto . ip daddr . th dport map @published
add rule inet {table} translate dnat ip to meta l4proto . th dport map @published_any
add rule inet {table} translate dnat ip6 to meta l4proto . ip6 daddr . th dport map @published6
add rule inet {table} translate dnat ip6 to meta l4proto . th dport map @published6_any
add rule inet {table} prerouting ip daddr 127.0.0.0/8 return
add rule inet {table} prerouting fib daddr type local jump translate
add rule inet {table} output ip6 daddr ::1 return
add rule inet {table} output fib daddr type local jump translate
add rule inet {table} postrouting ip saddr 127.0.0.0/8 oifname @bridges masquerade
add rule inet {table} postrouting ip saddr @subnets oifname @bridges ct status dnat masquerade
add rule inet {table} postrouting ip6 saddr @subnets6 oifname @bridges ct status dnat masquerade
add rule inet {table} postrouting ip saddr @subnets oifname != @bridges oifname != "lo" masquerade
add rule inet {table} postrouting ip6 saddr @subnets6 oifname != @bridges oifname != "lo" masquerade
"""

_ANY = "0.0.0.0"  # noqa: S104  # a key of the firewall's map, nothing binds here
_ANY6 = "::"
_MAPS = ("published", "published_any", "published6", "published6_any")
_WORD = pattern(r"[A-Za-z0-9_.-]{1,64}")
_NUMBERS = {"tcp": socket.IPPROTO_TCP, "udp": socket.IPPROTO_UDP}
_PROTOCOLS: dict[int, Literal["tcp", "udp"]] = {6: "tcp", 17: "udp"}
_ATTEMPTS = 4


class Firewall:
    """The table ``table`` in the calling thread's network namespace; thread-safe."""

    # Whether publishing itself binds the host's ports, so that no reservation may hold them.
    holds_ports = False

    __slots__ = ("_kernel", "_nft", "table")

    def __init__(
        self,
        table: str = DEFAULT_TABLE,
        nft: Nft | None = None,
        kernel: nf_tables.NfTables | None = None,
    ) -> None:
        self.table = _word(table)
        self._nft = nft or Nft()
        self._kernel = kernel or nf_tables.NfTables()

    def ensure_network(self, network: Network) -> bool:
        """Return whether the table or the network had to be set up; idempotent.

        True for an existing network means that the host's rules were flushed; published ports of
        running containers must then be published again.
        """
        if self._is_there(network):
            return False
        script = _RULES.format(table=self.table, edition=_EDITION)
        self._nft.run(script + self._network("add", network))
        return True

    def _is_there(self, network: Network) -> bool:
        with _report_errors("cannot read the packet filter"):
            edition = self._kernel.elements(self.table, "edition")
            if edition is None or int.from_bytes(edition[0].key, sys.byteorder) != _EDITION:
                return False
            if _word(network.interface) not in self._interfaces():
                return False
            if network.internal or not network.masquerade:
                return True
            # A bridge of that name may have had another subnet if its store was deleted by hand.
            start = ipaddress.IPv4Network(network.subnet).network_address.packed
            subnets = self._kernel.elements(self.table, "subnets") or []
            return any(element.key == start for element in subnets)

    def _interfaces(self) -> set[str]:
        """Return the bridges in the table; a network adds its bridge last."""
        found = self._kernel.elements(self.table, "bridges") or []
        return {element.key.rstrip(b"\0").decode() for element in found}

    def remove_network(self, network: Network) -> None:
        """Remove the network from the table, and the table with the last network."""
        with _report_errors("cannot read the packet filter"):
            names = self._interfaces()
        if names <= {network.interface}:
            self._nft.try_run(f"delete table inet {self.table}")
        elif network.interface in names:
            self._nft.try_run(self._network("delete", network))

    def _network(self, verb: str, network: Network) -> str:
        name, subnet = _word(network.interface), ipaddress.IPv4Network(network.subnet)
        wanted = [("bridges", f'"{name}"')]
        if network.containers_talk:
            wanted.append(("within", f'"{name}" . "{name}"'))
        if network.internal:
            wanted.append(("internal", f'"{name}"'))
        elif network.masquerade:
            wanted.append(("subnets", str(subnet)))
            if network.subnet6:
                wanted.append(("subnets6", str(ipaddress.IPv6Network(network.subnet6))))
        return "\n".join(
            f"{verb} element inet {self.table} {set_name} {{ {element} }}"
            for set_name, element in wanted
        )

    def publish(self, container_id: str, ports: Sequence[PublishedPort]) -> None:
        """Lead the ports to the container: all of them, or none if an error is raised.

        The caller holds the ports (see :func:`.ports.reserve`), so an existing element belongs to a
        container that ended while no engine was alive, and is replaced.
        """
        if not ports:
            return
        owner = _word(container_id)
        wanted = [(_map(port), _element(port, owner)) for port in ports]
        for _ in range(_ATTEMPTS):
            with _report_errors("cannot publish"):
                stale = self._change(wanted)
            if not stale:
                forget_flows(ports)
                return
        raise NetworkError("cannot publish: the ports keep changing under another process")

    def _change(self, wanted: Sequence[tuple[str, nf_tables.Element]]) -> bool:
        """Add elements, replacing existing ones; return whether another process interfered."""
        try:
            self._kernel.change(self.table, add=wanted)
            return False
        except OSError as error:
            if error.errno != errno.EEXIST:
                raise
        keys = {(name, element.key) for name, element in wanted}
        stale = [
            (name, element)
            for name, element in self._read_published()
            if (name, element.key) in keys
        ]
        try:
            self._kernel.change(self.table, delete=stale, add=wanted)
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.ENOENT):
                raise
            return True
        return False

    def unpublish(self, container_id: str) -> None:
        """Remove the container's ports; ports that others have taken over are left alone.

        Takes 10-30 ms, as the kernel waits for packets in flight.
        """
        with _report_errors("cannot unpublish"):
            own = [item for item in self._read_published() if item[1].comment == container_id]
            try:
                if own:
                    self._kernel.change(self.table, delete=own)
            except OSError as error:
                if error.errno != errno.ENOENT:
                    raise
                # Another process removes them too: remove the remaining ones one by one.
                for item in own:
                    with contextlib.suppress(FileNotFoundError):
                        self._kernel.change(self.table, delete=[item])
        forget_flows([_port(name, element) for name, element in own])

    def current(self) -> dict[str, tuple[PublishedPort, ...]]:
        """Return the published ports in the table by container ID."""
        found: dict[str, list[PublishedPort]] = {}
        with _report_errors("cannot read the packet filter"):
            for name, element in self._read_published():
                found.setdefault(element.comment, []).append(_port(name, element))
        return {owner: tuple(sorted(ports)) for owner, ports in found.items()}

    def _read_published(self) -> list[tuple[str, nf_tables.Element]]:
        return [
            (name, element)
            for name in _MAPS
            for element in self._kernel.elements(self.table, name) or ()
        ]

    def sweep(self, alive: Iterable[str]) -> tuple[str, ...]:
        """Unpublish ports of containers not among ``alive``; return their IDs."""
        dead = sorted(set(self.current()) - set(alive))
        for container_id in dead:
            self.unpublish(container_id)
        return tuple(dead)


def _map(port: PublishedPort) -> str:
    name = "published6" if ":" in port.host_ip else "published"
    return f"{name}_any" if port.host_ip in (_ANY, _ANY6) else name


def _element(port: PublishedPort, owner: str) -> nf_tables.Element:
    if port.protocol not in _NUMBERS:
        raise InvalidArgumentError(f"cannot publish protocol {port.protocol!r}")
    key = bytes([_NUMBERS[port.protocol], 0, 0, 0])
    if port.host_ip in (_ANY, _ANY6):
        key += nf_tables.port_number(port.host_port)
    else:
        key += nf_tables.address_and_port(port.host_ip, port.host_port)
    value = nf_tables.address_and_port(port.container_ip, port.container_port)
    return nf_tables.Element(key, value, owner)


def _port(name: str, element: nf_tables.Element) -> PublishedPort:
    host_ip = _ANY6 if "6" in name else _ANY
    if not name.endswith("_any"):
        host_ip = str(ipaddress.ip_address(element.key[4:-4]))
    return PublishedPort(
        host_ip=host_ip,
        host_port=int.from_bytes(element.key[-4:-2], "big"),
        container_ip=str(ipaddress.ip_address(element.value[:-4])),
        container_port=int.from_bytes(element.value[-4:-2], "big"),
        protocol=_PROTOCOLS[element.key[0]],
    )


@contextlib.contextmanager
def _report_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        refused = error.errno in (errno.EPERM, errno.EACCES)
        raise NetworkError(
            f"{what}: {error.strerror or error}",
            hint="changing the host's packet filter needs root" if refused else "",
        ) from error


def _word(text: str) -> str:
    # Names become part of nft scripts.
    if not _WORD.fullmatch(text):
        raise InvalidArgumentError(f"invalid name for the packet filter: {text[:80]!r}")
    return text
