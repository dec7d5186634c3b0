"""Networks of containers: none, host, the default bridge, named ones, published ports."""

from __future__ import annotations

import re
import socket
import subprocess
import threading
import urllib.request
from contextlib import suppress

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.errors import (
    AlreadyExistsError,
    ContainerFailedError,
    InUseError,
    InvalidArgumentError,
    NetworkNotFoundError,
)
from jupyter_containers.network.sysctl import leads_to_loopback, write_sysctl
from tests.integration.engine_fixtures import Place
from tests.integration.waiting import until
from tests.ports import free_port

_SERVE = "mkdir -p /www; echo $HOSTNAME > /www/index.html; exec httpd -f -p 80 -h /www"


def server(engine: Engine, image: str, **flags: object) -> Container:
    container = engine.run(image, ["sh", "-c", _SERVE], detach=True, **flags)
    until(lambda: get(container, "127.0.0.1") is not None)
    return container


def fetch(address: str) -> str:
    with urllib.request.urlopen(f"http://{address}/", timeout=5) as answer:
        return answer.read().decode().strip()


def get(container: Container, address: str) -> str | None:
    """Return a container's answer from an address, None if there is none."""
    host, _, port = address.partition(":")
    # The wget of Debian's static busybox crashes in any root without glibc's name service files.
    command = ["nc", "-w", "1", host, port or "80"]
    try:
        answer = container.exec(command, stdin=b"GET / HTTP/1.0\r\n\r\n").output
    except ContainerFailedError:
        return None
    return answer.strip().splitlines()[-1]


def test_none_has_loopback_only(engine: Engine, busybox: str) -> None:
    script = "ls /sys/class/net; ping -c 1 -W 1 127.0.0.1 > /dev/null && echo alive"
    result = engine.run(busybox, ["sh", "-c", script], network="none", rm=True)
    assert result.output == "lo\nalive\n"


def test_host_is_the_hosts_network(engine: Engine, busybox: str) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        port = listener.getsockname()[1]

        def serve() -> None:
            listener.accept()[0].close()

        thread = threading.Thread(target=serve)
        thread.start()
        engine.run(busybox, ["nc", "127.0.0.1", str(port)], network="host", rm=True)
        thread.join()
    names = engine.run(busybox, ["ls", "/sys/class/net"], network="host", rm=True).output
    assert "eth0" in names or "lo" in names
    hostname = engine.run(busybox, ["hostname"], network="host", rm=True).output.strip()
    assert hostname == socket.gethostname()


def test_the_default_bridge(engine: Engine, busybox: str) -> None:
    web = server(engine, busybox, name="web")
    assert get(web, "127.0.0.1") == web.short_id
    other = engine.run(busybox, ["sleep", "60"], detach=True, name="other")
    assert get(other, web.ip_address) == web.short_id
    # It resolves no names, but every container knows itself and the host.
    assert get(other, "web") is None
    hosts = other.exec(["cat", "/etc/hosts"]).output
    assert f"{other.ip_address}\t{other.short_id}" in hosts
    assert "host.docker.internal" in hosts
    document = engine.system.inspect("web")["NetworkSettings"]
    assert document["IPAddress"] == web.ip_address
    assert document["Networks"]["bridge"]["Gateway"] == document["Gateway"]
    assert re.fullmatch(r"([0-9a-f]{2}:){5}[0-9a-f]{2}", document["MacAddress"])


def test_published_ports(engine: Engine, busybox: str) -> None:
    web = server(engine, busybox, publish=["80", "0.0.0.0::80"], expose=["81"])
    ports = {port.host_ip: port.host_port for port in web.record.ports}
    assert set(ports) == {"127.0.0.1", "0.0.0.0"}
    for number in ports.values():
        assert fetch(f"127.0.0.1:{number}") == web.short_id
    assert web.ports[-1] == "81/tcp"
    document = engine.system.inspect(web.id)["NetworkSettings"]["Ports"]
    assert document["81/tcp"] is None
    assert {item["HostIp"] for item in document["80/tcp"]} == set(ports)
    # The container reaches itself and others by the published port of the host's bridge address.
    gateway = engine.system.inspect(web.id)["NetworkSettings"]["Gateway"]
    assert get(web, f"{gateway}:{ports['0.0.0.0']}") == web.short_id
    web.stop(timeout=0)
    for number in ports.values():
        with pytest.raises(OSError, match=r"refused|reset"):
            fetch(f"127.0.0.1:{number}")


