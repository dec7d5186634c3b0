"""Links (network interfaces), addresses and routes: requests to rtnetlink and its responses.

Builders return a :class:`Request` and do no I/O, so that several can be sent together; queries take
an open :class:`NetlinkSocket`.  Everything concerns that socket's network namespace.

Numbers are those of linux/if_link.h, linux/if_addr.h and linux/rtnetlink.h.
"""

from __future__ import annotations

import errno
import struct

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import socket
from jupyter_containers.network.netlink import (
    NLA_F_NESTED,
    NLM_F_CREATE,
    NLM_F_DUMP,
    NLM_F_EXCL,
    NLM_F_REPLACE,
    NetlinkSocket,
    Request,
    attribute,
    attributes,
    text,
)

__all__ = ["Link", "Route"]

_RTM_NEWLINK, _RTM_DELLINK, _RTM_GETLINK, _RTM_SETLINK = 16, 17, 18, 19
_RTM_NEWADDR, _RTM_NEWROUTE, _RTM_DELROUTE, _RTM_GETROUTE = 20, 24, 25, 26
_IFLA_ADDRESS, _IFLA_IFNAME, _IFLA_MTU, _IFLA_MASTER = 1, 3, 4, 10
_IFLA_PROTINFO, _IFLA_LINKINFO, _IFLA_NET_NS_FD = 12, 18, 28
_IFLA_INFO_KIND, _IFLA_INFO_DATA, _VETH_INFO_PEER, _IFLA_BRPORT_MODE = 1, 2, 1, 4
_IFLA_BRPORT_ISOLATED = 33
_IFA_ADDRESS, _IFA_LOCAL, _IFA_BROADCAST, _IFA_F_NODAD = 1, 2, 4, 2
_RTA_DST, _RTA_OIF, _RTA_GATEWAY = 1, 4, 5
_TABLE_MAIN, _TABLE_LOCAL, _PROTOCOL_STATIC, _TYPE_UNICAST = 254, 255, 4, 1
_IFLA_OPERSTATE, _OPERATIONAL = 16, b"\6"  # IF_OPER_UP of RFC 2863
_IFF_UP = 0x1

_LINK = struct.Struct("=BxHiII")
_ADDRESS = struct.Struct("=BBBBI")
_ROUTE = struct.Struct("=BBBBBBBBI")


@dataclass(frozen=True, slots=True)
class Link:
    """A network interface; ``master`` is the index of its bridge or 0, ``kind`` may be empty.

    ``up`` is the requested state; ``operational`` is True once packets really pass.
    """

    index: int
    name: str
    mac: str
    kind: str
    up: bool
    mtu: int
    master: int
    operational: bool


@dataclass(frozen=True, slots=True)
class Route:
    """A route: the destination as CIDR (``0.0.0.0/0`` is the default) and its link."""

    destination: str
    index: int


def get_link(route: NetlinkSocket, name: str) -> Link | None:
    """Return the interface of that name, or None."""
    body = _header() + attribute(_IFLA_IFNAME, text(name))
    try:
        return _link(route.send(Request(_RTM_GETLINK, 0, body))[0])
    except OSError as error:
        if error.errno == errno.ENODEV:
            return None
        raise


def get_links(route: NetlinkSocket) -> list[Link]:
    """Return all interfaces of the namespace."""
    return [_link(item) for item in route.send(Request(_RTM_GETLINK, NLM_F_DUMP, _header()))]


def get_routes(route: NetlinkSocket, family: int = socket.AF_INET) -> list[Route]:
    """Return the routes of all tables except the kernel's own table of local addresses."""
    body = _ROUTE.pack(family, 0, 0, 0, 0, 0, 0, 0, 0)
    found = []
    for item in route.send(Request(_RTM_GETROUTE, NLM_F_DUMP, body)):
        _, prefix, _, _, table, _, _, kind, _ = _ROUTE.unpack_from(item)
        values = attributes(item[_ROUTE.size :])
        if table != _TABLE_LOCAL and kind == _TYPE_UNICAST:
            size = 16 if family == socket.AF_INET6 else 4
            address = socket.inet_ntop(family, values.get(_RTA_DST, bytes(size)))
            found.append(Route(f"{address}/{prefix}", _integer(values.get(_RTA_OIF))))
    return found


