"""The name server of networks, asked by programs in containers and from their network namespace.

What Docker answers was frozen from Docker 20.10, and for internal networks from 28.5: there only
"server can't find": SERVFAIL at once.
"""

from __future__ import annotations

import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.resolver import ADDRESS
from tests.integration.account import KINDS, opened
from tests.integration.engine_fixtures import Place
from tests.integration.waiting import until
from tests.unit.network.test_nameserver import AAAA, PTR, A, query

NETWORK = "named"
NXDOMAIN, SERVFAIL = 3, 2


@pytest.fixture
def network(engine: Engine, busybox: str) -> Iterator[str]:
    engine.networks.create(NETWORK, subnet="172.31.79.0/24")
    try:
        yield NETWORK
    finally:
        for container in engine.containers(all=True):
            engine.containers.remove(container.id, force=True)
        engine.networks.remove(NETWORK)


def started(engine: Engine, name: str, **flags: Any) -> str:
    """Return the name of a container that sleeps in the network."""
    flags = {"network": NETWORK} | flags
    engine.run("busybox", ["sleep", "600"], detach=True, name=name, **flags)
    return name


def sh(engine: Engine, name: str, command: str) -> str:
    return engine.containers.exec(name, ["sh", "-c", command], check=False).output


def ask(
    engine: Engine, name: str, wanted: str, kind: int = A, *, tcp: bool = False
) -> tuple[int, list[bytes]]:
    """Return the code and the data of the answers that a container gets."""
    message = query(wanted, kind)

    def asked() -> bytes:
        if tcp:
            with socket.create_connection((ADDRESS, 53), 5) as connection:
                connection.sendall(struct.pack("!H", len(message)) + message)
                with connection.makefile("rb") as file:
                    return file.read(struct.unpack("!H", file.read(2))[0])
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.settimeout(5)
            sock.connect((ADDRESS, 53))
            sock.send(message)
            return sock.recv(65535)

    answer = inside(engine, name, asked)
    assert answer[:2] == message[:2]
    flags, _, count = struct.unpack_from("!3H", answer, 2)
    position, found = len(message), []
    for _ in range(count):
        size = struct.unpack_from("!H", answer, position + 10)[0]
        found.append(answer[position + 12 : position + 12 + size])
        position += 12 + size
    return flags & 15, found


def inside(engine: Engine, name: str, function: Any) -> Any:
    process = engine.containers.get(name).record.state.process
    assert process is not None
    with NetworkNamespace.from_pid(process.pid) as namespace:
        return namespace.run(function)


def address(engine: Engine, name: str) -> bytes:
    found = engine.system.inspect(name)["NetworkSettings"]["Networks"][NETWORK]["IPAddress"]
    return socket.inet_aton(found)


def servers(place: Place) -> list[int]:
    """Return the process ids of name servers of the store."""
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            words = (entry / "cmdline").read_bytes().split(b"\0")
        except OSError:
            continue
        if os.fsencode(place.run_root / "names.lock") in words:
            found.append(int(entry.name))
    return found


def test_names_are_answered_as_by_docker(engine: Engine, network: str) -> None:
    web = started(engine, "web", network_alias="shared")
    started(engine, "web2", network_alias="shared")
    # Docker 20.10 with the same host file and no search domain.
    assert sh(engine, web, "cat /etc/resolv.conf").splitlines() == [
        "nameserver 127.0.0.11",
        "options ndots:0",
    ]
    first, second = address(engine, "web"), address(engine, "web2")
    for tcp in (False, True):
        assert ask(engine, web, "web2", tcp=tcp) == (0, [second])
        assert ask(engine, web, "WEB", tcp=tcp) == (0, [first])
        assert ask(engine, web, "web2", AAAA, tcp=tcp) == (0, [])
        assert ask(engine, web, "nosuch", tcp=tcp) == (NXDOMAIN, [])
    code, both = ask(engine, web, "shared")
    assert (code, sorted(both)) == (0, sorted([first, second]))
    turns = {ask(engine, web, "shared")[1][0] for _ in range(4)}
    assert turns == {first, second}
    reverse = ".".join(str(byte) for byte in reversed(second)) + ".in-addr.arpa"
    assert ask(engine, web, reverse, PTR) == (0, [b"\x04web2\x05named\0"])
    assert ask(engine, web, "web2.named") == (0, [second])
    assert f"Address: {socket.inet_ntoa(second)}" in sh(engine, web, "nslookup web2")
    engine.containers.rename("web2", "other")
    assert ask(engine, web, "web2")[0] == NXDOMAIN
    assert ask(engine, web, "other") == (0, [second])
    engine.containers.remove("other", force=True)
    assert ask(engine, web, "other") == (NXDOMAIN, [])


