"""Names of networks, which may have spaces, and options of their endpoints."""

from __future__ import annotations

import msgspec
import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.options.network import NetworkRequest, endpoint_request
from jupyter_containers.options.network_options import NetworkOptions
from jupyter_containers.options.values import check_network_name


def test_a_network_may_have_spaces_in_its_name() -> None:
    assert check_network_name(" test 01 ") == "test 01"
    for text in ("", " ", "a\n b", "a \tb", "-a", "../b", "a/b"):
        with pytest.raises(InvalidArgumentError, match="invalid network name"):
            check_network_name(text)


def test_options_of_an_endpoint_are_written_where_there_are_some() -> None:
    """Records without any are those of earlier engines."""
    request = endpoint_request("front", {"driver_opt": ["a=b"]})
    assert request.driver_options == (("a", "b"),)
    assert b"driver_options" not in msgspec.json.encode(NetworkRequest("front"))
    assert msgspec.json.decode(msgspec.json.encode(request), type=NetworkRequest) == request


def test_a_range_of_ipv6_needs_a_subnet() -> None:
    with pytest.raises(InvalidArgumentError, match="IPv6 ip-range needs a subnet"):
        NetworkOptions.of(ip_range=["fd00::/112"], ipv6=True)
    made = NetworkOptions.of(subnet=["fd00::/64"], ip_range=["fd00::/112"], ipv6=True)
    assert made.ip_range6 == "fd00::/112"
