"""IPv6 networks on the real kernel: addresses, NAT, published ports, isolation; and firewalld."""

from __future__ import annotations

import os
import shutil
import socket
from contextlib import closing

import pytest

from jupyter_containers.network import links
from jupyter_containers.network.allocation import allocate_endpoint
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.netlink import NetlinkSocket
from jupyter_containers.network.nft import Nft
from jupyter_containers.network.ports import reserve
from jupyter_containers.network.sysctl import read_sysctl, write_sysctl
from tests.integration.host_world import Container, World, call
from tests.integration.test_network_bridge import world

__all__ = ["world"]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root (network namespaces)"),
    pytest.mark.skipif(not shutil.which("nft"), reason="needs nftables"),
    pytest.mark.skipif(not os.path.exists("/proc/sys/net/ipv6"), reason="this kernel has no IPv6"),
]

HOST6, OUTSIDE6 = "2001:db8::2", "2001:db8::1"


def _give(address: str, gateway: str = "") -> None:
    write_sysctl("ipv6/conf/eth0/disable_ipv6", "0")
    index = socket.if_nametoindex("eth0")
    with NetlinkSocket() as route:
        route.send(links.add_address(index, address, 64))
        if gateway:
            route.send(links.set_default_route(index, gateway))


@pytest.fixture
def world6(world: World) -> World:
    world.host.run(lambda: _give(HOST6, OUTSIDE6))
    world.outside.run(lambda: _give(OUTSIDE6))
    return world


def network(world: World, number: int, **more: object) -> Network:
    found = Network(
        id=f"six{number}",
        name=f"six{number}",
        interface=f"jcsix{number}",
        subnet=f"10.212.{number}.0/24",
        gateway=f"10.212.{number}.1",
        subnet6=f"fd12:{number}::/64",
        gateway6=f"fd12:{number}::1",
        **more,
    )
    world.on_host(world.driver.ensure_bridge, found)
    return found


def container(world: World, net: Network) -> Container:
    identifier = f"container{next(world.numbers)}"
    namespace = world.stack.enter_context(NetworkNamespace.create())
    endpoint = allocate_endpoint(net, identifier, world.used)
    world.used += [endpoint.address, endpoint.address6]
    world.on_host(world.driver.attach, namespace, endpoint, net)
    return Container(identifier, namespace, endpoint)


def serve(world: World, namespace: NetworkNamespace, port: int) -> None:
    """Answer IPv6 connections with the peer's address."""
    import threading

    server = namespace.run(lambda: socket.create_server(("::", port), family=socket.AF_INET6))
    server.settimeout(0.05)
    stop = threading.Event()

    def work() -> None:
        while not stop.is_set():
            try:
                connection, peer = server.accept()
            except TimeoutError:
                continue
            with closing(connection):
                connection.sendall(peer[0].encode())

    thread = threading.Thread(target=work)
    thread.start()

    def end() -> None:
        stop.set()
        thread.join()
        server.close()

    world.stack.callback(end)


def test_addresses_routes_and_nat(world6: World) -> None:
    net = network(world6, 1)
    first, second = container(world6, net), container(world6, net)
    assert (first.endpoint.address6, second.endpoint.address6) == ("fd12:1::2", "fd12:1::3")
    serve(world6, first.namespace, 80)
    assert call(second.namespace, "fd12:1::2", 80) == "fd12:1::3"
    assert call(world6.host, "fd12:1::2", 80) == "fd12:1::1"
    # The way out has the host's address, in both families.
    serve(world6, world6.outside, 81)
    assert call(second.namespace, OUTSIDE6, 81) == HOST6
    world6.serve(world6.outside, 82)
    assert call(second.namespace, "198.51.100.1", 82) == "198.51.100.2"


