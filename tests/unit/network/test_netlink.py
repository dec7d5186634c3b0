from __future__ import annotations

import errno
import struct

import pytest

from jupyter_containers.network import links
from jupyter_containers.network.netlink import (
    NetlinkSocket,
    Request,
    attribute,
    attributes,
    text,
)


def test_attribute_is_padded_but_its_length_is_not():
    assert attribute(3, b"ab") == struct.pack("=HH", 6, 3) + b"ab\0\0"


def test_attributes_are_read_back_nested_flag_removed():
    data = attribute(3, text("eth0")) + attribute(0x8000 | 18, attribute(1, text("veth")))
    outer = attributes(data)
    assert outer[3] == b"eth0\0"
    assert attributes(outer[18]) == {1: b"veth\0"}


@pytest.mark.parametrize("data", [b"", b"\0\0", struct.pack("=HH", 0, 1), b"\1\0\1\0" * 3])
def test_damaged_attributes_end_the_reading(data):
    assert attributes(data) == {}


def test_bridge_request_names_kind_and_mac():
    values = attributes(links.add_bridge("jc0", "02:6a:0a:59:00:01").body[16:])
    assert values[3] == b"jc0\0"
    assert values[1] == bytes.fromhex("026a0a590001")
    assert attributes(links.set_mtu(7, 1400).body[16:]) == {4: struct.pack("=I", 1400)}


def test_loopback_is_found_among_the_links():
    with NetlinkSocket() as route:
        link = links.get_link(route, "lo")
        assert link is not None
        assert link in links.get_links(route)
        assert links.get_link(route, "jc-no-such-one") is None


def test_answer_with_an_error_names_the_kernels_reason():
    bad = Request(links.set_up(0).kind, 0, bytes(16))
    with NetlinkSocket() as route:
        with pytest.raises(OSError, match=r"nvalid|denied|device|permitted") as caught:
            route.send(bad)
        assert caught.value.errno in (errno.EINVAL, errno.EPERM, errno.ENODEV)
        assert caught.value.strerror
        tolerant = Request(bad.kind, 0, bytes(16), (caught.value.errno,))
        assert route.send(tolerant) == []
