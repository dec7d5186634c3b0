"""Bridges, and the veth pairs that connect containers to them.

Lifecycle: ``ensure_bridge`` (before every start; nearly free if all is in place) → ``attach`` (a
veth pair whose container end is created inside the namespace) → the container ends, its namespace
vanishes, and the kernel removes the pair → ``remove_bridge`` (with the network).  ``detach`` is for
a container that keeps running without the network.

A bridge is configured while it is down and brought up last: a bridge that is up is complete,
whichever process made it.  All work happens in the namespace of the calling thread.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import time
from collections.abc import Collection, Iterable, Iterator

from jupyter_containers.errors import (
    AlreadyExistsError,
    InUseError,
    NetworkError,
    UnsupportedError,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import socket
from jupyter_containers.network import links, loopback
from jupyter_containers.network.allocation import BRIDGE_PREFIX, OUR_MACS, PORT_PREFIX, mac_address
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.forward_policy import ForwardPolicy
from jupyter_containers.network.model import Endpoint, Network
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.netlink import NetlinkSocket, Request
from jupyter_containers.network.packet_filter import PacketFilter
from jupyter_containers.network.sysctl import leads_to_loopback, read_sysctl, write_sysctl

__all__ = ["BridgeDriver", "BridgeStatus"]

_DEFAULT_MTU = 1500
_ATTEMPTS = 20
_CARRIER_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class BridgeStatus:
    """The result of :meth:`BridgeDriver.ensure_bridge`.

    ``changed`` lists, for people, the changes to the host beyond the engine's own bridge and table;
    ``rules_written`` means that the firewall did not know the network (see there).
    """

    created: bool
    rules_written: bool
    changed: tuple[str, ...] = ()


class BridgeDriver:
    """Creates and removes bridges and their ports; stateless, thread-safe."""

    __slots__ = ("_firewall", "_forward_policy")

    def __init__(
        self, firewall: PacketFilter | None = None, forward_policy: ForwardPolicy | None = None
    ) -> None:
        self._firewall = firewall or Firewall()
        self._forward_policy = forward_policy or ForwardPolicy()

    def ensure_bridge(self, network: Network) -> BridgeStatus:
        """Bring up the network's bridge with gateway address and rules; idempotent, race-safe.

        Raises :class:`AlreadyExistsError` if the interface name belongs to another object and
        :class:`NetworkError` if the kernel refuses.
        """
        with _report_errors(f"cannot set up bridge {network.interface}"), NetlinkSocket() as route:
            link = links.get_link(route, network.interface)
            if link is not None and _is_orphan(route, link, network):
                route.send(links.delete_link(link.name))
                link = None
            created = link is None or not link.up
            if created:
                link = self._create(route, network)
            assert link is not None
            if link.kind != "bridge":
                raise AlreadyExistsError(
                    f"interface {network.interface} exists and is not a bridge",
                    hint="set bridge_name to another name",
                )
            # The MAC derives from the gateway, so it identifies the bridge's network.
            if link.mac != mac_address(network.gateway):
                raise AlreadyExistsError(
                    f"bridge {network.interface} belongs to something other than {network.subnet}",
                    hint="set bridge_name to another name",
                )
        rules = self._firewall.ensure_network(network)
        if leads_to_loopback(network.interface):
            self.settle_loopback((network,))
        return BridgeStatus(created, rules, () if network.internal else self._open_host(network))

    def _open_host(self, network: Network) -> tuple[str, ...]:
        # Only after the rules are in place: from here on the host forwards packets.
        changed = []
        with _report_errors("cannot turn on net.ipv4.ip_forward"):
            if write_sysctl("ipv4/ip_forward", "1"):
                changed.append("net.ipv4.ip_forward = 1 (the host forwards packets)")
        if network.subnet6:
            changed += _forward_ipv6()
        if self._forward_policy.admit(network.interface):
            changed.append(f"the host's packet filter lets {network.interface} through")
        return tuple(changed)

    def _create(self, route: NetlinkSocket, network: Network) -> links.Link:
        name, subnet = network.interface, ipaddress.IPv4Network(network.subnet)
        for text in filter(None, (network.subnet, network.subnet6)):
            _check_overlap(route, name, ipaddress.ip_network(text))
        try:
            route.send(links.add_bridge(name, mac_address(network.gateway)))
        except OSError as error:
            # Another process is making the same bridge: do the rest too, all of it is idempotent.
            if error.errno != errno.EEXIST:
                raise
        link = links.get_link(route, name)
        if link is None or link.kind != "bridge":
            return link or _raise_vanished(name)
        if not network.subnet6:
            with contextlib.suppress(FileNotFoundError):  # a kernel without IPv6
                write_sysctl(f"ipv6/conf/{name}/disable_ipv6", "1")
        broadcast = str(subnet.broadcast_address)
        requests = [links.add_address(link.index, network.gateway, subnet.prefixlen, broadcast)]
        if network.subnet6:
            _enable_ipv6(name)
            prefix = ipaddress.IPv6Network(network.subnet6).prefixlen
            requests.append(links.add_address(link.index, network.gateway6, prefix))
        mtu = links.set_mtu(link.index, network.mtu)
        route.send(*requests, mtu, links.set_up(link.index))
        return links.get_link(route, name) or _raise_vanished(name)

    def attach(
        self,
        namespace: NetworkNamespace,
        endpoint: Endpoint,
        network: Network,
        *,
        default_route: bool = True,
    ) -> None:
        """Create the endpoint's interface in ``namespace``, with addresses and default route.

        The bridge must exist (:meth:`ensure_bridge`).  Raises :class:`NetworkError`; then the
        namespace has no such interface.
        """
        what = f"cannot attach a container to {network.interface}"
        with _report_errors(what), NetlinkSocket() as route:
            bridge = links.get_link(route, network.interface)
            if bridge is None:
                raise NetworkError(f"the bridge {network.interface} does not exist")
            self._add_pair(route, namespace, endpoint, bridge, network.mtu)
            try:
                port = links.get_link(route, endpoint.host_interface)
                if port is not None:
                    isolated = not network.containers_talk and not _filters_bridged()
                    hairpin = links.set_hairpin(port.index, isolated=isolated)
                    route.send(hairpin, *loopback.guard(port.index))
                namespace.run(lambda: _configure(endpoint, default_route))
                _await_carrier(route, endpoint.host_interface, network.interface)
            except BaseException:
                self.detach(endpoint.host_interface)
                raise

    def _add_pair(
        self,
        route: NetlinkSocket,
        namespace: NetworkNamespace,
        endpoint: Endpoint,
        bridge: links.Link,
        mtu: int,
    ) -> None:
        request = links.add_veth(
            endpoint.host_interface,
            bridge.index,
            mtu,
            peer_name=endpoint.interface,
            peer_mac=endpoint.mac,
            namespace=namespace.fd,
        )
        absent = 0
        for _ in range(_ATTEMPTS):
            try:
                route.send(request)
                return
            except OSError as error:
                if error.errno != errno.EEXIST:
                    raise
            # Either the container was started before and the kernel is still removing its former
            # pair, or the namespace already has an interface of that name.  A second look tells
            # them apart, since the former pair may vanish right after the refusal.
            if links.get_link(route, endpoint.host_interface) is not None:
                route.send(links.delete_link(endpoint.host_interface))
            elif (absent := absent + 1) > 1:
                break
        raise NetworkError(f"the container already has an interface {endpoint.interface}")

    def detach(self, host_interface: str) -> None:
        """Remove the pair from the bridge and the container; idempotent.

        Takes 20-40 ms, as the kernel waits for packets in flight; not needed for a container
        that has ended.
        """
        with _report_errors(f"cannot remove {host_interface}"), NetlinkSocket() as route:
            route.send(links.delete_link(host_interface))

    def route(
        self, namespace: NetworkNamespace, former: Endpoint | None, endpoint: Endpoint | None
    ) -> None:
        """Set the default route through ``endpoint`` (None for no route), replacing ``former``."""
        with _report_errors("cannot set the default route"):
            namespace.run(lambda: _route(former, endpoint))

    def remove_bridge(self, network: Network, *, with_ports: bool = False) -> None:
        """Remove the bridge and its rules; idempotent.

        Raises :class:`InUseError` while the bridge has ports, unless ``with_ports`` removes them
        too.
        """
        with _report_errors(f"cannot remove bridge {network.interface}"), NetlinkSocket() as route:
            bridge = links.get_link(route, network.interface)
            if bridge is not None and bridge.kind == "bridge":
                ports = [link for link in links.get_links(route) if link.master == bridge.index]
                for port in ports if with_ports else ():
                    route.send(links.delete_link(port.name))
                if ports and not with_ports:
                    raise InUseError(
                        f"network {network.name} is in use by {len(ports)} running container(s)",
                        hint="stop them or disconnect them first",
                    )
                route.send(links.delete_link(network.interface))
        self._firewall.remove_network(network)
        self._forward_policy.withdraw(network.interface)

    def settle_loopback(self, networks: Iterable[Network]) -> None:
        """Let bridges route from the host's loopback while a port there needs it, and no longer.

        Call it after publishing or unpublishing ports, and after a dead process left some.
        """
        with _report_errors("cannot set route_localnet"):
            loopback.settle(
                networks,
                lambda: [port for owned in self._firewall.current().values() for port in owned],
            )

    def host_routes(self) -> tuple[str, ...]:
        """Return the destinations of the host's IPv4 routes, for choosing a subnet."""
        with _report_errors("cannot read the host's routes"), NetlinkSocket() as route:
            return tuple(sorted({entry.destination for entry in links.get_routes(route)}))

    def host_routes6(self) -> tuple[str, ...]:
        """Return the destinations of the host's IPv6 routes."""
        with _report_errors("cannot read the host's routes"), NetlinkSocket() as route:
            entries = links.get_routes(route, socket.AF_INET6)
        return tuple(sorted({entry.destination for entry in entries}))

    def uplink_mtu(self) -> int:
        """Return the MTU of the interface of the default route, 1500 if there is none."""
        with _report_errors("cannot read the host's routes"), NetlinkSocket() as route:
            indexes = {
                entry.index for entry in links.get_routes(route) if entry.destination == "0.0.0.0/0"
            }
            mtus = [link.mtu for link in links.get_links(route) if link.index in indexes]
        return min(mtus, default=_DEFAULT_MTU)

    def leftovers(self, known: Collection[str]) -> tuple[str, ...]:
        """Return interfaces with names of the engine's scheme that no record knows.

        Another engine root's interfaces look the same: remove only those of your own root.
        """
        with _report_errors("cannot list interfaces"), NetlinkSocket() as route:
            found = links.get_links(route)
        return tuple(
            link.name
            for link in found
            if link.name.startswith((BRIDGE_PREFIX, PORT_PREFIX)) and link.name not in known
        )


