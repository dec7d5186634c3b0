from __future__ import annotations

from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError, UnsupportedError
from jupyter_containers.options import RunOptions
from jupyter_containers.options.network import NetworkRequest, parse_link, parse_networks
from jupyter_containers.options.network_options import NetworkOptions


@pytest.mark.parametrize(
    ("flags", "requests"),
    [
        ({}, [NetworkRequest()]),
        ({"network": "default"}, [NetworkRequest("bridge")]),
        ({"network": "shop", "ip": "10.1.0.5"}, [NetworkRequest("shop", ip="10.1.0.5")]),
        (
            {"network": ["front", "name=back,alias=db,alias=sql,ip6=fd00::5,gw-priority=3"]},
            [
                NetworkRequest("front"),
                NetworkRequest("back", ("db", "sql"), ip6="fd00::5", gateway_priority=3),
            ],
        ),
        (
            {"network": "shop", "network_alias": ["a", "b"], "link": "db:sql"},
            [NetworkRequest("shop", ("a", "b"), links=(("db", "sql"),))],
        ),
        (
            {"network": "name=shop,mac-address=92:d0:c6:0a:29:33"},
            [NetworkRequest("shop", mac_address="92:d0:c6:0a:29:33")],
        ),
    ],
)
def test_networks(flags: dict[str, Any], requests: list[NetworkRequest]) -> None:
    assert list(parse_networks(flags)) == requests


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        ({"network": ["host", "shop"]}, "conflicting options"),
        ({"network": ["shop", "shop"]}, "more than once"),
        ({"network": "name=shop,ip=10.0.0.9", "ip": "10.0.0.8"}, "conflicting options: ip"),
        ({"network": "name=shop,colour=red"}, "unknown key 'colour'"),
        ({"network": "alias=x"}, "needs a name"),
        ({"network": "a,b"}, "invalid network"),
        ({"network": "shop", "ip": "fd00::1"}, "not an IPv4 address"),
        ({"network": "shop", "mac_address": "1:2"}, "invalid mac-address"),
        ({"network": "shop", "mac_address": "01:00:00:00:00:01"}, "invalid mac-address"),
        ({"network": "shop", "link_local_ip": "10.0.0.1"}, "not link-local"),
        ({"ip": "10.0.0.1"}, "user-defined networks"),
        ({"network_alias": "x"}, "user-defined networks"),
        ({"network": "host", "mac_address": "02:00:00:00:00:01"}, "network mode"),
        ({"network": "container:web", "link": "db"}, "cannot have links"),
        ({"network": "shop", "link": ":x"}, "invalid link"),
    ],
)
def test_what_makes_no_sense_is_refused(flags: dict[str, Any], message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        parse_networks(flags)


@pytest.mark.parametrize(
    "flags",
    [
        {"hostname": "x"},
        {"publish": "80:80"},
        {"publish_all": True},
        {"expose": "80"},
        {"dns": "8.8.8.8"},
        {"add_host": "a:10.0.0.1"},
    ],
)
def test_another_containers_network_leaves_nothing_to_choose(flags: dict[str, Any]) -> None:
    with pytest.raises(InvalidArgumentError, match="conflicting options"):
        RunOptions.of("app", network="container:web", **flags)


def test_options_of_run_carry_the_networks() -> None:
    options = RunOptions.of("app", net=["shop", "name=back,alias=x"])
    assert options.network == "shop"
    assert [request.name for request in options.networks] == ["shop", "back"]
    assert RunOptions.of("app").networks == (NetworkRequest("bridge"),)


def test_links() -> None:
    assert parse_link("/web:front") == ("web", "front")
    assert parse_link("web") == ("web", "web")


def test_network_options() -> None:
    options = NetworkOptions.of(
        driver="bridge",
        subnet=["10.1.0.0/24", "fd00:9::/64"],
        gateway="10.1.0.7",
        ip_range="10.1.0.128/25",
        ipv6=True,
        label=["a=b"],
        aux_address=["router=10.1.0.9"],
        opt=[
            "com.docker.network.bridge.name=br-x",
            "com.docker.network.driver.mtu=1300",
            "com.docker.network.bridge.enable_icc=false",
            "com.docker.network.bridge.enable_ip_masquerade=false",
            "com.docker.network.bridge.host_binding_ipv4=127.0.0.2",
        ],
    )
    assert (options.subnet, options.subnet6) == ("10.1.0.0/24", "fd00:9::/64")
    assert (options.gateway, options.gateway6) == ("10.1.0.7", "")
    assert (options.interface, options.mtu) == ("br-x", 1300)
    assert not options.containers_talk
    assert not options.masquerade
    assert options.publish_address == "127.0.0.2"
    assert options.aux_addresses == {"router": "10.1.0.9"}


@pytest.mark.parametrize(
    ("flags", "error"),
    [
        ({"driver": "host"}, InvalidArgumentError),
        ({"driver": "macvlan"}, UnsupportedError),
        ({"ipam_driver": "dhcp"}, UnsupportedError),
        ({"ingress": True}, UnsupportedError),
        ({"subnet": ["10.1.0.0/24", "10.2.0.0/24"]}, InvalidArgumentError),
        ({"subnet": "fd00::/64"}, InvalidArgumentError),
        ({"gateway": "10.1.0.1"}, InvalidArgumentError),
        ({"opt": "com.docker.network.bridge.inhibit_ipv4=true"}, UnsupportedError),
        ({"opt": "com.docker.network.driver.mtu=fast"}, InvalidArgumentError),
        ({"aux_address": "a=b"}, InvalidArgumentError),
        ({"colour": "red"}, InvalidArgumentError),
    ],
)
def test_network_options_that_cannot_be(flags: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        NetworkOptions.of(**flags)
