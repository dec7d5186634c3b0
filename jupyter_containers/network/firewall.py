"""One nftables table of ours: who may talk to whom, NAT, and published ports.

What the table does, for the bridges and subnets in its sets:

* *masquerade*: packets of a network that leave by another interface get the host's address.
* *published ports* are elements of two maps, one keyed by protocol, address and port, one by
  protocol and port (every local address).  Adding or removing one is one element, not a rule.
  Packets from outside meet the maps in prerouting, the host's own in output; loopback is only
  translated in output, so that 127.0.0.1 is never reachable from another machine.
* *hairpin*: a container that calls a published port, even its own, gets the answer by the host.
* *isolation*: a bridge accepts new connections from itself, from the host, and to published ports;
  nothing else, so networks do not reach each other.  An internal network has no way out or in.
  Packets for 127.0.0.0/8 that arrive by a bridge are dropped: publishing on loopback
  needs ``route_localnet``, which would otherwise open the host's own services to containers.

The table is IPv4; bridges have no IPv6.  Every change is one transaction, so a killed process
leaves the old state or the new one.  The table is shared by all kernels of one engine root; adding
and removing *networks* must be serialised by the caller, ports need no lock.

See nft(8), "Maps", "NAT statements" and "FIB expressions".
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Sequence

from jupyter_containers.errors import InvalidArgumentError, NetworkError
from jupyter_containers.network.conntrack import forget_flows
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.nft import Nft, NftError

__all__ = ["DEFAULT_TABLE", "Firewall"]

DEFAULT_TABLE = "jupyter_containers"

# To be raised when _RULES change: tables of another edition are rewritten at the next start.
_EDITION = "edition-1"

_RULES = """
add table ip {table}
add set ip {table} edition {{ type ifname; }}
add set ip {table} bridges {{ type ifname; }}
add set ip {table} internal {{ type ifname; }}
add set ip {table} within {{ type ifname . ifname; }}
add set ip {table} subnets {{ type ipv4_addr; flags interval; }}
add map ip {table} published {{
  type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service;
}}
add map ip {table} published_any {{ type inet_proto . inet_service : ipv4_addr . inet_service; }}
add chain ip {table} guard {{ type filter hook prerouting priority -300; policy accept; }}
add chain ip {table} forward {{ type filter hook forward priority 0; policy accept; }}
add chain ip {table} translate
add chain ip {table} prerouting {{ type nat hook prerouting priority -100; policy accept; }}
add chain ip {table} output {{ type nat hook output priority -100; policy accept; }}
add chain ip {table} postrouting {{ type nat hook postrouting priority 100; policy accept; }}
flush chain ip {table} guard
flush chain ip {table} forward
flush chain ip {table} translate
flush chain ip {table} prerouting
flush chain ip {table} output
flush chain ip {table} postrouting
flush set ip {table} edition
add element ip {table} edition {{ "{edition}" }}
add rule ip {table} guard iifname @bridges ip daddr 127.0.0.0/8 drop
add rule ip {table} guard iifname @bridges ip saddr 127.0.0.0/8 drop
add rule ip {table} forward iifname . oifname @within accept
add rule ip {table} forward iifname @internal drop
add rule ip {table} forward oifname @internal drop
add rule ip {table} forward ct state established,related accept
add rule ip {table} forward ct status dnat accept
add rule ip {table} forward oifname @bridges drop
add rule ip {table} forward iifname @bridges oifname {{ "docker0", "br-*", "podman*" }} drop
add rule ip {table} translate dnat ip to meta l4proto . ip daddr . th dport map @published
add rule ip {table} translate dnat ip to meta l4proto . th dport map @published_any
add rule ip {table} prerouting ip daddr 127.0.0.0/8 return
add rule ip {table} prerouting fib daddr type local jump translate
add rule ip {table} output fib daddr type local jump translate
add rule ip {table} postrouting ip saddr 127.0.0.0/8 oifname @bridges masquerade
add rule ip {table} postrouting ip saddr @subnets oifname @bridges ct status dnat masquerade
add rule ip {table} postrouting ip saddr @subnets oifname != @bridges oifname != "lo" masquerade
"""

_ANY = "0.0.0.0"  # noqa: S104  # a key of the firewall's map, nothing binds here
_WORD = re.compile(r"[A-Za-z0-9_.-]{1,64}")
_ELEMENT = re.compile(
    r"(tcp|udp) \. (?:([0-9.]+) \. )?(\d+)(?: comment \"([^\"]*)\")? : ([0-9.]+) \. (\d+)"
)
_BRIDGES = re.compile(r"elements = \{([^}]*)\}")


class Firewall:
    """The table ``table`` of the namespace that the calling thread is in; thread-safe."""

    __slots__ = ("_nft", "table")

    def __init__(self, table: str = DEFAULT_TABLE, nft: Nft | None = None) -> None:
        self.table = _word(table)
        self._nft = nft or Nft()

    def ensure_network(self, network: Network) -> bool:
        """Return True when the table or the network had to be set up; idempotent.

        True for a network that was there before means that somebody flushed the rules of the
        host; published ports of running containers are then to be published again.
        """
        name = _word(network.interface)
        check = f'get element ip {self.table} edition {{ "{_EDITION}" }}\n'
        check += f'get element ip {self.table} within {{ "{name}" . "{name}" }}\n'
        if not network.internal:
            check += f"get element ip {self.table} subnets {{ {network.gateway} }}\n"
        if self._nft.try_run(check) is not None:
            return False
        script = _RULES.format(table=self.table, edition=_EDITION)
        self._nft.run(script + self._network("add", network))
        return True

    def remove_network(self, network: Network) -> None:
        """The network is unknown to the table; with the last one the table is gone."""
        listing = self._nft.try_run(f"list set ip {self.table} bridges")
        if listing is None:
            return
        match = _BRIDGES.search(listing)
        names = {name.strip().strip('"') for name in match[1].split(",")} if match else set()
        if names <= {network.interface}:
            self._nft.try_run(f"delete table ip {self.table}")
        elif network.interface in names:
            self._nft.try_run(self._network("delete", network))

    def _network(self, verb: str, network: Network) -> str:
        name, subnet = _word(network.interface), ipaddress.IPv4Network(network.subnet)
        elements = [("bridges", f'"{name}"'), ("within", f'"{name}" . "{name}"')]
        elements.append(("internal", f'"{name}"') if network.internal else ("subnets", str(subnet)))
        return "\n".join(
            f"{verb} element ip {self.table} {set_name} {{ {element} }}"
            for set_name, element in elements
        )

    def publish(self, container_id: str, ports: Sequence[PublishedPort]) -> None:
        """The ports lead to the container: all of them, or none when an error is raised.

        The caller holds the ports (see :func:`.ports.reserve`), so an element that is already
        there was left by a container that ended while no engine was alive, and is replaced.
        """
        if not ports:
            return
        self._publish([self._element("create", port, container_id) for port in ports], ports)
        forget_flows(ports)

    def _publish(self, commands: Sequence[str], ports: Sequence[PublishedPort]) -> None:
        for _ in range(3):
            try:
                self._nft.run("\n".join(commands))
                return
            except NftError as error:
                if not error.exists:
                    raise
            wanted = {_key(port) for port in ports}
            stale = [port for owned in self.current().values() for port in owned]
            removals = [self._element("delete", port) for port in stale if _key(port) in wanted]
            try:
                self._nft.run("\n".join([*removals, *commands]))
                return
            except NftError as error:
                # Another process removed the stale element in between: look again.
                if not (error.missing or error.exists):
                    raise
        raise NetworkError("cannot publish: the ports keep changing under another process")

    def unpublish(self, container_id: str) -> None:
        """No port leads to the container; ports that others took over are left alone.

        Takes 10-30 ms, as the kernel waits for packets in flight.
        """
        ports = self.current().get(container_id, ())
        removals = [self._element("delete", port) for port in ports]
        if removals and self._nft.try_run("\n".join(removals)) is None:
            # Another process removes them too: whatever is still there goes one by one.
            for removal in removals:
                self._nft.try_run(removal)
        forget_flows(ports)

    def current(self) -> dict[str, tuple[PublishedPort, ...]]:
        """Return the published ports in the table by container id."""
        found: dict[str, list[PublishedPort]] = {}
        for name in ("published", "published_any"):
            listing = self._nft.try_run(f"list map ip {self.table} {name}") or ""
            for protocol, host_ip, host_port, owner, address, port in _ELEMENT.findall(listing):
                entry = PublishedPort(
                    host_ip=host_ip or _ANY,
                    host_port=int(host_port),
                    container_ip=address,
                    container_port=int(port),
                    protocol=protocol,
                )
                found.setdefault(owner, []).append(entry)
        return {owner: tuple(sorted(ports)) for owner, ports in found.items()}

    def sweep(self, alive: Iterable[str]) -> tuple[str, ...]:
        """Return the container ids, not among ``alive``, whose ports were still published."""
        dead = sorted(set(self.current()) - set(alive))
        for container_id in dead:
            self.unpublish(container_id)
        return tuple(dead)

    def _element(self, verb: str, port: PublishedPort, owner: str = "") -> str:
        protocol, host_ip, host_port = _key(port)
        key = f"{protocol} . {host_port}" if host_ip == _ANY else " . ".join(map(str, _key(port)))
        name = "published_any" if host_ip == _ANY else "published"
        target = f"{ipaddress.IPv4Address(port.container_ip)} . {int(port.container_port)}"
        value = f' comment "{_word(owner)}" : {target}' if owner else ""
        return f"{verb} element ip {self.table} {name} {{ {key}{value} }}"


def _key(port: PublishedPort) -> tuple[str, str, int]:
    if port.protocol not in ("tcp", "udp"):
        raise InvalidArgumentError(f"cannot publish protocol {port.protocol!r}")
    return port.protocol, str(ipaddress.IPv4Address(port.host_ip)), int(port.host_port)


def _word(text: str) -> str:
    # Names become part of nft scripts.
    if not _WORD.fullmatch(text):
        raise InvalidArgumentError(f"invalid name for the packet filter: {text[:80]!r}")
    return text