def _configure(endpoint: Endpoint, default_route: bool) -> None:
    index = socket.if_nametoindex(endpoint.interface)
    subnet = ipaddress.IPv4Interface(f"{endpoint.address}/{endpoint.prefix_len}").network
    requests = [
        links.set_up(index),
        links.add_address(
            index, endpoint.address, endpoint.prefix_len, str(subnet.broadcast_address)
        ),
    ]
    local6 = [text for text in endpoint.link_local if ":" in text]
    if endpoint.address6 or local6:
        _enable_ipv6(endpoint.interface)
    if endpoint.address6:
        requests.append(links.add_address(index, endpoint.address6, endpoint.prefix_len6))
    requests += [
        links.add_address(index, text, 64 if text in local6 else 16) for text in endpoint.link_local
    ]
    if default_route:
        requests += _default_routes(endpoint, index)
    with NetlinkSocket() as route:
        route.send(*requests)


def _default_routes(endpoint: Endpoint, index: int) -> list[Request]:
    gateways = (endpoint.gateway, endpoint.gateway6)
    return [links.set_default_route(index, gateway) for gateway in gateways if gateway]


def _route(former: Endpoint | None, endpoint: Endpoint | None) -> None:
    requests: list[Request] = []
    if endpoint is not None:
        requests += _default_routes(endpoint, socket.if_nametoindex(endpoint.interface))
    if former is not None:
        kept = (endpoint.gateway, endpoint.gateway6) if endpoint else ()
        for gateway in (former.gateway, former.gateway6):
            # Setting a route already replaced the former one, if both have the family.
            if gateway and gateway not in kept:
                requests.append(links.delete_default_route(gateway))
    with NetlinkSocket() as route:
        route.send(*requests)


