from __future__ import annotations

import errno
import sys
from collections.abc import Callable, Sequence

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.nf_tables import Element


class FakeNft:
    """Remembers scripts."""

    def __init__(self) -> None:
        self.scripts: list[str] = []

    def run(self, script: str, *, handles: bool = False) -> str:
        self.scripts.append(script)
        return ""

    try_run = run


class FakeKernel:
    """Sets and maps in memory; ``interfere`` runs once before a change."""

    def __init__(self, **sets: list[Element]) -> None:
        self.sets = sets
        self.interfere: Callable[[], None] | None = None

    def elements(self, table: str, name: str) -> list[Element] | None:
        return self.sets.get(name)

    def change(
        self,
        table: str,
        *,
        add: Sequence[tuple[str, Element]] = (),
        delete: Sequence[tuple[str, Element]] = (),
    ) -> None:
        interfere, self.interfere = self.interfere, None
        if interfere:
            interfere()
        new = {name: list(items) for name, items in self.sets.items()}
        for name, element in delete:
            if element.key not in [item.key for item in new.get(name, [])]:
                raise OSError(errno.ENOENT, "gone")
            new[name] = [item for item in new[name] if item.key != element.key]
        for name, element in add:
            if element.key in [item.key for item in new.get(name, [])]:
                raise OSError(errno.EEXIST, "there")
            new.setdefault(name, []).append(element)
        self.sets = new


def known(*interfaces: str) -> FakeKernel:
    edition = Element((3).to_bytes(4, sys.byteorder))
    return FakeKernel(
        edition=[edition],
        bridges=[Element(name.encode().ljust(16, b"\0")) for name in interfaces],
        subnets=[Element(bytes([10, 90, 1, 0])), Element(bytes([10, 90, 2, 0]))],
    )


def network(interface: str = "jcb1", *, internal: bool = False) -> Network:
    return Network(
        id="n",
        name="n",
        interface=interface,
        subnet="10.90.1.0/24",
        gateway="10.90.1.1",
        internal=internal,
    )


def port(
    host_ip: str = "127.0.0.1",
    number: int = 8080,
    container_ip: str = "10.90.1.2",
    protocol: str = "tcp",
) -> PublishedPort:
    return PublishedPort(
        host_ip=host_ip,
        host_port=number,
        container_ip=container_ip,
        container_port=80,
        protocol=protocol,
    )


def test_a_known_network_starts_no_program():
    nft = FakeNft()
    assert Firewall("t", nft, known("jcb1")).ensure_network(network()) is False
    assert nft.scripts == []


@pytest.mark.parametrize(
    "kernel",
    [
        FakeKernel(),
        known("jc0"),
        FakeKernel(edition=[Element(b"\1\0\0\0")], bridges=known("jcb1").sets["bridges"]),
    ],
)
def test_what_is_missing_or_of_another_edition_is_written(kernel):
    nft = FakeNft()
    assert Firewall("t", nft, kernel).ensure_network(network()) is True
    assert len(nft.scripts) == 1


@pytest.mark.parametrize(("internal", "set_name"), [(False, "subnets"), (True, "internal")])
def test_unknown_network_is_written_in_one_transaction(internal, set_name):
    nft = FakeNft()
    assert Firewall("t", nft, FakeKernel()).ensure_network(network(internal=internal)) is True
    (script,) = nft.scripts
    elements = [line for line in script.splitlines() if "jcb1" in line or "10.90.1.0/24" in line]
    names = {line.split()[4] for line in elements}
    assert names == {"bridges", "within", set_name}


@pytest.mark.parametrize(
    "published",
    [
        port(),
        port("0.0.0.0"),
        port("2001:db8::1", container_ip="fd00::2"),
        port("::", container_ip="fd00::2", protocol="udp"),
    ],
)
def test_what_is_published_is_read_back(published):
    firewall = Firewall("t", FakeNft(), FakeKernel())
    firewall.publish("c1", [published])
    assert firewall.current() == {"c1": (published,)}
    firewall.unpublish("c1")
    assert firewall.current() == {}


def test_stale_element_is_replaced():
    kernel = FakeKernel()
    firewall = Firewall("t", FakeNft(), kernel)
    firewall.publish("c0", [port(), port(number=9)])
    firewall.publish("c1", [port()])
    assert firewall.current() == {"c0": (port(number=9),), "c1": (port(),)}


def test_another_process_may_interfere():
    kernel = FakeKernel()
    firewall = Firewall("t", FakeNft(), kernel)
    firewall.publish("c0", [port()])

    def once() -> None:
        kernel.interfere = kernel.sets.clear

    kernel.interfere = once
    firewall.publish("c1", [port()])
    assert firewall.current() == {"c1": (port(),)}


@pytest.mark.parametrize("kernel", [known("jcb1"), known()])
def test_last_network_takes_the_table_with_it(kernel):
    nft = FakeNft()
    Firewall("t", nft, kernel).remove_network(network())
    assert nft.scripts[-1] == "delete table inet t"


def test_network_among_others_takes_its_elements():
    nft = FakeNft()
    Firewall("t", nft, known("jc0", "jcb1")).remove_network(network())
    assert nft.scripts[-1].count("delete element") == 3
    assert "jc0" not in nft.scripts[-1]


@pytest.mark.parametrize("name", ['x" } ; flush ruleset', "a b", "", "x" * 65])
def test_names_cannot_smuggle_commands_in(name):
    with pytest.raises(InvalidArgumentError):
        Firewall(name, FakeNft())
    with pytest.raises(InvalidArgumentError):
        Firewall("t", FakeNft(), FakeKernel()).ensure_network(network(name))
    with pytest.raises(InvalidArgumentError):
        Firewall("t", FakeNft(), FakeKernel()).publish(name or "a b", [port()])
