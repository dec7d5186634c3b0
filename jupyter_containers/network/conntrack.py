"""Deletes the kernel's tracked flows to a UDP port.

The address translation of a flow is decided by its first packet.  A UDP flow has no end, so a
client that keeps sending from one port would be led to the former container for ever, or past a
container that was published after the client began.  TCP notices by itself.

Numbers are those of linux/netfilter/nfnetlink_conntrack.h.
"""

from __future__ import annotations

import errno
import struct
from collections.abc import Iterable

from jupyter_containers.lazy_modules import socket
from jupyter_containers.network.model import PublishedPort
from jupyter_containers.network.netlink import (
    NLA_F_NESTED,
    NLM_F_DUMP,
    NetlinkSocket,
    Request,
    attribute,
    attributes,
)

__all__ = ["forget_flows"]

_NETLINK_NETFILTER = 12
_GET, _DELETE = 1 << 8 | 1, 1 << 8 | 2
_CTA_TUPLE_ORIG, _CTA_TUPLE_PROTO = 1, 2
_CTA_PROTO_NUM, _CTA_PROTO_DST_PORT = 1, 3
_FAMILY = struct.pack("=BBH", socket.AF_INET, 0, 0)


def forget_flows(ports: Iterable[PublishedPort]) -> int:
    """Delete the kernel's flows to the UDP ports among ``ports``; return how many.

    Best effort: returns 0 if the kernel's connection tracking cannot be accessed, because a client
    that has to reconnect is no reason to refuse a container.
    """
    wanted = {port.host_port for port in ports if port.protocol == "udp"}
    if not wanted:
        return 0
    try:
        with NetlinkSocket(_NETLINK_NETFILTER) as netfilter:
            entries = netfilter.send(Request(_GET, NLM_F_DUMP, _FAMILY))
            doomed = [flow for entry in entries if (flow := _flow(entry, wanted))]
            for flow in doomed:
                body = _FAMILY + attribute(_CTA_TUPLE_ORIG | NLA_F_NESTED, flow)
                netfilter.send(Request(_DELETE, 0, body, (errno.ENOENT,)))
    except OSError:
        return 0
    return len(doomed)


def _flow(entry: bytes, ports: set[int]) -> bytes | None:
    flow = attributes(entry[len(_FAMILY) :]).get(_CTA_TUPLE_ORIG, b"")
    protocol = attributes(attributes(flow).get(_CTA_TUPLE_PROTO, b""))
    if protocol.get(_CTA_PROTO_NUM) != bytes([socket.IPPROTO_UDP]):
        return None
    port = int.from_bytes(protocol.get(_CTA_PROTO_DST_PORT, b"\0\0"), "big")
    return flow if port in ports else None