def _filters_bridged() -> bool:
    """Return whether the packet filter sees packets within a bridge (br_netfilter).

    It then enforces isolation.  An isolated port would also drop packets to a published port,
    because they are translated before the bridge looks up their destination.
    """
    try:
        return read_sysctl("bridge/bridge-nf-call-iptables") == "1"
    except OSError:
        return False


def _enable_ipv6(interface: str) -> None:
    """Allow an interface the IPv6 addresses assigned to it, and none announced by neighbours.

    Its link-local address is usable at once too.  While the kernel checks for duplicates, for up to
    two seconds, the host has no address from which to solicit the first containers of a bridge, and
    drops packets to them from elsewhere.
    """
    try:
        write_sysctl(f"ipv6/conf/{interface}/accept_ra", "0")
        write_sysctl(f"ipv6/conf/{interface}/accept_dad", "0")
        write_sysctl(f"ipv6/conf/{interface}/disable_ipv6", "0")
    except FileNotFoundError as error:
        raise UnsupportedError(
            "this kernel has no IPv6",
            capability="IPv6",
            provided_by="a kernel that was booted with IPv6; or a network without --ipv6",
        ) from error


def _forward_ipv6() -> list[str]:
    if read_sysctl("ipv6/conf/all/forwarding") == "1":
        return []
    # A forwarding host ignores its router's advertisements unless configured otherwise.
    with NetlinkSocket() as route:
        default = {
            entry.index
            for entry in links.get_routes(route, socket.AF_INET6)
            if entry.destination == "::/0"
        }
        uplinks = [link.name for link in links.get_links(route) if link.index in default]
    for name in uplinks:
        with contextlib.suppress(OSError):
            if read_sysctl(f"ipv6/conf/{name}/accept_ra") == "1":
                write_sysctl(f"ipv6/conf/{name}/accept_ra", "2")
    with _report_errors("cannot turn on net.ipv6.conf.all.forwarding"):
        write_sysctl("ipv6/conf/all/forwarding", "1")
    return ["net.ipv6.conf.all.forwarding = 1 (the host forwards IPv6 packets)"]