def test_the_default_network_has_none(engine: Engine, busybox: str, place: Place) -> None:
    text = engine.run(busybox, ["cat", "/etc/resolv.conf"], rm=True).output
    assert ADDRESS not in text


def test_a_program_may_have_port_53(engine: Engine, network: str) -> None:
    """Seen to fail with the sockets at port 53 itself: address already in use."""
    own = started(engine, "own")

    def bound() -> list[tuple[str, int]]:
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as tcp,
        ):
            for one in (udp, tcp):
                one.bind(("0.0.0.0", 53))  # the work of a server in a container
            tcp.listen()
            answered = ask(engine, own, "own")
            assert answered == ask(engine, own, "own", tcp=True) == (0, [address(engine, "own")])
            return [one.getsockname() for one in (udp, tcp)]

    assert inside(engine, own, bound) == [("0.0.0.0", 53)] * 2  # likewise


@contextmanager
def upstream(host: str) -> Iterator[list[bytes]]:
    """Answer at a loopback address of the host, first with another server's identity; yield names.

    The data of the answer is 10.9.8.7.
    """
    seen: list[bytes] = []
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind((host, 53))
    tcp = socket.create_server((host, 53))

    def answer(message: bytes) -> bytes:
        seen.append(message[12:-4])
        record = struct.pack("!HHHIH", 0xC00C, 1, 1, 5, 4) + bytes([10, 9, 8, 7])
        return message[:2] + struct.pack("!5H", 0x8180, 1, 1, 0, 0) + message[12:] + record

    def over_udp() -> None:
        while True:
            message, client = udp.recvfrom(4096)
            if not message:
                return
            udp.sendto(b"\0\0" + answer(message)[2:], client)
            udp.sendto(answer(message), client)

    def over_tcp() -> None:
        while True:
            connection, _ = tcp.accept()
            with connection:
                message = connection.recv(4096)[2:]
                if not message:
                    return
                reply = answer(message)
                connection.sendall(struct.pack("!H", len(reply)) + reply)

    threads = [threading.Thread(target=one) for one in (over_udp, over_tcp)]
    for thread in threads:
        thread.start()
    try:
        yield seen
    finally:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
            sock.sendto(b"", (host, 53))
        socket.create_connection((host, 53)).close()
        for thread in threads:
            thread.join()
        udp.close()
        tcp.close()


def test_other_names_are_asked_of_other_servers(engine: Engine, network: str) -> None:
    """The servers of --dns, in their order; one that does not answer is passed over."""
    with upstream("127.77.0.1") as seen:
        web = started(engine, "web", dns=["127.77.0.2", "127.77.0.1"])
        for tcp in (False, True):
            assert ask(engine, web, "x.example", tcp=tcp) == (0, [bytes([10, 9, 8, 7])])
        assert seen
        assert set(seen) == {query("x.example")[12:-4]}
        assert ask(engine, web, "web") == (0, [address(engine, "web")])
        del seen[:]
        ask(engine, web, "nosuch")
        assert not seen
    assert ask(engine, web, "x.example") == (SERVFAIL, [])


