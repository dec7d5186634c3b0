"""Holding ports of the host, in a namespace of our own where every port is free."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Iterator

import pytest

from jupyter_containers.errors import AlreadyExistsError, InvalidArgumentError
from jupyter_containers.network.model import PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.ports import reserve

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root (network namespaces)")


def port(number: int, host_ip: str = "127.0.0.1", protocol: str = "tcp") -> PublishedPort:
    return PublishedPort(
        host_ip=host_ip,
        host_port=number,
        container_ip="10.0.0.2",
        container_port=80,
        protocol=protocol,
    )


@pytest.fixture
def host() -> Iterator[NetworkNamespace]:
    with NetworkNamespace.create() as namespace:
        yield namespace


def test_port_zero_becomes_a_free_port_and_stays_held(host):
    def use() -> None:
        with reserve([port(0), port(0), port(0, protocol="udp")]) as reservation:
            first, second, third = reservation.ports
            assert 0 < first.host_port != second.host_port > 0
            assert (third.protocol, third.container_port) == ("udp", 80)
            with pytest.raises(AlreadyExistsError):
                reserve([first])
        reserve([first]).close()

    host.run(use)


@pytest.mark.parametrize(
    ("held", "wanted", "free"),
    [
        (port(80), port(80), False),
        (port(80), port(80, "0.0.0.0"), False),
        (port(80, "0.0.0.0"), port(80), False),
        (port(80), port(80, "127.0.0.2"), True),
        (port(80), port(80, protocol="udp"), True),
        (port(80, protocol="udp"), port(80, protocol="udp"), False),
        (port(80), port(81), True),
    ],
)
def test_which_ports_exclude_each_other(host, held, wanted, free):
    def use() -> None:
        with reserve([held]):
            if free:
                reserve([wanted]).close()
            else:
                with pytest.raises(AlreadyExistsError, match="port 80 is already in use"):
                    reserve([wanted])

    host.run(use)


def test_server_of_the_host_cannot_take_a_held_port(host):
    def use() -> None:
        with reserve([port(8080)]), socket.socket() as server:
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with pytest.raises(OSError, match="in use"):
                server.bind(("127.0.0.1", 8080))

    host.run(use)


@pytest.mark.parametrize("protocol", ["tcp", "udp"])
def test_who_holds_a_port_is_named(host, protocol):
    kind = "SOCK_STREAM" if protocol == "tcp" else "SOCK_DGRAM"
    listen = "s.listen()" if protocol == "tcp" else ""
    script = (
        f"import socket; s = socket.socket(socket.AF_INET, socket.{kind}); "
        f"s.bind(('127.0.0.1', 8080)); {listen}\nprint('ready', flush=True)\ninput()"
    )

    def use() -> None:
        server = subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        try:
            assert server.stdout.readline() == b"ready\n"
            with pytest.raises(
                AlreadyExistsError,
                match=rf"port 8080 is already in use by python\S* \(process {server.pid}\)",
            ):
                reserve([port(8080, protocol=protocol)])
        finally:
            server.communicate(b"\n")

    host.run(use)


def test_connections_that_linger_do_not_block_a_port(host):
    def use() -> None:
        with socket.create_server(("127.0.0.1", 8080)) as server:
            client = socket.create_connection(("127.0.0.1", 8080))
            accepted, _ = server.accept()
            accepted.close()  # the server's side closes first and lingers in TIME_WAIT
            client.recv(1)
            client.close()
        with reserve([port(8080)]), pytest.raises(AlreadyExistsError):
            reserve([port(8080)])

    host.run(use)


def test_heir_of_the_sockets_holds_the_port_until_it_ends(host):
    def use() -> None:
        with reserve([port(8080)]) as reservation:
            heir = subprocess.Popen(["sleep", "60"], pass_fds=reservation.fds)
            plain = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        try:
            with pytest.raises(AlreadyExistsError):
                reserve([port(8080)])
        finally:
            heir.kill()
            heir.wait()
        reserve([port(8080)]).close()  # the other child did not inherit them
        plain.communicate(b"\n")

    host.run(use)


@pytest.mark.parametrize(
    ("bad", "error"),
    [
        (port(80, "192.0.2.77"), InvalidArgumentError),
        (port(80, "localhost"), InvalidArgumentError),
    ],
)
def test_address_that_cannot_be_published_on(host, bad, error):
    def use() -> None:
        with pytest.raises(error, match="cannot publish on"):
            reserve([port(8081), bad])
        reserve([port(8081)]).close()

    host.run(use)


def test_of_a_range_the_first_free_port_is_taken(host):
    def use() -> None:
        wanted = port(8000)
        last = {wanted: 8001}
        with reserve([wanted], last) as first, reserve([wanted], last) as second:
            assert [item.ports[0].host_port for item in (first, second)] == [8000, 8001]
            with pytest.raises(AlreadyExistsError):
                reserve([wanted], last)

    host.run(use)
