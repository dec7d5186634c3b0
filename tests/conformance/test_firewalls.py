"""The contract of packet filters (:class:`PacketFilter`), tested on the real kernel.

An implementation is a line of ``KINDS``.  The machine's own has its table where clients are; the
relayed one is in a namespace behind slirp4netns, as for a user without root.  Both are in network
namespaces: nothing touches the real host's network.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
import tempfile
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.packet_filter import PacketFilter
from jupyter_containers.network.relayed import InNamespace, RelayedFirewall
from jupyter_containers.network.sysctl import write_sysctl
from jupyter_containers.network.usermode import Uplink
from tests.integration.host_world import (
    ANY,
    HOST_IP,
    LOOPBACK,
    TABLE,
    Container,
    World,
    ask,
    call,
    unreachable,
    wire,
)

KINDS = ("own", "relayed")
pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root (network namespaces)"),
    pytest.mark.skipif(not shutil.which("nft"), reason="needs nftables"),
]
ANOTHER = Network(
    id="n", name="n", interface="jctest9", subnet="10.211.9.0/24", gateway="10.211.9.1"
)


@dataclass
class Subject:
    """One packet filter, the world of its containers, and the namespaces of its clients.

    ``machine`` is where the ports are published, ``outside`` another machine.
    """

    filter: PacketFilter
    world: World
    machine: NetworkNamespace
    outside: NetworkNamespace
    call: Callable[..., Any]

    def publish(self, container: Container, *ports: tuple[int, int] | tuple[int, int, str]) -> None:
        wanted = [
            PublishedPort(
                host_ip=ANY,
                host_port=port[0],
                container_ip=container.address,
                container_port=port[1],
                protocol="udp" if port[2:] else "tcp",
            )
            for port in ports
        ]
        self.call(self.filter.publish, container.id, wanted)
        self.world.settle()

    def published(self) -> dict[str, set[tuple[int, int, str]]]:
        """Return the published ports of each container, but for the host's address."""
        return {
            container: {(port.host_port, port.container_port, port.protocol) for port in ports}
            for container, ports in self.call(self.filter.current).items()
        }

    def reached(self, port: int) -> bool:
        return bool(call(self.machine, LOOPBACK, port))


@pytest.fixture(params=KINDS)
def subject(request: pytest.FixtureRequest) -> Iterator[Subject]:
    with contextlib.ExitStack() as stack:
        inside, machine, outside = (
            stack.enter_context(NetworkNamespace.create()) for _ in range(3)
        )
        wire(machine, outside)
        if request.param == "own":
            machine.run(lambda: write_sysctl("ipv4/ip_forward", "0"))
            world = World(machine, outside)
            subject = Subject(world.firewall, world, machine, outside, world.on_host)
        else:
            inside.run(lambda: write_sysctl("ipv4/ip_forward", "0"))
            world = World(inside, machine)
            uplink = stack.enter_context(connected(inside, machine))
            table: Any = InNamespace(Firewall(TABLE), lambda: NetworkNamespace(os.dup(inside.fd)))
            subject = Subject(RelayedFirewall(table, uplink), world, machine, outside, directly)
        with world.stack:
            yield subject


def directly(function: Callable[..., Any], *words: Any) -> Any:
    return function(*words)


@contextlib.contextmanager
def connected(inside: NetworkNamespace, outside: NetworkNamespace) -> Iterator[Uplink]:
    """Connect two namespaces as a user's is with the machine."""
    if not shutil.which("slirp4netns"):
        pytest.skip("needs slirp4netns")
    if not os.access("/dev/net/tun", os.R_OK | os.W_OK):
        pytest.skip("needs /dev/net/tun")
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        holder = inside.run(lambda: subprocess.Popen(["sleep", "300"]))
        alive, held = os.pipe()
        uplink = Uplink(Path(folder) / "uplink.sock")
        try:
            with warnings.catch_warnings():
                # The uplink is left to itself: it ends with what holds ``held``.
                warnings.simplefilter("ignore", ResourceWarning)
                outside.run(lambda: uplink.start(holder.pid, alive))
            yield uplink
        finally:
            os.close(held)
            os.close(alive)
            holder.kill()
            holder.wait()


