"""Redirects an address and port to another port within a network namespace.

The rule is written to the packet filter directly, because every start of a container in a network
needs two of them and the program ``nft`` takes 4 ms (10 and more beside other work); this takes 0.3
ms.  It acts on the calling thread's namespace.  As text, the table is::

    table ip jupyter_containers_names {
      chain output {
        type nat hook output priority -100
        ip daddr 127.0.0.11 meta l4proto udp th dport 53 dnat to 127.0.0.11:PORT
        ip daddr 127.0.0.11 meta l4proto tcp th dport 53 dnat to 127.0.0.11:PORT
      }
    }

Numbers are those of linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence

from jupyter_containers.lazy_modules import socket
from jupyter_containers.network.netlink import (
    NLA_F_NESTED,
    NLM_F_CREATE,
    NLM_F_EXCL,
    NetlinkSocket,
    Request,
    attribute,
    text,
)

__all__ = ["redirect"]

_TABLE, _CHAIN = "jupyter_containers_names", "output"
_NETLINK_NETFILTER, _SUBSYSTEM = 12, 10
_BATCH_BEGIN, _BATCH_END = 0x10, 0x11
_NEWTABLE, _DELTABLE, _NEWCHAIN, _NEWRULE = ((_SUBSYSTEM << 8) | n for n in (0, 2, 3, 6))
_NLM_F_APPEND = 0x800
_IPV4 = 2
_LOCAL_OUT, _PRIORITY_DNAT = 3, -100
_NETWORK_HEADER, _TRANSPORT_HEADER, _L4PROTO, _EQUAL, _DNAT = 1, 2, 16, 0, 1
_FIRST, _SECOND = 1, 2  # registers
_HEADER = struct.pack(">BBH", _IPV4, 0, 0)


def redirect(address: str, port: int, targets: Mapping[int, int]) -> None:
    """Redirect packets for ``address`` and ``port`` to another port of the address.

    ``targets`` are ports by protocol (``socket.IPPROTO_UDP`` …).  An earlier redirection is
    replaced. Raises OSError if the kernel has no address translation.
    """
    table, packed = _HEADER + attribute(1, text(_TABLE)), socket.inet_aton(address)
    made = [
        Request(_NEWTABLE, NLM_F_CREATE | NLM_F_EXCL, table),
        Request(_NEWCHAIN, NLM_F_CREATE, _HEADER + _chain()),
        *(
            Request(_NEWRULE, NLM_F_CREATE | _NLM_F_APPEND, _HEADER + _rule(packed, port, *pair))
            for pair in targets.items()
        ),
    ]
    try:
        _change(made)
    except FileExistsError:
        _change([Request(_DELTABLE, 0, table), *made])


def _change(requests: Sequence[Request]) -> None:
    batch = struct.pack(">BBH", 0, 0, _SUBSYSTEM)
    with NetlinkSocket(_NETLINK_NETFILTER) as netfilter:
        netfilter.send(
            Request(_BATCH_BEGIN, 0, batch, acknowledged=False),
            *requests,
            Request(_BATCH_END, 0, batch, acknowledged=False),
        )


def _chain() -> bytes:
    hook = attribute(1, _number(_LOCAL_OUT)) + attribute(2, struct.pack(">i", _PRIORITY_DNAT))
    return (
        attribute(1, text(_TABLE))
        + attribute(3, text(_CHAIN))
        + attribute(4 | NLA_F_NESTED, hook)
        + attribute(7, text("nat"))
    )


def _rule(address: bytes, port: int, protocol: int, target: int) -> bytes:
    expressions = (
        *_is(_payload(_NETWORK_HEADER, 16, 4), address),
        *_is(
            _expression("meta", attribute(1, _number(_FIRST)) + attribute(2, _number(_L4PROTO))),
            bytes([protocol]),
        ),
        *_is(_payload(_TRANSPORT_HEADER, 2, 2), struct.pack(">H", port)),
        _immediate(_FIRST, address),
        _immediate(_SECOND, struct.pack(">H", target)),
        _expression(
            "nat",
            attribute(1, _number(_DNAT))
            + attribute(2, _number(_IPV4))
            + attribute(3, _number(_FIRST))
            + attribute(5, _number(_SECOND)),
        ),
    )
    return (
        attribute(1, text(_TABLE))
        + attribute(2, text(_CHAIN))
        + attribute(4 | NLA_F_NESTED, *expressions)
    )


def _is(load: bytes, value: bytes) -> tuple[bytes, bytes]:
    """Return the expressions that continue only if the loaded data has a value."""
    compared = attribute(1, _number(_FIRST)) + attribute(2, _number(_EQUAL))
    return load, _expression("cmp", compared + attribute(3 | NLA_F_NESTED, attribute(1, value)))


def _payload(base: int, offset: int, size: int) -> bytes:
    numbers = (_FIRST, base, offset, size)
    return _expression(
        "payload", b"".join(attribute(n, _number(value)) for n, value in enumerate(numbers, 1))
    )


def _immediate(register: int, value: bytes) -> bytes:
    return _expression(
        "immediate",
        attribute(1, _number(register)) + attribute(2 | NLA_F_NESTED, attribute(1, value)),
    )


def _expression(name: str, data: bytes) -> bytes:
    return attribute(1 | NLA_F_NESTED, attribute(1, text(name)) + attribute(2 | NLA_F_NESTED, data))


def _number(value: int) -> bytes:
    return struct.pack(">I", value)