def test_nothing_leaves_an_internal_network(engine: Engine, busybox: str) -> None:
    """As Docker 28 (CVE-2024-29018): a question is a way out.  Its names are answered."""
    engine.networks.create("closed", internal=True)
    try:
        started(engine, "inner", network="closed")
        begun = time.monotonic()
        assert ask(engine, "inner", "secret.example.org") == (SERVFAIL, [])
        assert time.monotonic() - begun < 2
        assert ask(engine, "inner", "inner")[0] == 0
        engine.networks.connect("bridge", "inner")
        engine.networks.disconnect("bridge", "inner")
        assert ask(engine, "inner", "secret.example.org") == (SERVFAIL, [])
        # The container itself queries a server that only it can reach.
        engine.containers.remove("inner", force=True)
        started(engine, "inner", network="closed", dns="10.1.2.3")
        assert sh(engine, "inner", "grep nameserver /etc/resolv.conf") == "nameserver 10.1.2.3\n"
    finally:
        engine.containers.remove("inner", force=True)
        engine.networks.remove("closed")


def test_it_is_nobody_and_ends_with_the_last_container(
    engine: Engine, network: str, place: Place
) -> None:
    started(engine, "web")
    ask(engine, "web", "web")
    [pid] = servers(place)
    status = dict(
        line.split(":\t", 1)
        for line in Path(f"/proc/{pid}/status").read_text().splitlines()
        if ":\t" in line
    )
    assert set(status["Uid"].split()) == set(status["Gid"].split()) == {"65534"}
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["Groups"].strip() == ""
    assert int(status["VmRSS"].split()[0]) < 16 * 1024
    engine.containers.remove("web", force=True)
    until(lambda: not servers(place), 10)


def test_one_that_was_killed_is_started_again(engine: Engine, network: str, place: Place) -> None:
    web, other = started(engine, "web"), started(engine, "other")
    ask(engine, web, "other")
    [pid] = servers(place)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not servers(place), 10)
    # By the next start in such a network …
    started(engine, "third")
    for name in (web, other, "third"):
        assert ask(engine, name, "web") == (0, [address(engine, "web")])
        assert ask(engine, name, "web", tcp=True) == (0, [address(engine, "web")])
    [pid] = servers(place)
    os.kill(pid, signal.SIGKILL)
    until(lambda: not servers(place), 10)
    # … and by the sweep of any engine.
    with place.engine():
        assert ask(engine, other, "third") == (0, [address(engine, "third")])
    assert len(servers(place)) == 1


def test_a_hostile_container_takes_nothing_from_the_others(engine: Engine, network: str) -> None:
    """Garbage, idle connections, unanswered questions, an endless hosts file."""
    web, bad = started(engine, "web"), started(engine, "bad", dns="127.77.0.9")
    held: list[socket.socket] = []

    def attack() -> None:
        sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        held.append(sock)
        for number in range(3000):
            sock.sendto(os.urandom(number % 600), (ADDRESS, 53))
            sock.sendto(query(f"n{number}.example"), (ADDRESS, 53))
        for _ in range(200):
            connection = socket.create_connection((ADDRESS, 53), 5)
            held.append(connection)
            connection.send(b"\xff")

    attacker = threading.Thread(target=inside, args=(engine, bad, attack))
    attacker.start()
    try:
        sh(engine, bad, "yes '10.0.0.1 a b c d e f g h' | head -c 3000000 > /etc/hosts")
        for _ in range(20):
            begun = time.monotonic()
            assert ask(engine, web, "bad") == (0, [address(engine, "bad")])
            assert time.monotonic() - begun < 3
    finally:
        attacker.join()
        for sock in held:
            sock.close()
    assert ask(engine, web, "web", tcp=True) == (0, [address(engine, "web")])


@pytest.mark.parametrize("kind", KINDS)
def test_a_user_without_root(kind: str) -> None:
    with opened(kind) as account:
        account.container("bootstrap busybox")
        account.container("network create mine")
        account.container(
            "run -d --name web --network mine --network-alias shared busybox sleep 60"
        )
        found = account.container("run --rm --network mine busybox nslookup shared")
        address = account.container(
            "inspect -f '{{.NetworkSettings.Networks.mine.IPAddress}}' web"
        ).strip()
        assert f"Address: {address}" in found
        assert "127.0.0.11" in found
        account.container("rm -f web")
