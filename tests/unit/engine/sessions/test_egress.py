"""The proxy of an allow list: attacks over real sockets; names and routes are seams."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import pytest

from jupyter_containers.engine.sessions.allowlist import AllowList
from jupyter_containers.engine.sessions.egress import Egress

PUBLIC = "151.101.0.223"
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


@dataclass
class World:
    """Names, and a server behind every address, which keeps what it receives."""

    names: dict[str, list[Sequence[str]]] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    connected: list[tuple[str, int]] = field(default_factory=list)
    received: list[bytes] = field(default_factory=list)
    served: threading.Event = field(default_factory=threading.Event)

    def resolve(self, host: str, port: int) -> Sequence[str]:
        self.resolved.append(host)
        answers = self.names.get(host)
        if not answers:
            raise socket.gaierror("unknown")
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def connect(self, address: str, port: int) -> socket.socket:
        self.connected.append((address, port))
        ours, theirs = socket.socketpair()
        threading.Thread(target=self._serve, args=(theirs,), daemon=True).start()
        return ours

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):  # the proxy may end first
            connection.settimeout(5)
            data = connection.recv(1 << 16)
            connection.sendall(ANSWER)
            connection.shutdown(socket.SHUT_WR)
            while block := connection.recv(1 << 16):
                data += block
            self.received.append(data)
            self.served.set()


@pytest.fixture
def world() -> World:
    return World({"pypi.org": [[PUBLIC]], "files.example.org": [[PUBLIC]]})


@pytest.fixture
def egress(world: World) -> Iterator[Egress]:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    proxy = Egress(
        listener,
        AllowList.of(["pypi.org", "*.example.org"]),
        resolve=world.resolve,
        connect=world.connect,
    )
    proxy.port = port  # type: ignore[attr-defined]  # for the tests
    yield proxy
    proxy.close()


@pytest.fixture
def ask(egress: Egress) -> Callable[[bytes], bytes]:
    def send(data: bytes) -> bytes:
        port = egress.port  # type: ignore[attr-defined]  # see above
        with socket.create_connection(("127.0.0.1", port), 5) as client:
            client.sendall(data)
            client.shutdown(socket.SHUT_WR)
            answer = b""
            while block := client.recv(1 << 16):
                answer += block
            return answer

    return send


Ask = Callable[[bytes], bytes]


def test_a_tunnel_leads_to_an_allowed_host(ask: Ask, world: World) -> None:
    answer = ask(b"CONNECT pypi.org:443 HTTP/1.1\r\nHost: pypi.org:443\r\n\r\nhello")
    assert answer == b"HTTP/1.1 200 Connection established\r\n\r\n" + ANSWER
    assert world.served.wait(5)
    assert (world.received, world.connected) == ([b"hello"], [(PUBLIC, 443)])


def test_a_request_is_forwarded_with_the_host_of_its_address(ask: Ask, world: World) -> None:
    answer = ask(
        b"GET http://files.example.org/a?b=1 HTTP/1.1\r\nHost: files.example.org\r\n"
        b"Proxy-Authorization: Basic x\r\nConnection: keep-alive\r\nAccept: */*\r\n\r\n"
    )
    assert answer == ANSWER
    assert world.served.wait(5)
    assert world.received == [
        b"GET /a?b=1 HTTP/1.1\r\nHost: files.example.org\r\nAccept: */*\r\n"
        b"Connection: close\r\n\r\n"
    ]


@pytest.mark.parametrize(
    ("request_line", "reason"),
    [
        ("CONNECT evil.com:443", "not on the allow list"),
        ("CONNECT pypi.org.evil.com:443", "not on the allow list"),
        ("CONNECT example.org:443", "not on the allow list"),
        (f"CONNECT {PUBLIC}:443", "given by its name"),
        ("CONNECT 127.0.0.1:443", "given by its name"),
        ("CONNECT 2130706433:443", "given by its name"),
        ("CONNECT [::1]:443", "given by its name"),
        ("CONNECT localhost:443", "given by its name"),
        ("CONNECT pypi.org@evil.com:443", "given by its name"),
        ("CONNECT pypi.org:22", "other ports"),
        ("CONNECT pypi.org:80", "other ports"),
        ("CONNECT pypi.org:0443", "other ports"),
        ("CONNECT pypi.org", "given by its name"),
        ("GET http://evil.com/", "not on the allow list"),
        ("GET http://pypi.org@evil.com/", "a proxy takes"),
        ("GET http://pypi.org:8080/", "other ports"),
        ("GET http://169.254.169.254/latest/meta-data", "given by its name"),
        ("GET https://pypi.org/", "a proxy takes"),
        ("GET ftp://pypi.org/", "a proxy takes"),
        ("GET /etc/passwd", "a proxy takes"),
        ("GET http://pypi.org:99999/", "not a URL"),
    ],
)
def test_what_is_not_allowed_is_refused_and_noted(
    ask: Ask, world: World, egress: Egress, request_line: str, reason: str
) -> None:
    answer = ask(f"{request_line} HTTP/1.1\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 4")
    assert not world.connected
    [refusal] = egress.refused_since(0)
    assert reason in str(refusal)


@pytest.mark.parametrize(
    "addresses",
    [["127.0.0.1"], ["10.0.0.5"], ["169.254.169.254"], ["::ffff:127.0.0.1"], ["64:ff9b::7f00:1"]],
)
def test_a_name_of_a_private_address_is_refused(
    ask: Ask, world: World, egress: Egress, addresses: list[str]
) -> None:
    world.names["pypi.org"] = [addresses]
    assert ask(b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\n").startswith(b"HTTP/1.1 403")
    assert not world.connected
    assert "no public address" in str(egress.refused_since(0)[0])


def test_a_rebound_name_is_resolved_once(ask: Ask, world: World) -> None:
    """The second answer of the name server is private.

    ``connect`` would resolve the name again, so it receives the address.
    """
    world.names["pypi.org"] = [[PUBLIC], ["127.0.0.1"]]
    ask(b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\nx")
    assert (world.resolved, world.connected) == (["pypi.org"], [(PUBLIC, 443)])
    assert ask(b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\nx").startswith(b"HTTP/1.1 403")
    assert len(world.connected) == 1


@pytest.mark.parametrize(
    "headers",
    [
        "Host: evil.com",
        "Host: pypi.org\r\nHost: evil.com",
        "Host : evil.com",
        "Host: pypi.org\r\n evil.com",
        "Host: pypi.org\nHost: evil.com",
        "Transfer-Encoding: chunked",
        "Content-Length: 1\r\nContent-Length: 2",
        "Content-Length: +1",
        "nothing",
    ],
)
def test_headers_that_servers_read_otherwise_are_refused(
    ask: Ask, world: World, headers: str
) -> None:
    answer = ask(f"GET http://pypi.org/ HTTP/1.1\r\n{headers}\r\n\r\n".encode())
    assert answer.startswith(b"HTTP/1.1 400")
    assert not world.connected


def test_a_second_request_of_a_connection_goes_nowhere(ask: Ask, world: World) -> None:
    """Bytes after the body are not sent to the server."""
    ask(
        b"POST http://pypi.org/ HTTP/1.1\r\nHost: pypi.org\r\nContent-Length: 2\r\n\r\nab"
        b"GET / HTTP/1.1\r\nHost: evil.com\r\n\r\n"
    )
    assert world.served.wait(5)
    assert world.received[0].endswith(b"\r\n\r\nab")
    assert b"evil" not in world.received[0]


def test_a_huge_head_is_refused(ask: Ask, world: World, egress: Egress) -> None:
    head = b"GET http://pypi.org/ HTTP/1.1\r\n" + b"A: " + b"x" * 100_000 + b"\r\n\r\n"
    assert ask(head).startswith(b"HTTP/1.1 431")
    assert not world.connected
    assert "longer than" in str(egress.refused_since(0)[0])


def test_refusals_are_counted_and_the_last_ones_kept(ask: Ask, egress: Egress) -> None:
    for number in [*range(250), 7, 7]:
        ask(f"CONNECT h{number}.evil.com:443 HTTP/1.1\r\n\r\n".encode())
    assert egress.count == 252
    assert [refusal.target for refusal in egress.refused_since(250)] == ["h7.evil.com:443"]
    assert len(egress.refused_since(0)) == 199
    assert egress.refused_since(252) == ()


def test_the_end_of_the_proxy_ends_its_connections(egress: Egress) -> None:
    port = egress.port  # type: ignore[attr-defined]  # see above
    with socket.create_connection(("127.0.0.1", port), 5) as client:
        client.sendall(b"CONNECT pypi.org:443 HTTP/1.1\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 200")
        egress.close()
        client.settimeout(5)
        while client.recv(1000):
            pass
    with pytest.raises(ConnectionError):
        socket.create_connection(("127.0.0.1", port), 5)
