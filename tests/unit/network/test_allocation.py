from __future__ import annotations

import ipaddress
from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.errors import AlreadyExistsError, ConflictError, InvalidArgumentError
from jupyter_containers.network.allocation import (
    addresses,
    allocate_endpoint,
    bridge_interface,
    check_subnet,
    check_subnet6,
    choose_address,
    choose_address6,
    choose_subnet,
    gateway_of,
    host_interface,
    mac_address,
)
from jupyter_containers.network.model import Network

NETWORK = Network(
    id="abc", name="lab", interface="jcb1", subnet="10.90.1.0/29", gateway="10.90.1.1"
)


@pytest.mark.parametrize(
    ("used", "routes", "expected"),
    [
        ([], [], "10.89.0.0/24"),
        (["10.89.0.0/24"], [], "10.89.1.0/24"),
        ([], ["10.89.0.0/23"], "10.89.2.0/24"),
        ([], ["10.89.0.128/25", "0.0.0.0/0"], "10.89.1.0/24"),
        ([], ["10.89.1.7/32", "192.168.0.0/16"], "10.89.0.0/24"),
        (["10.89.0.0/17"], ["10.89.128.0/24"], "10.89.129.0/24"),
    ],
)
def test_subnet_is_the_first_that_overlaps_nothing(used, routes, expected):
    assert choose_subnet("10.89.0.0/16", used, routes) == expected


def test_pool_that_the_host_routes_away_has_no_subnet():
    with pytest.raises(ConflictError, match=r"no free subnet is left in 10\.89\.0\.0/16"):
        choose_subnet("10.89.0.0/16", [], ["10.0.0.0/8"])


def test_small_pool_is_one_subnet():
    assert choose_subnet("10.89.0.0/26", [], []) == "10.89.0.0/26"
    with pytest.raises(ConflictError):
        choose_subnet("10.89.0.0/26", ["10.89.0.0/26"], [])


@pytest.mark.parametrize(
    ("subnet", "error"),
    [
        ("10.90.0.0/30", InvalidArgumentError),
        ("10.90.0.1/24", InvalidArgumentError),
        ("fd00::/64", InvalidArgumentError),
        ("ten", InvalidArgumentError),
        ("10.89.0.0/16", AlreadyExistsError),
        ("192.0.2.0/25", AlreadyExistsError),
    ],
)
def test_subnet_that_a_network_cannot_have(subnet, error):
    with pytest.raises(error):
        check_subnet(subnet, ["10.89.3.0/24"], ["192.0.2.0/24", "0.0.0.0/0"])


def test_subnet_of_ones_own_choice():
    assert check_subnet("10.90.0.0/24", ["10.89.0.0/24"], ["0.0.0.0/0"]) == "10.90.0.0/24"
    assert gateway_of("10.90.0.0/24") == "10.90.0.1"


@pytest.mark.parametrize(
    ("used", "routes", "kind"),
    [
        (["", "fd00:90::/48"], [], "a network's subnet"),
        ([], ["::/0", "fd00:90::/60"], "a route of the host"),
    ],
)
def test_subnet6_that_is_taken_is_refused(used, routes, kind):
    with pytest.raises(AlreadyExistsError, match=f"overlaps {kind}"):
        check_subnet6("fd00:90::/64", used, routes)
    assert check_subnet6("fd00:91::/64", used, routes) == "fd00:91::/64"


def test_addresses_go_round_behind_the_last_one():
    def after(last):
        return list(addresses("10.90.1.0/29", "10.90.1.1", ["10.90.1.3"], last))

    assert after("") == ["10.90.1.2", "10.90.1.4", "10.90.1.5", "10.90.1.6"]
    assert after("10.90.1.4") == ["10.90.1.5", "10.90.1.6", "10.90.1.2", "10.90.1.4"]
    assert after("10.90.1.6") == ["10.90.1.2", "10.90.1.4", "10.90.1.5", "10.90.1.6"]
    assert after("10.91.0.1") == after(""), "the subnet changed"


@given(
    prefix=st.integers(24, 29),
    used=st.sets(st.integers(0, 255)),
    last=st.integers(0, 255),
)
def test_addresses_are_free_distinct_and_complete(prefix, used, last):
    network = ipaddress.IPv4Network(f"10.90.1.0/{prefix}")
    taken = {f"10.90.1.{number}" for number in used}
    found = list(addresses(str(network), "10.90.1.1", taken, f"10.90.1.{last}"))
    expected = {str(host) for host in network.hosts()} - taken - {"10.90.1.1"}
    assert set(found) == expected
    assert len(found) == len(expected)


def test_large_subnet_is_not_listed_whole():
    assert list(islice(addresses("10.0.0.0/8", "10.0.0.1"), 2)) == ["10.0.0.2", "10.0.0.3"]


@pytest.mark.parametrize(
    ("wanted", "error"),
    [
        ("10.90.1.1", AlreadyExistsError),
        ("10.90.1.2", AlreadyExistsError),
        ("10.90.1.0", InvalidArgumentError),
        ("10.90.1.7", InvalidArgumentError),
        ("10.90.2.2", InvalidArgumentError),
        ("x", InvalidArgumentError),
    ],
)
def test_wanted_address_that_cannot_be_had(wanted, error):
    with pytest.raises(error):
        choose_address(NETWORK, ["10.90.1.2"], wanted=wanted)


def test_full_network_says_so():
    used = [f"10.90.1.{number}" for number in range(2, 7)]
    with pytest.raises(ConflictError, match=r"no free address is left in network lab"):
        choose_address(NETWORK, used)


def test_endpoint_is_complete():
    endpoint = allocate_endpoint(NETWORK, "c1", ["10.90.1.2"], aliases=["db"])
    assert endpoint.address == "10.90.1.3"
    assert endpoint.prefix_len == 29
    assert endpoint.gateway == "10.90.1.1"
    assert endpoint.mac == "02:6a:0a:5a:01:03"
    assert endpoint.aliases == ("db",)
    assert endpoint.interface == "eth0"


def test_endpoint_of_an_internal_network_has_no_gateway():
    internal = Network(
        id="i",
        name="i",
        interface="jcb2",
        subnet="10.90.2.0/24",
        gateway="10.90.2.1",
        internal=True,
    )
    assert allocate_endpoint(internal, "c1", []).gateway == ""


def test_mac_is_locally_administered_unicast():
    first = int(mac_address("10.89.0.2").split(":")[0], 16)
    assert first & 0b11 == 0b10


def test_interface_names_fit_and_differ():
    same_start = ["a" * 63 + last for last in "0123456789"]
    names = {host_interface(container, "n1") for container in same_start}
    names |= {host_interface(container, "n2") for container in same_start}
    names |= {bridge_interface(network) for network in same_start}
    assert len(names) == 30
    assert all(len(name) == 15 and name.isalnum() for name in names)


def test_ipv6_addresses_are_of_their_range():
    network = Network(
        id="n", name="n", interface="br", subnet="10.90.1.0/24", gateway="10.90.1.1",
        subnet6="fd00::/64", gateway6="fd00::ffff", ip_range6="fd00::a:0/112",
    )  # fmt: skip
    assert choose_address6(network, "10.90.1.2", []) == "fd00::a:2"
    assert choose_address6(network, "10.90.1.2", ["fd00::a:2"]) == "fd00::a:3"