def test_publish_all_takes_what_is_exposed(engine: Engine, busybox: str) -> None:
    web = server(engine, busybox, publish_all=True, expose=["80", "53/udp"])
    published = {(port.container_port, port.protocol) for port in web.record.ports}
    assert published == {(80, "tcp"), (53, "udp")}
    number = next(port.host_port for port in web.record.ports if port.protocol == "tcp")
    assert fetch(f"127.0.0.1:{number}") == web.short_id


def test_equal_ranges(engine: Engine, busybox: str) -> None:
    base = free_port()
    container = engine.containers.create(
        busybox, ["true"], publish=[f"{base}-{base + 2}:8000-8002"]
    )
    assert [
        (mapping.host_port, mapping.container_port) for mapping in container.record.options.publish
    ] == [(base + number, 8000 + number) for number in range(3)]


def test_names_on_a_network_of_ones_own(engine: Engine, busybox: str) -> None:
    engine.networks.create("shop")
    try:
        web = server(engine, busybox, name="web", network="shop")
        db = server(engine, busybox, name="db", network="shop")
        lone = server(engine, busybox, name="lone")
        assert get(web, "db") == db.short_id
        assert get(db, "web") == web.short_id
        assert get(db, web.short_id) == web.short_id
        # Other networks know neither the names nor the way.
        assert get(lone, "web") is None
        assert get(lone, web.ip_address) is None
        assert get(web, lone.ip_address) is None
        # A restart may change the address; the name leads to the new one, both ways.
        web.stop(timeout=0)
        assert get(db, "web") is None
        assert "web" not in db.exec(["cat", "/etc/hosts"]).output
        taker = engine.run(busybox, ["sleep", "60"], detach=True, network="shop", name="taker")
        web.start()
        until(lambda: get(db, "web") == web.short_id)
        assert get(web, "db") == db.short_id
        assert web.ip_address != taker.ip_address
        # A rename is known to the others at the next start.
        with pytest.raises(InUseError, match="shop"):
            engine.networks.remove("shop")
        document = engine.system.inspect("shop", kind="network")
        assert {item["Name"] for item in document["Containers"].values()} == {"web", "db", "taker"}
        for container in (web, db, taker, lone):
            container.remove(force=True)
    finally:
        for container in engine.containers(all=True):
            container.remove(force=True)
        until(lambda: _removed(engine, "shop"))


def _removed(engine: Engine, name: str) -> bool:
    try:
        engine.networks.remove(name)
    except InUseError:
        return False  # the kernel takes a veth pair away a moment after its container ended
    return True


def test_an_internal_network_has_no_way_out(engine: Engine, busybox: str) -> None:
    engine.networks.create("inner", internal=True, subnet="10.213.7.0/24")
    try:
        web = server(engine, busybox, name="web", network="inner")
        other = engine.run(busybox, ["sleep", "60"], detach=True, network="inner")
        assert web.ip_address.startswith("10.213.7.")
        assert get(other, "web") == web.short_id
        outside = server(engine, busybox)
        assert get(other, outside.ip_address) is None
        for container in engine.containers():
            container.remove(force=True)
    finally:
        until(lambda: _removed(engine, "inner"))


def test_networks_are_made_and_found_and_refused(engine: Engine, busybox: str) -> None:
    made = engine.networks.create("extra", label="a=b")
    try:
        assert made.labels == {"a": "b"}
        names = [item.name for item in engine.networks()]
        assert names[:3] == ["bridge", "host", "none"]
        assert "extra" in names
        with pytest.raises(AlreadyExistsError):
            engine.networks.create("extra")
        with pytest.raises(AlreadyExistsError):
            engine.networks.create("overlapping", subnet=made.subnet)
        for name in ("bridge", "host", "none", "default", "-x"):
            with pytest.raises(InvalidArgumentError):
                engine.networks.create(name)
        with pytest.raises(InvalidArgumentError):
            engine.networks.remove("bridge")
        with pytest.raises(NetworkNotFoundError) as caught:
            engine.run(busybox, ["true"], network="extr", rm=True)
        assert "extra" in caught.value.hint
        engine.run(busybox, ["true"], network=made.id[:12], rm=True)
        assert engine.containers(all=True) == []
    finally:
        until(lambda: _removed(engine, "extra"))
    assert "extra" not in [item.name for item in engine.networks()]


