"""Several networks a container: joined at the start and while it runs; names, routes, ports."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.errors import (
    AlreadyExistsError,
    ConflictError,
    InvalidArgumentError,
    InvalidStateError,
    NetworkNotFoundError,
)
from tests.integration.test_engine_networks import _removed, fetch, get, server, until


@pytest.fixture
def two(engine: Engine, busybox: str) -> Iterator[Engine]:
    """Yield the engine with the networks ``front`` (10.214.1.0/24, IPv6) and ``back``."""
    del busybox
    engine.networks.create("front", subnet=["10.214.1.0/24", "fd14:1::/64"], ipv6=True)
    engine.networks.create("back", subnet="10.214.2.0/24", ip_range="10.214.2.128/25")
    yield engine
    for container in engine.containers(all=True):
        if set(container.networks) & {"front", "back"}:
            container.remove(force=True)
    for name in ("front", "back"):
        until(lambda name=name: _removed(engine, name))


def output(container: Container, script: str) -> str:
    return container.exec(["sh", "-c", script], check=False).output


def idle(engine: Engine, image: str, **flags: object) -> Container:
    return engine.run(image, ["sleep", "600"], detach=True, **flags)


def test_several_networks_from_the_start(two: Engine, busybox: str) -> None:
    box = idle(
        two,
        busybox,
        name="box",
        network=["name=front,alias=gate,ip=10.214.1.77,ip6=fd14:1::77", "back"],
        mac_address="92:d0:c6:0a:29:33",
    )
    seen = two.system.inspect("box")["NetworkSettings"]["Networks"]
    assert set(seen) == {"front", "back"}
    assert seen["front"]["IPAddress"] == "10.214.1.77"
    assert seen["front"]["GlobalIPv6Address"] == "fd14:1::77"
    assert seen["front"]["MacAddress"] == "92:d0:c6:0a:29:33"
    assert seen["front"]["IPAMConfig"] == {
        "IPv4Address": "10.214.1.77",
        "IPv6Address": "fd14:1::77",
    }
    assert seen["front"]["Aliases"] == ["gate", box.short_id]
    assert seen["back"]["IPAddress"] == "10.214.2.129"  # the first of the range is the gateway
    links = output(box, "ip -o addr")
    assert "eth0    inet 10.214.1.77/24" in links
    assert "eth1    inet 10.214.2.129/24" in links
    assert "fd14:1::77/64" in links
    # As docker: the network whose name comes first has the default route.
    assert "default via 10.214.2.128 dev eth1" in output(box, "ip route")
    peer = idle(two, busybox, network="front", name="peer")
    for name in ("box", "gate", box.short_id):
        assert "10.214.1.77" in output(peer, f"ping -c 1 -W 2 {name}")
    assert "1 packets received" in output(peer, "ping -6 -c 1 -W 2 fd14:1::77")
    with pytest.raises(AlreadyExistsError, match=r"10\.214\.1\.77 is in use"):
        idle(two, busybox, network="front", ip="10.214.1.77")


def test_networks_are_joined_and_left_while_it_runs(two: Engine, busybox: str) -> None:
    box = idle(two, busybox, name="box", network="front")
    db = server(two, busybox, name="db", network="back")
    assert get(box, "db") is None
    two.networks.connect("back", "box", alias=["store"], ip="10.214.2.200")
    assert "eth1    inet 10.214.2.200/24" in output(box, "ip -o addr")
    assert get(box, "db") == db.short_id
    assert "10.214.2.200" in output(db, "ping -c 1 -W 2 store")
    assert "default via 10.214.2.128" in output(box, "ip route")
    with pytest.raises(AlreadyExistsError, match="already"):
        two.networks.connect("back", "box")
    members = two.system.inspect("back", kind="network")["Containers"].values()
    assert {item["Name"]: item["IPv4Address"] for item in members}["box"] == "10.214.2.200/24"
    two.networks.disconnect("back", "box")
    assert "eth1" not in output(box, "ip -o addr")
    assert "default via 10.214.1.1 dev eth0" in output(box, "ip route")
    assert get(box, "db") is None
    assert "store" not in output(db, "cat /etc/hosts")
    with pytest.raises(NetworkNotFoundError, match="not connected"):
        two.networks.disconnect("back", "box")
    with pytest.raises(NetworkNotFoundError, match="not connected"):
        two.networks.disconnect("back", "box", force=True)
    # It may be left alone altogether, and taken back.
    two.networks.disconnect("front", "box")
    assert output(box, "ip route") == ""
    assert two.system.inspect("box")["NetworkSettings"]["Networks"] == {}
    assert box.short_id not in output(box, "cat /etc/hosts")
    two.networks.connect("front", "box")
    assert "default via 10.214.1.1 dev eth0" in output(box, "ip route")
    # Networks joined while it is stopped are present after the next start.
    box.stop(timeout=0)
    two.networks.connect("back", "box", alias=["store"])
    box.start()
    assert get(box, "db") == db.short_id
    assert "box" in output(db, "cat /etc/hosts")
    actions = [
        event.action for event in two.system.events(follow=False, filters={"type": ["network"]})
    ]
    # Each start and each live connection; ends and live disconnections.
    assert actions.count("connect") >= 5
    assert "disconnect" in actions


def test_ports_follow_the_default_route(two: Engine, busybox: str) -> None:
    web = server(two, busybox, name="web", network="front", publish=["80"])
    number = web.record.ports[0].host_port
    assert fetch(f"127.0.0.1:{number}") == web.short_id
    two.networks.connect("back", "web")
    assert two.containers.get("web").record.ports[0].container_ip.startswith("10.214.2.")
    assert fetch(f"127.0.0.1:{number}") == web.short_id
    two.networks.disconnect("back", "web")
    assert fetch(f"127.0.0.1:{number}") == web.short_id


def test_every_address_is_of_both_families(two: Engine, busybox: str) -> None:
    """As in Docker, only a network with IPv6 forwards IPv6 traffic."""
    every = ["com.docker.network.bridge.host_binding_ipv4=0.0.0.0"]
    two.networks.create("open", subnet=["10.214.3.0/24", "fd14:3::/64"], ipv6=True, opt=every)
    try:
        web = two.run(
            busybox,
            ["sh", "-c", "echo six > /index.html; exec httpd -f -p [::]:80 -h /"],
            detach=True,
            network="open",
            publish=["80"],
        )
        ports = {port.host_ip: port.host_port for port in web.record.ports}
        assert set(ports) == {"0.0.0.0", "::"}
        until(lambda: _answers("127.0.0.1", ports["0.0.0.0"]))
        gateway = two.system.inspect("open", kind="network")["IPAM"]["Config"][1]["Gateway"]
        assert fetch(f"[{gateway}]:{ports['::']}") == "six"
        # The way out is by a network without IPv6 now.
        two.networks.connect("back", web.id)
        assert [port.host_ip for port in web.reload().record.ports] == ["0.0.0.0"]
        assert fetch(f"127.0.0.1:{ports['0.0.0.0']}") == "six"
        assert not _answers(gateway, ports["::"])
        web.remove(force=True)
    finally:
        until(lambda: _removed(two, "open"))


def _answers(address: str, port: int) -> bool:
    try:
        socket.create_connection((address, port), timeout=5).close()
    except OSError:
        return False
    return True


def test_the_network_of_another_container(two: Engine, busybox: str) -> None:
    web = server(two, busybox, name="web", network="front")
    request = "printf 'GET / HTTP/1.0\\r\\n\\r\\n' | nc -w 1 127.0.0.1 80"
    script = f"hostname; cat /etc/hosts; ip -o addr; {request}"
    seen = two.run(busybox, ["sh", "-c", script], network="container:web", rm=True).output
    assert seen.startswith(web.short_id)
    assert f"{web.ip_address}\t{web.short_id}" in seen
    assert "HTTP/1." in seen
    web.stop(timeout=0)
    with pytest.raises(InvalidStateError, match="does not run"):
        two.run(busybox, ["true"], network="container:web", rm=True)
    side = two.containers.create(busybox, ["true"], network="container:web", name="side")
    with pytest.raises(ConflictError, match="network mode"):
        two.networks.connect("back", "side")
    side.remove()


def test_links(two: Engine, busybox: str) -> None:
    db = server(two, busybox, name="db", env=["COLOUR=red"], expose=["80"])
    web = idle(two, busybox, name="web", link=["db:sql"])
    assert get(web, "sql") == db.short_id
    assert get(web, "db") is None or "db" in output(web, "cat /etc/hosts")
    variables = output(web, "env")
    assert f"SQL_PORT_80_TCP_ADDR={db.ip_address}" in variables
    assert f"SQL_PORT=tcp://{db.ip_address}:80" in variables
    assert "SQL_NAME=/web/sql" in variables
    assert "SQL_ENV_COLOUR=red" in variables
    # In a network of one's own a link is a name for one container alone.
    store = server(two, busybox, name="store", network="back")
    reader = idle(two, busybox, name="reader", network="back", link=["store:shelf"])
    other = idle(two, busybox, name="other", network="back")
    assert get(reader, "shelf") == store.short_id
    assert get(other, "shelf") is None
    with pytest.raises(InvalidArgumentError, match="default network"):
        idle(two, busybox, link=["store:shelf"])
    db.stop(timeout=0)
    with pytest.raises(InvalidStateError, match="does not run"):
        idle(two, busybox, link=["db:sql"])
    for name in ("web", "db"):
        two.containers.remove(name, force=True)


def test_a_shared_alias_and_a_rename(two: Engine, busybox: str) -> None:
    first = idle(two, busybox, name="one", network="back", network_alias=["api"])
    second = idle(two, busybox, name="two", network="back", network_alias=["api"])
    client = idle(two, busybox, network="back")
    hosts = output(client, "cat /etc/hosts")
    assert f"{first.ip_address}\tone api" in hosts
    assert f"{second.ip_address}\ttwo api" in hosts
    client.exec(["sh", "-c", "echo 192.0.2.9 mine >> /etc/hosts"])
    two.containers.rename("two", "deux")
    assert second.ip_address in output(client, "ping -c 1 -W 2 deux")
    hosts = output(client, "cat /etc/hosts")
    assert "\ttwo " not in hosts
    assert "192.0.2.9 mine" in hosts


def test_containers_that_may_not_talk(engine: Engine, busybox: str) -> None:
    options = ["com.docker.network.bridge.enable_icc=false"]
    engine.networks.create("quiet", opt=options)
    try:
        web = server(engine, busybox, name="web", network="quiet", publish=["0.0.0.0::80"])
        other = idle(engine, busybox, network="quiet")
        assert get(other, "web") is None
        document = engine.system.inspect("web")["NetworkSettings"]["Networks"]["quiet"]
        number = web.record.ports[0].host_port
        assert get(other, f"{document['Gateway']}:{number}") == web.short_id
    finally:
        for name in ("web", other.id):
            engine.containers.remove(name, force=True)
        until(lambda: _removed(engine, "quiet"))


def test_what_docker_refuses(two: Engine, busybox: str) -> None:
    box = idle(two, busybox, name="solo", network="none")
    with pytest.raises(ConflictError):
        two.networks.connect("back", "solo")
    box.remove(force=True)
    with pytest.raises(InvalidArgumentError, match="no IPv6"):
        idle(two, busybox, network="back", ip6="fd00::5")
    with pytest.raises(InvalidArgumentError, match="not one of"):
        idle(two, busybox, network="back", ip="10.9.9.9")
    with pytest.raises(AlreadyExistsError):
        two.networks.create("third", subnet="10.214.2.0/25")
    assert "third" not in [item.name for item in two.networks()]


def test_the_predefined_networks(two: Engine, busybox: str) -> None:
    listed = {item.name: item.id for item in two.networks()}
    assert len(listed["host"]) == len(listed["none"]) == 64
    box = idle(two, busybox, name="plain", network="none")
    seen = two.system.inspect("none", kind="network")
    assert (seen["Driver"], [*seen["Containers"]]) == ("null", [box.id])
    for name in ("host", "none", "bridge"):
        with pytest.raises(InvalidArgumentError, match="predefined"):
            two.networks.remove(name)
    with pytest.raises(InvalidArgumentError, match="predefined"):
        two.networks.connect("host", "plain")
    box.remove(force=True)
