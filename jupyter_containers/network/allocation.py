"""Allocation of subnets, addresses, MACs and interface names: pure functions of those in use.

Nothing here reads the host or keeps state.  The caller passes the values in use (from its records
and the host's routes), records the result in the same transaction, and so is the only arbiter.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Collection, Iterable, Iterator

from jupyter_containers.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidArgumentError,
)
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.network.model import Endpoint, Network

__all__ = [
    "addresses",
    "allocate_endpoint",
    "bridge_interface",
    "check_subnet",
    "check_subnet6",
    "choose_address",
    "choose_address6",
    "choose_subnet",
    "choose_subnet6",
    "gateway_of",
    "host_interface",
    "mac_address",
]

PORT_PREFIX = "jcv"
OUR_MACS = "02:6a:"
BRIDGE_PREFIX = "jcb"
_NAME_LENGTH = 15  # IFNAMSIZ without its final zero byte


def choose_subnet(pool: str, used_subnets: Iterable[str], host_routes: Iterable[str]) -> str:
    """Return the first /24 of ``pool`` that overlaps no used subnet and no route of the host.

    A default route (prefix length 0) covers everything and does not count.  Raises
    :class:`ConflictError` if nothing is left.
    """
    network = _network(pool)
    taken = [_network(item) for item in used_subnets]
    taken += [route for item in host_routes if (route := _network(item)).prefixlen > 0]
    candidates = network.subnets(new_prefix=24) if network.prefixlen < 24 else iter([network])
    for candidate in candidates:
        if not any(candidate.overlaps(other) for other in taken):
            return str(candidate)
    raise ConflictError(
        f"no free subnet is left in {pool}",
        hint="remove unused networks, or set subnet_pool to another range",
    )


def check_subnet(subnet: str, used_subnets: Iterable[str], host_routes: Iterable[str]) -> str:
    """Return ``subnet`` in canonical form if a network may have it.

    Raises :class:`InvalidArgumentError` for a bad or too small one and :class:`AlreadyExistsError`
    if it overlaps another network or a route of the host.
    """
    network = _network(subnet)
    if network.prefixlen > 29:
        raise InvalidArgumentError(
            f"subnet {subnet} is too small", hint="a /29 holds five containers, a /24 253"
        )
    for kind, items in (("a network's subnet", used_subnets), ("a route of the host", host_routes)):
        for item in items:
            other = _network(item)
            if other.prefixlen and network.overlaps(other):
                raise AlreadyExistsError(f"subnet {network} overlaps {kind}: {other}")
    return str(network)


def gateway_of(subnet: str) -> str:
    """Return the address of the bridge: the first of the subnet (either family)."""
    return str(ipaddress.ip_network(subnet).network_address + 1)


def choose_subnet6(network_id: str) -> str:
    """Return the unique local /64 derived from a network's ID (RFC 4193)."""
    digest = hashlib.sha256(network_id.encode()).digest()
    return str(ipaddress.IPv6Network((b"\xfd" + digest[:7] + bytes(8), 64)))


def check_subnet6(subnet: str, used_subnets: Iterable[str], host_routes: Iterable[str]) -> str:
    """Return an IPv6 ``subnet`` in canonical form if a network may have it.

    Errors as :func:`check_subnet`.
    """
    try:
        network = ipaddress.IPv6Network(subnet)
    except ValueError as error:
        raise InvalidArgumentError(
            f"invalid subnet: {subnet!r}", hint="write an IPv6 range such as fd00:90::/64"
        ) from error
    if network.prefixlen > 120:
        raise InvalidArgumentError(f"subnet {subnet} is too small", hint="write a /64")
    for kind, items in (("a network's subnet", used_subnets), ("a route of the host", host_routes)):
        for other in (ipaddress.IPv6Network(item) for item in items if item):
            if other.prefixlen and network.overlaps(other):
                raise AlreadyExistsError(f"subnet {network} overlaps {kind}: {other}")
    return str(network)


def addresses(
    subnet: str, gateway: str, used: Collection[str] = (), after: str = ""
) -> Iterator[str]:
    """Yield the free addresses of ``subnet``, starting after ``after`` and wrapping around once.

    If ``after`` is the address allocated last, an address is reused as late as possible: neighbours
    may still remember its former owner.
    """
    network = _network(subnet)
    size = network.num_addresses
    base = int(network.network_address)
    start = int(ipaddress.IPv4Address(after)) - base if after else 0
    if not 0 <= start < size:
        start = 0
    taken = {*used, gateway}
    for step in range(1, size + 1):
        offset = (start + step) % size
        address = str(ipaddress.IPv4Address(base + offset))
        if 0 < offset < size - 1 and address not in taken:
            yield address