def _await_carrier(route: NetlinkSocket, *names: str) -> None:
    """Wait until packets pass the links, but only for a short time.

    The kernel notices in a separate work queue that a peer came up.  A packet sent before that is
    lost and repeated after a whole second, observed for 1 in 80 first containers of a bridge.
    """
    deadline = time.monotonic() + _CARRIER_SECONDS
    for name in names:
        while time.monotonic() < deadline:
            link = links.get_link(route, name)
            if link is None or link.operational:
                break
            time.sleep(0.0005)


def _check_overlap(
    route: NetlinkSocket, name: str, subnet: ipaddress.IPv4Network | ipaddress.IPv6Network
) -> None:
    """Raise :class:`AlreadyExistsError` if the host now has a route into the subnet.

    Its networks may have changed since the subnet was chosen (a VPN came up): two equal routes
    would send packets of either side into the other.
    """
    # The routes are read first: the bridge of another process that is making it just now is then
    # seen as the owner of its route.
    entries = links.get_routes(route, socket.AF_INET if subnet.version == 4 else socket.AF_INET6)
    own = links.get_link(route, name)
    for entry in entries:
        other = ipaddress.ip_network(entry.destination)
        foreign = own is None or entry.index != own.index
        if other.prefixlen and foreign and other.overlaps(subnet):
            raise AlreadyExistsError(
                f"subnet {subnet} of {name} overlaps a route of the host: {other}",
                hint="create a network with another subnet"
                + (", or set subnet_pool" if subnet.version == 4 else ""),
            )


def _is_orphan(route: NetlinkSocket, link: links.Link, network: Network) -> bool:
    """Return whether a bridge of the engine has no ports and a subnet other than the network's.

    Such a bridge remains when the store that made it was deleted by hand.
    """
    ours = link.kind == "bridge" and link.mac.startswith(OUR_MACS)
    if not ours or link.mac == mac_address(network.gateway):
        return False
    return all(other.master != link.index for other in links.get_links(route))


def _raise_vanished(name: str) -> links.Link:
    raise NetworkError(f"the bridge {name} was removed while it was being set up")


@contextlib.contextmanager
def _report_errors(what: str) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        hint = {
            errno.EPERM: "networks need root, or a host that lets users make namespaces:"
            " jupyter container doctor says what is missing",
            errno.EROFS: "/proc/sys is read-only here, as in an unprivileged container",
        }.get(error.errno or 0, "")
        raise NetworkError(f"{what}: {error.strerror or error}", hint=hint) from error
