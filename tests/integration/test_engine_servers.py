"""Real servers and clients in containers, and the kernel's own view before and after.

One image with redis, PostgreSQL, nginx and curl is built from Debian's packages once a session.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import tarfile
import time
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.containers.container import Container
from tests.integration.test_engine_networks import _removed
from tests.integration.waiting import until
from tests.ports import free_port

_PACKAGES = "redis-server postgresql nginx-light curl libnss-myhostname-"
_DOCKERFILE = f"""
FROM debian:bookworm-slim
RUN apt-get update && apt-get install -y --no-install-recommends {_PACKAGES}
RUN echo from nginx > /var/www/html/index.html
"""
_POSTGRES = """
set -e
cd /etc/postgresql/*/main
echo "listen_addresses = '*'" >> postgresql.conf
echo "host all all 0.0.0.0/0 trust" >> pg_hba.conf
exec su postgres -c "exec /usr/lib/postgresql/*/bin/postgres -D $PWD"
"""


@pytest.fixture(scope="module")
def servers(engine: Engine, debian: str) -> str:
    """Return the name of the image with the servers."""
    del debian  # asked for: it is in the store
    engine.build(dockerfile=_DOCKERFILE, tag="servers:test")
    return "servers:test"


def view(engine: Engine) -> tuple[set[str], str]:
    """Return the kernel's state of the engine's networks: links, and the maps of its table."""
    links = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True).stdout
    names = set(re.findall(r"^\d+: (jcv\w+)", links, re.MULTILINE))
    table = engine._context.firewall.table
    rules = subprocess.run(
        ["nft", "list", "table", "inet", table], capture_output=True, text=True, check=False
    ).stdout
    return names, "\n".join(line for line in rules.splitlines() if " : " in line)


@pytest.fixture
def shop(engine: Engine, busybox: str) -> Iterator[Engine]:
    """Yield the engine with the network ``shop``; the kernel sees nothing more afterwards."""
    del busybox
    engine.networks.create("shop")
    links, published = view(engine)
    yield engine
    for container in engine.containers(all=True):
        container.remove(force=True, volumes=True)
    until(lambda: view(engine)[0] <= links)
    assert view(engine)[1] == published
    until(lambda: _removed(engine, "shop"))


def test_redis(shop: Engine, servers: str) -> None:
    shop.run(servers, ["redis-server", "--protected-mode", "no"], detach=True, name="store",
             network="shop")  # fmt: skip
    client = shop.run(servers, ["sleep", "600"], detach=True, network="shop")
    ask = ["redis-cli", "-h", "store"]
    until(lambda: client.exec([*ask, "ping"], check=False).output == "PONG\n")
    client.exec([*ask, "set", "colour", "red"])
    assert client.exec([*ask, "get", "colour"]).output == "red\n"


def test_postgres_by_name_and_by_published_port(shop: Engine, servers: str) -> None:
    database = shop.run(
        servers, ["bash", "-c", _POSTGRES], detach=True, name="db", network="shop", publish=["5432"]
    )
    client = shop.run(servers, ["sleep", "600"], detach=True, network="shop")
    ask = ["psql", "-h", "db", "-U", "postgres", "-Atc", "select 6*7"]
    until(lambda: client.exec(ask, check=False).output == "42\n", 30)
    port = database.record.ports[0].host_port
    with socket.create_connection(("127.0.0.1", port), timeout=5) as sock:
        sock.sendall(bytes([0, 0, 0, 8, 4, 210, 22, 47]))  # SSLRequest
        assert sock.recv(1) in (b"S", b"N")


def test_http_from_the_host_another_container_and_itself(shop: Engine, servers: str) -> None:
    argv = ["nginx", "-g", "daemon off;"]
    web = shop.run(servers, argv, detach=True, name="web", network="shop", publish=["0.0.0.0::80"])
    client = shop.run(servers, ["sleep", "600"], detach=True, network="shop")
    port = web.record.ports[0].host_port
    gateway = shop.system.inspect("web")["NetworkSettings"]["Networks"]["shop"]["Gateway"]
    until(lambda: client.exec(["curl", "-sf", "http://web/"], check=False).output)
    with urllib.request.urlopen(f"http://127.0.0.1:{port}/", timeout=5) as answer:
        assert answer.read() == b"from nginx\n"
    for container in (client, web):
        for address in ("web", f"{gateway}:{port}", f"host.docker.internal:{port}"):
            seen = container.exec(["curl", "-sf", "-m", "5", f"http://{address}/"], check=False)
            assert seen.output == "from nginx\n", (container.name, address)


def test_names_in_both_directions(shop: Engine, servers: str) -> None:
    first = shop.run(servers, ["sleep", "600"], detach=True, name="one", network="shop",
                     network_alias=["api"])  # fmt: skip
    second = shop.run(servers, ["sleep", "600"], detach=True, name="two", network="shop")
    for name in ("one", "api", first.short_id):
        assert second.exec(["getent", "ahostsv4", name]).output.split()[0] == first.ip_address
    assert "one" in second.exec(["getent", "hosts", first.ip_address]).output
    assert "two" in first.exec(["getent", "hosts", second.ip_address]).output
    # The host by both of its names.
    for name in ("host.docker.internal", "host.containers.internal"):
        gateway = second.exec(["getent", "hosts", name]).output.split()[0]
        assert (
            gateway == shop.system.inspect("shop", kind="network")["IPAM"]["Config"][0]["Gateway"]
        )


@pytest.mark.skipif(shutil.which("musl-gcc") is None, reason="needs musl-gcc (musl-tools)")
def test_names_with_musl(shop: Engine, tmp_path: Path) -> None:
    source = tmp_path / "resolve.c"
    source.write_text(
        "#include <netdb.h>\n#include <stdio.h>\n#include <arpa/inet.h>\n"
        "int main(int n, char **v) { struct addrinfo *r, h = {.ai_family = AF_INET}; char b[64];\n"
        "  if (getaddrinfo(v[1], 0, &h, &r)) return 1;\n"
        "  inet_ntop(AF_INET, &((struct sockaddr_in *)r->ai_addr)->sin_addr, b, 64);\n"
        "  puts(b); return 0; }\n"
    )
    subprocess.run(["musl-gcc", "-static", "-o", tmp_path / "resolve", source], check=True)
    with tarfile.open(tmp_path / "root.tar", "w") as archive:
        archive.add(tmp_path / "resolve", "resolve")
    shop.images.import_archive(tmp_path / "root.tar", "musl:test")
    peer = shop.run("busybox", ["sleep", "600"], detach=True, name="peer", network="shop")
    for name in ("peer", peer.short_id):
        seen = shop.run("musl:test", ["/resolve", name], network="shop", rm=True)
        assert seen.output.strip() == peer.ip_address
    assert shop.run("musl:test", ["/resolve", "peer"], rm=True, check=False).exit_code == 1


def test_apt_through_nat(shop: Engine, servers: str) -> None:
    said = shop.run(servers, ["apt-get", "update"], network="shop", rm=True, check=False)
    if b"Temporary failure resolving" in said.stderr or said.exit_code:
        pytest.skip(f"Debian's archive is not reachable from here: {said.stderr[-200:]!r}")
    assert "Reading package lists" in said.output


def test_two_networks_and_the_way_out(engine: Engine, shop: Engine) -> None:
    engine.networks.create("inside", internal=True)
    try:
        web = shop.run("busybox", ["httpd", "-f", "-p", "80"], detach=True, network="shop")
        probe = "ping -c 1 -W 1 {} > /dev/null && echo reached || echo nothing"
        gateway = engine.system.inspect("shop", kind="network")["IPAM"]["Config"][0]["Gateway"]
        for network, target, expected in (
            ("shop", web.ip_address, "reached"),
            ("bridge", web.ip_address, "nothing"),
            ("inside", web.ip_address, "nothing"),
            ("inside", _uplink(), "nothing"),
            ("shop", _uplink(), "reached"),
            ("shop", gateway, "reached"),
        ):
            command = ["sh", "-c", probe.format(target)]
            seen = shop.run("busybox", command, network=network, rm=True).output.strip()
            assert seen == expected, (network, target)
    finally:
        until(lambda: _removed(engine, "inside"))


def _uplink() -> str:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.77", 9))
        return str(probe.getsockname()[0])


def test_a_port_is_free_again_after_a_crash(shop: Engine) -> None:
    number = free_port()
    for _ in range(3):
        web = shop.run(
            "busybox", ["httpd", "-f", "-p", "80"], detach=True, publish=[f"{number}:80"]
        )
        state = web.record.state
        assert state.monitor is not None
        assert state.process is not None
        os.kill(state.monitor.pid, signal.SIGKILL)
        os.kill(state.process.pid, signal.SIGKILL)
        until(lambda web=web: not web.reload().status.alive)
    until(lambda: _free(number))


def _free(number: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", number)) != 0


def test_fifty_at_once_have_addresses_of_their_own(shop: Engine) -> None:
    def start(number: int) -> Container:
        found = shop.run(
            "busybox", ["sleep", "600"], detach=True, network="shop", name=f"many-{number}"
        )
        assert isinstance(found, Container)
        return found

    with ThreadPoolExecutor(10) as pool:
        many = list(pool.map(start, range(50)))
    claimed = {container.ip_address for container in many}
    assert len(claimed) == 50
    # The kernel says the same.
    seen = set()
    for container in many:
        line = container.exec(["ip", "-o", "-4", "addr", "show", "eth0"]).output
        seen.add(line.split()[3].partition("/")[0])
    assert seen == claimed
    # Everyone knows everyone.
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        hosts = many[0].exec(["cat", "/etc/hosts"]).output
        if all(f"many-{number}" in hosts for number in range(50)):
            break
    else:
        pytest.fail(f"not all are known: {hosts}")