def choose_address(
    network: Network, used: Collection[str], after: str = "", wanted: str = ""
) -> str:
    """Return a free address of the network, or ``wanted`` if it is free.

    Raises :class:`InvalidArgumentError` (outside the subnet), :class:`AlreadyExistsError` (taken)
    or :class:`ConflictError` (none left).
    """
    if not wanted:
        taken = {*used, network.gateway, *network.reserved.values()}
        pool = ipaddress.IPv4Network(network.ip_range or network.subnet)
        free = addresses(network.subnet, network.gateway, taken, after)
        found = next((item for item in free if ipaddress.IPv4Address(item) in pool), None)
        if found is None:
            raise ConflictError(
                f"no free address is left in network {network.name} ({network.subnet})",
                hint="remove containers, or create a network with a larger subnet",
            )
        return found
    subnet = _network(network.subnet)
    try:
        address = ipaddress.IPv4Address(wanted)
    except ValueError as error:
        raise InvalidArgumentError(f"invalid address: {wanted!r}") from error
    if address not in subnet or address in (subnet.network_address, subnet.broadcast_address):
        raise InvalidArgumentError(
            f"address {wanted} is not one of network {network.name}'s {subnet}"
        )
    if str(address) in {*used, network.gateway}:
        raise AlreadyExistsError(f"address {wanted} is in use in network {network.name}")
    return str(address)


def choose_address6(network: Network, address: str, used: Collection[str], wanted: str = "") -> str:
    """Return a free IPv6 address of the network, or ``wanted`` if it is free.

    It has the same number as ``address`` in the IPv4 subnet, or the next free one, counted from the
    beginning of the network's IPv6 range.
    """
    subnet = ipaddress.IPv6Network(network.subnet6)
    taken = {*used, network.gateway6, *network.reserved.values()}
    if wanted:
        found = ipaddress.IPv6Address(wanted)
        if found not in subnet:
            raise InvalidArgumentError(
                f"address {wanted} is not one of network {network.name}'s {subnet}"
            )
        if str(found) in taken:
            raise AlreadyExistsError(f"address {wanted} is in use in network {network.name}")
        return str(found)
    start = int(ipaddress.IPv4Address(address)) - int(_network(network.subnet).network_address)
    pool = ipaddress.IPv6Network(network.ip_range6 or network.subnet6)
    for offset in range(start, start + len(taken) + 1):
        candidate = str(pool.network_address + offset % max(pool.num_addresses - 1, 1))
        if candidate not in taken:
            return candidate
    raise ConflictError(f"no free IPv6 address is left in network {network.name} ({subnet})")


def allocate_endpoint(
    network: Network,
    container_id: str,
    used: Collection[str],
    *,
    after: str = "",
    wanted: str = "",
    wanted6: str = "",
    mac: str = "",
    aliases: Iterable[str] = (),
    interface: str = "eth0",
) -> Endpoint:
    """Return the endpoint of a container in a network, ready to be recorded and attached.

    ``used`` are the addresses (both families) of the network's other endpoints; errors as
    :func:`choose_address`.
    """
    address = choose_address(network, used, after, wanted)
    if wanted6 and not network.subnet6:
        raise InvalidArgumentError(
            f"network {network.name} has no IPv6", hint="create it with --ipv6"
        )
    address6 = choose_address6(network, address, used, wanted6) if network.subnet6 else ""
    return Endpoint(
        network_id=network.id,
        container_id=container_id,
        address=address,
        prefix_len=_network(network.subnet).prefixlen,
        gateway="" if network.internal else network.gateway,
        address6=address6,
        prefix_len6=ipaddress.IPv6Network(network.subnet6).prefixlen if address6 else 0,
        gateway6="" if network.internal or not address6 else network.gateway6,
        mac=mac.lower().replace("-", ":") or mac_address(address),
        host_interface=host_interface(container_id, network.id),
        interface=interface,
        aliases=tuple(aliases),
    )


def mac_address(address: str) -> str:
    """Return the MAC for an IPv4 address: 02:6a, then its four bytes.

    Bit 1 of the first byte marks it as locally administered.  Because the MAC derives from the
    address, a neighbour table entry of an earlier owner of the address is never wrong.
    """
    return OUR_MACS + ":".join(f"{byte:02x}" for byte in ipaddress.IPv4Address(address).packed)


def host_interface(container_id: str, network_id: str) -> str:
    """Return the name of a container's port in a network's bridge, 15 characters."""
    return _name(PORT_PREFIX, f"{container_id}/{network_id}")


def bridge_interface(network_id: str) -> str:
    """Return the name of a network's bridge, 15 characters."""
    return _name(BRIDGE_PREFIX, network_id)


def _name(prefix: str, key: str) -> str:
    # A hash, because IDs may differ only in characters that do not fit.
    digest = hashlib.sha256(key.encode()).hexdigest()
    return (prefix + digest)[:_NAME_LENGTH]


def _network(text: str) -> ipaddress.IPv4Network:
    try:
        # An address alone would be a range of one.
        return ipaddress.IPv4Network(text if "/" in text else "")
    except ValueError as error:
        raise InvalidArgumentError(
            f"invalid subnet: {text!r}", hint="write an IPv4 range such as 10.90.1.0/24"
        ) from error