def test_a_network_goes_right_after_its_last_container(engine: Engine, busybox: str) -> None:
    for number in range(3):
        engine.networks.create(f"brief-{number}")
        flags = {"network": f"brief-{number}", "detach": True}
        boxes = [engine.run(busybox, ["sleep", "60"], **flags) for _ in range(3)]
        with pytest.raises(InUseError):
            engine.networks.remove(f"brief-{number}")
        for box in boxes:
            box.remove(force=True)
        # The kernel may still have the ends of their links on the bridge.
        engine.networks.remove(f"brief-{number}")


def test_a_connection_that_outlives_its_container_does_not_keep_the_network(
    engine: Engine, busybox: str
) -> None:
    engine.networks.create("parting")
    engine.run(
        busybox, ["nc", "-ll", "-p", "9", "-e", "cat"], detach=True, name="far", network="parting"
    )
    # Connected, then unreachable: the other side's FIN does not arrive.
    talk = "sleep 100 | nc far 9 & sleep 0.5; kill -STOP $!; echo still; sleep 100"
    near = engine.run(busybox, ["sh", "-c", talk], detach=True, name="near", network="parting")
    until(lambda: b"still" in b"".join(line.data for line in near.logs()))
    engine.containers.remove("far", force=True)
    # Now its kernel keeps sending FIN to a peer that no longer exists.
    engine.containers.remove("near", force=True)
    engine.networks.remove("parting")
    assert "parting" not in [network.name for network in engine.networks()]


def _loops(attacker: Container, port: int) -> str:
    """Return the answer of a port to a container that routes 127.0.0.1 to its gateway."""
    script = (
        "set -- $(ip route | grep ^default); ip addr del 127.0.0.1/8 dev lo 2>/dev/null;"
        " ip route replace 127.0.0.1/32 via $3 dev eth0 || exit 9;"
        f" echo | nc -w 1 127.0.0.1 {port}; true"
    )
    return attacker.exec(["sh", "-c", script]).stdout.decode().strip()


def test_flushed_rules_open_no_service_of_the_host(engine: Engine, busybox: str) -> None:
    """The bridge leads to the host's loopback while a port needs it, and then by one port only.

    Seen to fail at 39323e0: with the table gone, the service of the host answered.
    """
    context = engine._context

    def flush() -> None:  # only the table of this store
        subprocess.run(["nft", "delete", "table", "inet", context.firewall.table], check=True)

    def answer() -> None:
        with suppress(OSError):
            while True:
                with listener.accept()[0] as connection:
                    connection.sendall(b"of the host\n")

    with socket.create_server(("127.0.0.1", 0)) as listener:
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        attacker = engine.run(
            busybox,
            ["sleep", "100"],
            detach=True,
            cap_add=["NET_ADMIN"],
            sysctl={"net.ipv4.conf.all.route_localnet": "1"},
        )
        interface = context.networks.by_name("bridge").interface
        assert _loops(attacker, port) == ""
        flush()
        assert _loops(attacker, port) == ""
        number = free_port()
        published = server(engine, busybox, name="published", publish=f"{number}:80")
        assert fetch(f"127.0.0.1:{number}")
        assert leads_to_loopback(interface)
        flush()
        assert _loops(attacker, port) == ""
        published.stop()
        assert not leads_to_loopback(interface)
        listener.shutdown(socket.SHUT_RDWR)
        thread.join()


def test_a_port_that_a_killed_engine_left_is_closed_by_the_next(
    engine: Engine, place: Place, busybox: str
) -> None:
    """``route_localnet`` that nothing needs goes at the start of an engine."""
    engine.run(busybox, ["true"], rm=True)
    interface = engine._context.networks.by_name("bridge").interface
    write_sysctl(f"ipv4/conf/{interface}/route_localnet", "1")
    with place.engine():
        assert not leads_to_loopback(interface)