def add_bridge(name: str, mac: str) -> Request:
    """Return the request for a new bridge, down; its MAC does not change with its ports."""
    body = _header() + attribute(_IFLA_IFNAME, text(name)) + _mac(mac)
    body += attribute(_IFLA_LINKINFO, attribute(_IFLA_INFO_KIND, text("bridge")))
    return Request(_RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def add_veth(
    name: str, bridge: int, mtu: int, *, peer_name: str, peer_mac: str, namespace: int
) -> Request:
    """Return the request for a veth pair: this end up in the bridge, the peer in ``namespace``.

    ``namespace`` is an open descriptor; the peer is created in it, down, and never visible
    elsewhere (veth refuses a peer that is up at creation).
    """
    peer = _header() + attribute(_IFLA_IFNAME, text(peer_name)) + _mac(peer_mac) + _mtu(mtu)
    peer += attribute(_IFLA_NET_NS_FD, struct.pack("=I", namespace))
    info = attribute(_IFLA_INFO_KIND, text("veth"))
    info += attribute(_IFLA_INFO_DATA, attribute(_VETH_INFO_PEER, peer))
    body = _header(up=True) + attribute(_IFLA_IFNAME, text(name)) + _mtu(mtu)
    body += attribute(_IFLA_MASTER, struct.pack("=I", bridge)) + attribute(_IFLA_LINKINFO, info)
    return Request(_RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, body)


def set_hairpin(index: int, *, isolated: bool = False) -> Request:
    """Return the request that lets a bridge port send a frame back through the same port.

    An ``isolated`` port sends nothing to other isolated ports.
    """
    mode = attribute(_IFLA_BRPORT_MODE, b"\1")
    if isolated:
        mode += attribute(_IFLA_BRPORT_ISOLATED, b"\1")
    body = _header(socket.AF_BRIDGE, index) + attribute(_IFLA_PROTINFO | NLA_F_NESTED, mode)
    return Request(_RTM_SETLINK, 0, body)


def set_up(index: int) -> Request:
    """Return the request that brings a link up."""
    return Request(_RTM_NEWLINK, 0, _header(0, index, up=True))


def set_mtu(index: int, mtu: int) -> Request:
    """Return the request that gives a link its MTU.

    A bridge keeps only an MTU set in this way; its initial one is lowered to the smallest MTU of
    its ports, or 1500 without ports.
    """
    return Request(_RTM_NEWLINK, 0, _header(0, index) + _mtu(mtu))


def delete_link(name: str) -> Request:
    """Return the request that deletes a link by name; a missing one counts as success."""
    body = _header() + attribute(_IFLA_IFNAME, text(name))
    return Request(_RTM_DELLINK, 0, body, (errno.ENODEV,))


def add_address(index: int, address: str, prefix: int, broadcast: str = "") -> Request:
    """Return the request that adds an address to a link; an existing one counts as success.

    An IPv6 address is usable at once: the engine assigns them, so there are no duplicates.
    """
    family, packed = _packed(address)
    flags = _IFA_F_NODAD if family == socket.AF_INET6 else 0
    body = _ADDRESS.pack(family, prefix, flags, 0, index)
    body += attribute(_IFA_LOCAL, packed) + attribute(_IFA_ADDRESS, packed)
    if broadcast:
        body += attribute(_IFA_BROADCAST, socket.inet_aton(broadcast))
    return Request(_RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, body, (errno.EEXIST,))


def set_default_route(index: int, gateway: str) -> Request:
    """Return the request for the default route through ``gateway``, replacing an existing one."""
    body = _default_route(gateway) + attribute(_RTA_OIF, struct.pack("=I", index))
    return Request(_RTM_NEWROUTE, NLM_F_CREATE | NLM_F_REPLACE, body)


def delete_default_route(gateway: str) -> Request:
    """Return the request that removes the default route through ``gateway``; missing is success."""
    return Request(_RTM_DELROUTE, 0, _default_route(gateway), (errno.ESRCH, errno.ENOENT))


def _default_route(gateway: str) -> bytes:
    family, packed = _packed(gateway)
    fixed = _ROUTE.pack(family, 0, 0, 0, _TABLE_MAIN, _PROTOCOL_STATIC, 0, _TYPE_UNICAST, 0)
    return fixed + attribute(_RTA_GATEWAY, packed)


def _packed(address: str) -> tuple[int, bytes]:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    return family, socket.inet_pton(family, address)


def _header(family: int = 0, index: int = 0, *, up: bool = False) -> bytes:
    # An ifinfomsg: the mask (last field) selects the flags to change.
    return _LINK.pack(family, 0, index, _IFF_UP if up else 0, _IFF_UP if up else 0)


def _mac(mac: str) -> bytes:
    return attribute(_IFLA_ADDRESS, bytes.fromhex(mac.replace(":", "")))


def _mtu(mtu: int) -> bytes:
    return attribute(_IFLA_MTU, struct.pack("=I", mtu))


def _integer(value: bytes | None) -> int:
    return int(struct.unpack("=I", value)[0]) if value else 0


def _link(item: bytes) -> Link:
    _, _, index, flags, _ = _LINK.unpack_from(item)
    values = attributes(item[_LINK.size :])
    info = attributes(values.get(_IFLA_LINKINFO, b""))
    return Link(
        index=index,
        name=values[_IFLA_IFNAME].rstrip(b"\0").decode(),
        mac=values.get(_IFLA_ADDRESS, b"").hex(":"),
        kind=info.get(_IFLA_INFO_KIND, b"").rstrip(b"\0").decode(),
        up=bool(flags & _IFF_UP),
        mtu=_integer(values.get(_IFLA_MTU)),
        master=_integer(values.get(_IFLA_MASTER)),
        operational=values.get(_IFLA_OPERSTATE, b"") == _OPERATIONAL,
    )
