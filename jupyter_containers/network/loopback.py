"""Routing from the host's loopback to a bridge, and the guard on containers' packets.

A port published on 127.0.0.1 (or on every address, and used there) is reached from a loopback
address, which the kernel routes through no other interface unless ``route_localnet`` of the bridge
is on.  Then the bridge also accepts packets that containers send *to* 127.0.0.1, for the host's own
programs. So it is on only while such a port is published (:func:`settle`), and two independent
guards protect it: the packet filter's rules (:mod:`.firewall`), which vanish if the host's rules
are flushed, and a traffic control filter on each port of a bridge (:func:`guard`), which vanishes
only with the port.

See ip-sysctl (route_localnet), tc-bpf(8); numbers are those of linux/pkt_sched.h, linux/pkt_cls.h,
linux/filter.h.
"""

from __future__ import annotations

import errno
import ipaddress
import struct
from collections.abc import Callable, Iterable

from jupyter_containers.lazy_modules import socket
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.netlink import (
    NLM_F_CREATE,
    NLM_F_EXCL,
    Request,
    attribute,
    text,
)
from jupyter_containers.network.sysctl import leads_to_loopback, write_sysctl

__all__ = ["guard", "needs_loopback", "settle"]

_RTM_NEWQDISC, _RTM_NEWTFILTER = 36, 44
_TCA_KIND, _TCA_OPTIONS = 1, 2
_TCA_BPF_OPS_LEN, _TCA_BPF_OPS, _TCA_BPF_FLAGS, _DIRECT_ACTION = 4, 5, 8, 1
_CLSACT, _CLSACT_HANDLE, _INGRESS = 0xFFFFFFF1, 0xFFFF0000, 0xFFFFFFF2
_TC = struct.Struct("=BxxxiIII")
# A kernel without the filter, or a filter that exists already.
_TOLERATED = (errno.ENOENT, errno.EOPNOTSUPP, errno.EINVAL, errno.EPERM, errno.EEXIST)

# Classic BPF: the first byte of an IPv4 packet's destination, and of its source.
_LOAD_BYTE, _IF_EQUAL, _RETURN, _NETWORK_HEADER = 0x30, 0x15, 0x06, 0xFFF00000
_PASS, _DROP = 0, 2  # TC_ACT_OK, TC_ACT_SHOT
_PROGRAM = (
    (_LOAD_BYTE, 0, 0, _NETWORK_HEADER + 16),
    (_IF_EQUAL, 2, 0, 127),
    (_LOAD_BYTE, 0, 0, _NETWORK_HEADER + 12),
    (_IF_EQUAL, 0, 1, 127),
    (_RETURN, 0, 0, _DROP),
    (_RETURN, 0, 0, _PASS),
)


def guard(index: int) -> tuple[Request, Request]:
    """Return the requests that drop IPv4 loopback addresses arriving at a port of a bridge.

    The filter sees a container's packets before anything else does, so replies that the packet
    filter translates back to 127.0.0.1 are unaffected.  Without BPF filters in the kernel's traffic
    control it does nothing.
    """
    operations = b"".join(struct.pack("=HBBI", *step) for step in _PROGRAM)
    options = attribute(_TCA_BPF_OPS_LEN, struct.pack("=H", len(_PROGRAM)))
    options += attribute(_TCA_BPF_OPS, operations)
    options += attribute(_TCA_BPF_FLAGS, struct.pack("=I", _DIRECT_ACTION))
    flags = NLM_F_CREATE | NLM_F_EXCL
    queue = _TC.pack(0, index, _CLSACT_HANDLE, _CLSACT, 0) + attribute(_TCA_KIND, text("clsact"))
    priority_and_protocol = 1 << 16 | socket.htons(0x0800)  # of IPv4 packets
    rule = _TC.pack(0, index, 1, _INGRESS, priority_and_protocol)
    rule += attribute(_TCA_KIND, text("bpf")) + attribute(_TCA_OPTIONS, options)
    return (
        Request(_RTM_NEWQDISC, flags, queue, _TOLERATED),
        Request(_RTM_NEWTFILTER, flags, rule, _TOLERATED),
    )


def needs_loopback(network: Network, ports: Iterable[PublishedPort]) -> bool:
    """Return whether a port of the network's containers can be reached on 127.0.0.1."""
    subnet = ipaddress.IPv4Network(network.subnet)
    return any(
        ipaddress.ip_address(port.container_ip) in subnet
        for port in ports
        if port.host_ip.startswith("127.") or port.host_ip == "0.0.0.0"  # noqa: S104  # compared
    )


def settle(networks: Iterable[Network], published: Callable[[], Iterable[PublishedPort]]) -> None:
    """Turn ``route_localnet`` of the networks' bridges on or off, as ``published`` requires.

    Idempotent, and needs no lock: ports are published or unpublished before the call, and the ports
    are read again after every change of the parameter.
    """
    for network in networks:
        while (wanted := needs_loopback(network, published())) != leads_to_loopback(
            network.interface
        ):
            try:
                write_sysctl(_name(network.interface), "1" if wanted else "0")
            except FileNotFoundError:
                break  # the bridge is gone


def _name(interface: str) -> str:
    return f"ipv4/conf/{interface}/route_localnet"
