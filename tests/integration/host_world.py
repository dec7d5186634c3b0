"""A host with networks, containers and a machine outside, of network namespaces only.

``host`` plays the machine (its own firewall, routes and sysctls), ``outside`` is a machine on its
uplink.  Nothing touches the real host's network.
"""

from __future__ import annotations

import contextlib
import socket
import subprocess
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import count

from jupyter_containers.network import links
from jupyter_containers.network.allocation import allocate_endpoint
from jupyter_containers.network.bridge import BridgeDriver
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import Endpoint, Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.netlink import NetlinkSocket
from jupyter_containers.network.ports import reserve

TABLE = "jc_test"
HOST_IP, OUTSIDE_IP = "198.51.100.2", "198.51.100.1"
ANY, LOOPBACK = "0.0.0.0", "127.0.0.1"


@dataclass
class Container:
    """A namespace that stands in for a container, with its place in a network."""

    id: str
    namespace: NetworkNamespace
    endpoint: Endpoint

    @property
    def address(self) -> str:
        return self.endpoint.address


@dataclass
class World:
    """A host with an uplink to a machine outside."""

    host: NetworkNamespace
    outside: NetworkNamespace
    firewall: Firewall = field(default_factory=lambda: Firewall(TABLE))
    stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    used: list[str] = field(default_factory=list)
    networks: list[Network] = field(default_factory=list)

    @property
    def driver(self) -> BridgeDriver:
        return BridgeDriver(self.firewall)

    def on_host(self, function: Callable, *arguments):
        return self.host.run(lambda: function(*arguments))

    def network(self, number: int = 0, *, internal: bool = False) -> Network:
        network = Network(
            id=f"net{number}",
            name=f"net{number}",
            interface=f"jctest{number}",
            subnet=f"10.211.{number}.0/24",
            gateway=f"10.211.{number}.1",
            internal=internal,
            mtu=1400,
        )
        self.on_host(self.driver.ensure_bridge, network)
        self.networks.append(network)
        return network

    def container(self, network: Network) -> Container:
        identifier = f"container{next(self.numbers)}"
        namespace = self.stack.enter_context(NetworkNamespace.create())
        endpoint = allocate_endpoint(network, identifier, self.used)
        self.used.append(endpoint.address)
        self.on_host(self.driver.attach, namespace, endpoint, network)
        return Container(identifier, namespace, endpoint)

    def publish(
        self, container: Container, *ports: tuple[str, int, int] | tuple[str, int, int, str]
    ):
        wanted = [
            PublishedPort(
                host_ip=port[0],
                host_port=port[1],
                container_ip=container.address,
                container_port=port[2],
                protocol=port[3] if len(port) > 3 else "tcp",
            )
            for port in ports
        ]
        reservation = self.stack.enter_context(self.on_host(reserve, wanted))
        self.on_host(self.firewall.publish, container.id, reservation.ports)
        self.settle()
        return reservation.ports

    def settle(self) -> None:
        self.on_host(self.driver.settle_loopback, self.networks)

    def flush_rules(self) -> None:
        """Remove the table of these networks, as ``nft flush ruleset`` does."""
        command = ["nft", "delete", "table", "inet", TABLE]
        self.on_host(lambda: subprocess.run(command, check=True))

    def serve(self, namespace: NetworkNamespace, port: int, *, udp: bool = False, ip: str = ANY):
        """Answer every connection (or datagram) with the peer's address, until the test ends."""
        kind = socket.SOCK_DGRAM if udp else socket.SOCK_STREAM
        server = namespace.run(lambda: socket.socket(socket.AF_INET, kind))
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        server.bind((ip, port))
        server.settimeout(0.05)
        if not udp:
            server.listen(20)
        stop = threading.Event()

        def work() -> None:
            while not stop.is_set():
                with contextlib.suppress(TimeoutError):
                    if udp:
                        data, peer = server.recvfrom(100)
                        server.sendto(data + b" " + peer[0].encode(), peer)
                    else:
                        connection, peer = server.accept()
                        with connection:
                            connection.sendall(peer[0].encode())

        thread = threading.Thread(target=work)
        thread.start()

        def end() -> None:
            stop.set()
            thread.join()
            server.close()

        self.stack.callback(end)


def call(namespace: NetworkNamespace, ip: str, port: int, timeout: float = 2.0) -> str:
    """Return a server's answer: the address that it sees; "" if it cannot be reached."""

    def connect() -> str:
        try:
            with socket.create_connection((ip, port), timeout=timeout) as connection:
                return connection.recv(100).decode()
        except OSError:
            return ""

    return namespace.run(connect)


def ask(namespace: NetworkNamespace, ip: str, port: int, timeout: float = 2.0) -> str:
    def send() -> str:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(timeout)
            try:
                sock.connect((ip, port))
                sock.send(b"hello")
                return sock.recv(100).decode()
            except OSError:
                return ""

    return namespace.run(send)


def unreachable(namespace: NetworkNamespace, ip: str, port: int) -> bool:
    return call(namespace, ip, port, timeout=0.3) == ""


def interfaces(namespace: NetworkNamespace) -> set[str]:
    def names() -> set[str]:
        with NetlinkSocket() as route:
            return {link.name for link in links.get_links(route)}

    return namespace.run(names)


def wire(host: NetworkNamespace, outside: NetworkNamespace) -> None:
    def make() -> None:
        # A bridge named eth0 carries the uplink, as a veth needs one in our builder.
        with NetlinkSocket() as route:
            route.send(links.add_bridge("eth0", "02:00:00:00:00:01"))
            uplink = links.get_link(route, "eth0")
            route.send(
                links.add_address(uplink.index, HOST_IP, 24, "198.51.100.255"),
                links.set_up(uplink.index),
                links.add_veth(
                    "wire",
                    uplink.index,
                    1400,
                    peer_name="eth0",
                    peer_mac="02:00:00:00:00:02",
                    namespace=outside.fd,
                ),
            )

    def configure() -> None:
        index = socket.if_nametoindex("eth0")
        with NetlinkSocket() as route:
            route.send(
                links.set_up(index), links.add_address(index, OUTSIDE_IP, 24, "198.51.100.255")
            )

    def default_route() -> None:
        with NetlinkSocket() as route:
            route.send(links.set_default_route(socket.if_nametoindex("eth0"), OUTSIDE_IP))

    host.run(make)
    outside.run(configure)
    host.run(default_route)
