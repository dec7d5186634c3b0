"""Connections to ports published on ``[::1]`` reach the container, as with Docker's proxy.

Seen to fail before: they were refused ("the kernel routes nothing from there to a network").
"""

from __future__ import annotations

import os
import socket
import subprocess
import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.network.model import PublishedPort
from jupyter_containers.network.ports import reserve
from tests.integration.waiting import until

pytestmark = pytest.mark.skipif(not socket.has_ipv6, reason="needs IPv6")


@contextmanager
def relayed(protocol: str, port: int) -> Iterator[int]:
    """Yield the port of ``::1`` that a relay leads to 127.0.0.1."""
    container = subprocess.Popen(["sleep", "60"])
    wanted = PublishedPort(
        host_ip="::1",
        host_port=0,
        container_ip="127.0.0.1",
        container_port=port,
        protocol="tcp" if protocol == "tcp" else "udp",
    )
    try:
        with reserve([wanted]) as held:
            process = os.pidfd_open(container.pid)
            held.relay(process)
            os.close(process)
            number = held.ports[0].host_port
        yield number
    finally:
        container.kill()
        container.wait()
    until(lambda: not relays(f",127.0.0.1,{port}"), 10)


def relays(word: str) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            line = (entry / "cmdline").read_bytes()
        except OSError:
            continue
        if b"network/relay.py" in line and word.encode() in line:
            found.append(int(entry.name))
    return found


def test_a_published_port_of_a_container(engine: Engine, busybox: str) -> None:
    script = "echo it works > /index.html && exec httpd -f -p 80 -h /"
    engine.run(busybox, ["sh", "-c", script], detach=True, name="six", publish="[::1]:0:80")
    [port] = engine.containers.get("six").record.ports
    assert (port.host_ip, port.container_port) == ("::1", 80)

    def read() -> bytes:
        try:
            with urllib.request.urlopen(f"http://[::1]:{port.host_port}/", timeout=5) as answer:
                return bytes(answer.read())
        except OSError:
            return b""

    until(lambda: read() == b"it works\n", 20)
    shown = engine.system.inspect("six")["NetworkSettings"]["Ports"]["80/tcp"]
    assert shown == [{"HostIp": "::1", "HostPort": str(port.host_port)}]
    [pid] = relays(f"tcp,{port.container_ip},80")
    status = Path(f"/proc/{pid}/status").read_text()
    assert "Uid:\t65534\t65534\t65534\t65534" in status
    assert "CapEff:\t0000000000000000" in status
    engine.containers.remove("six", force=True)
    until(lambda: not relays(f"tcp,{port.container_ip},80"), 10)
    with socket.socket(socket.AF_INET6) as sock:
        until(lambda: sock.connect_ex(("::1", port.host_port)) != 0, 10)


def test_each_direction_ends_by_itself() -> None:
    """A client that has sent all still gets the answer, however long it is."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve() -> None:
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as file:
            connection.sendall(file.read() * 200)

    server = threading.Thread(target=serve)
    server.start()
    data = os.urandom(50_000)
    with (
        relayed("tcp", listening.getsockname()[1]) as port,
        socket.create_connection(("::1", port), 10) as client,
    ):
        client.sendall(data)
        client.shutdown(socket.SHUT_WR)
        with client.makefile("rb") as file:
            assert file.read() == data * 200
    server.join()
    listening.close()


def test_where_nobody_listens_the_client_sees_the_end() -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        number = free.getsockname()[1]
    with relayed("tcp", number) as port, socket.create_connection(("::1", port), 10) as client:
        assert client.recv(1) == b""


def test_datagrams_come_back_to_who_asked() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server:
        server.bind(("127.0.0.1", 0))
        server.settimeout(10)
        with relayed("udp", server.getsockname()[1]) as port:
            clients = [socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) for _ in range(3)]
            for number, client in enumerate(clients):
                client.settimeout(10)
                client.connect(("::1", port))
                client.send(b"%d" % number)
            for _ in clients:
                data, peer = server.recvfrom(100)
                server.sendto(b"answer to " + data, peer)
            for number, client in enumerate(clients):
                assert client.recv(100) == b"answer to %d" % number
                client.close()


def test_a_relay_ends_with_its_container_though_connections_last() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        number = listening.getsockname()[1]
        with relayed("tcp", number) as port:
            client = socket.create_connection(("::1", port), 10)
            listening.accept()[0].close()
            assert len(relays(f",127.0.0.1,{number}")) == 1
        client.close()