class TestPacketFilter:
    def test_a_network_is_set_up_once_and_goes_whole(self, subject: Subject) -> None:
        ensure, remove = subject.filter.ensure_network, subject.filter.remove_network
        assert subject.call(ensure, ANOTHER) is True
        assert subject.call(ensure, ANOTHER) is False
        subject.call(remove, ANOTHER)
        subject.call(remove, ANOTHER)
        assert subject.published() == {}
        assert subject.call(ensure, ANOTHER) is True

    def test_a_published_port_leads_to_its_container(self, subject: Subject) -> None:
        network = subject.world.network()
        first, second = subject.world.container(network), subject.world.container(network)
        for container in (first, second):
            subject.world.serve(container.namespace, 80)
        subject.publish(first, (8081, 80), (8082, 80))
        subject.publish(second, (8083, 80))
        assert subject.published() == {
            first.id: {(8081, 80, "tcp"), (8082, 80, "tcp")},
            second.id: {(8083, 80, "tcp")},
        }
        assert all(subject.reached(port) for port in (8081, 8082, 8083))
        subject.call(subject.filter.unpublish, first.id)
        assert unreachable(subject.machine, LOOPBACK, 8081)
        assert unreachable(subject.machine, LOOPBACK, 8082)
        assert subject.reached(8083)
        subject.call(subject.filter.unpublish, first.id)
        subject.call(subject.filter.unpublish, "nobody")
        assert subject.published() == {second.id: {(8083, 80, "tcp")}}

    def test_udp_and_tcp_share_a_number(self, subject: Subject) -> None:
        container = subject.world.container(subject.world.network())
        subject.world.serve(container.namespace, 53, udp=True)
        subject.world.serve(container.namespace, 80)
        subject.publish(container, (5353, 53, "udp"), (5353, 80))
        # Not at 127.0.0.1: what slirp4netns answers there is dropped (--disable-host-loopback).
        assert ask(subject.machine, HOST_IP, 5353).startswith("hello ")
        assert ask(subject.outside, HOST_IP, 5353).startswith("hello ")
        assert call(subject.outside, HOST_IP, 5353)
        assert subject.reached(5353)

    def test_all_are_published_or_none(self, subject: Subject) -> None:
        container = subject.world.container(subject.world.network())
        subject.world.serve(container.namespace, 80)
        container.id = "no id"
        with pytest.raises(InvalidArgumentError):
            subject.publish(container, (8080, 80), (8081, 80))
        assert subject.published() == {}
        assert unreachable(subject.machine, LOOPBACK, 8080)
        container.id = "another"
        subject.publish(container, (8080, 80))
        assert subject.reached(8080)

    def test_the_port_of_a_dead_container_is_taken_over(self, subject: Subject) -> None:
        network = subject.world.network()
        dead, heir = subject.world.container(network), subject.world.container(network)
        subject.world.serve(heir.namespace, 80)
        subject.publish(dead, (8080, 80))
        subject.publish(heir, (8080, 80), (8081, 80))
        assert subject.reached(8080)
        subject.call(subject.filter.unpublish, dead.id)
        assert subject.reached(8080)
        assert subject.published() == {heir.id: {(8080, 80, "tcp"), (8081, 80, "tcp")}}

    def test_ports_of_the_dead_are_swept(self, subject: Subject) -> None:
        network = subject.world.network()
        dead, alive = subject.world.container(network), subject.world.container(network)
        subject.world.serve(alive.namespace, 80)
        subject.publish(dead, (8080, 80))
        subject.publish(alive, (8081, 80))
        assert subject.call(subject.filter.sweep, [alive.id]) == (dead.id,)
        assert subject.call(subject.filter.sweep, [alive.id]) == ()
        assert set(subject.published()) == {alive.id}
        assert subject.reached(8081)

    def test_what_a_flush_took_away_is_published_again(self, subject: Subject) -> None:
        network = subject.world.network()
        container = subject.world.container(network)
        subject.world.serve(container.namespace, 80)
        subject.publish(container, (8080, 80))
        subject.world.flush_rules()
        assert unreachable(subject.machine, LOOPBACK, 8080)
        assert subject.call(subject.filter.ensure_network, network) is True
        subject.publish(container, (8080, 80))
        assert subject.reached(8080)