def test_nothing_comes_in_but_by_published_ports(world6: World) -> None:
    net = network(world6, 1)
    web = container(world6, net)
    serve(world6, web.namespace, 80)

    def route_to_us() -> None:
        with NetlinkSocket() as route:
            index = socket.if_nametoindex("eth0")
            route.send(links.set_default_route(index, HOST6))

    world6.outside.run(route_to_us)
    assert call(world6.outside, "fd12:1::2", 80, timeout=0.5) == ""
    wanted = [
        PublishedPort(host_ip=address, host_port=port, container_ip="fd12:1::2", container_port=80)
        for address, port in (("::", 8080), (HOST6, 8081))
    ]
    with world6.on_host(reserve, wanted) as held:
        world6.on_host(world6.firewall.publish, "web", held.ports)
        for port in (8080, 8081):
            assert call(world6.outside, HOST6, port) == OUTSIDE6
            assert call(world6.host, HOST6, port) != ""
            # Hairpin: a container that calls its own published port.
            assert call(web.namespace, HOST6, port) == "fd12:1::1"
        world6.on_host(world6.firewall.unpublish, "web")
    assert call(world6.outside, HOST6, 8080, timeout=0.5) == ""


def test_networks_are_isolated_and_internal_ones_closed(world6: World) -> None:
    web = container(world6, network(world6, 1))
    other = container(world6, network(world6, 2))
    inner = container(world6, network(world6, 3, internal=True))
    serve(world6, web.namespace, 80)
    serve(world6, world6.outside, 81)
    assert call(other.namespace, "fd12:1::2", 80, timeout=0.5) == ""
    assert call(inner.namespace, "fd12:1::2", 80, timeout=0.5) == ""
    assert call(inner.namespace, OUTSIDE6, 81, timeout=0.5) == ""
    assert call(other.namespace, OUTSIDE6, 81) == HOST6


def test_forwarding_keeps_router_advertisements(world6: World) -> None:
    world6.host.run(lambda: write_sysctl("ipv6/conf/all/forwarding", "0"))
    world6.host.run(lambda: write_sysctl("ipv6/conf/eth0/accept_ra", "1"))
    net = network(world6, 1)
    assert world6.host.run(lambda: read_sysctl("ipv6/conf/all/forwarding")) == "1"
    assert world6.host.run(lambda: read_sysctl("ipv6/conf/eth0/accept_ra")) == "2"
    assert world6.on_host(world6.driver.ensure_bridge, net).changed == ()


def test_loopback_refuses_at_once_what_is_published_on_every_address(world6: World) -> None:
    web = container(world6, network(world6, 1))
    serve(world6, web.namespace, 80)
    wanted = PublishedPort(
        host_ip="::", host_port=8080, container_ip="fd12:1::2", container_port=80
    )
    with world6.on_host(reserve, [wanted]) as held:
        world6.on_host(world6.firewall.publish, "web", held.ports)
        assert call(world6.host, HOST6, 8080) != ""

        def connect() -> None:
            socket.create_connection(("::1", 8080), timeout=5).close()

        with pytest.raises(ConnectionRefusedError):
            world6.host.run(connect)


_FIREWALLD = """
add table inet firewalld
add chain inet firewalld filter_INPUT { type filter hook input priority 10; policy accept; }
add chain inet firewalld filter_FORWARD { type filter hook forward priority 10; policy accept; }
add rule inet firewalld filter_INPUT ct state established,related accept
add rule inet firewalld filter_INPUT reject with icmpx admin-prohibited
add rule inet firewalld filter_FORWARD ct state established,related accept
add rule inet firewalld filter_FORWARD reject with icmpx admin-prohibited
"""


def test_firewalld_lets_our_bridges_through_and_has_its_chains_back(world: World) -> None:
    """firewalld's table rejects packets outside all zones at its end."""
    world.host.run(lambda: Nft().run(_FIREWALLD))
    before = world.host.run(lambda: Nft().run("list table inet firewalld"))
    net = world.network()
    box = world.container(net)
    world.serve(world.outside, 81)
    world.serve(world.host, 82)
    assert call(box.namespace, "198.51.100.1", 81) == "198.51.100.2"
    assert call(box.namespace, net.gateway, 82) == box.address
    world.serve(box.namespace, 80)
    world.publish(box, ("198.51.100.2", 8080, 80))
    assert call(world.outside, "198.51.100.2", 8080) == "198.51.100.1"
    assert world.on_host(world.driver.ensure_bridge, net).changed == ()
    world.on_host(world.firewall.unpublish, box.id)
    world.on_host(world.driver.detach, box.endpoint.host_interface)
    world.on_host(world.driver.remove_bridge, net)
    assert world.host.run(lambda: Nft().run("list table inet firewalld")) == before
