from __future__ import annotations

import pytest

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.nft import NftError

MISSING = NftError("nftables: Could not process rule: No such file or directory")
EXISTS = NftError("nftables: Could not process rule: File exists")


class FakeNft:
    """Answers scripts from a table of (beginning of the script, answer or error)."""

    def __init__(self, *answers: tuple[str, str | NftError]) -> None:
        self.answers = list(answers)
        self.scripts: list[str] = []

    def run(self, script: str, *, handles: bool = False) -> str:
        self.scripts.append(script)
        for index, (beginning, answer) in enumerate(self.answers):
            if script.startswith(beginning):
                del self.answers[index]
                if isinstance(answer, NftError):
                    raise answer
                return answer
        return ""

    def try_run(self, script: str, *, handles: bool = False) -> str | None:
        try:
            return self.run(script)
        except NftError as error:
            if error.missing:
                return None
            raise


def network(interface: str = "jcb1", *, internal: bool = False) -> Network:
    return Network(
        id="n",
        name="n",
        interface=interface,
        subnet="10.90.1.0/24",
        gateway="10.90.1.1",
        internal=internal,
    )


def port(host_ip: str = "127.0.0.1", number: int = 8080) -> PublishedPort:
    return PublishedPort(
        host_ip=host_ip, host_port=number, container_ip="10.90.1.2", container_port=80
    )


def test_known_network_costs_one_question():
    nft = FakeNft()
    assert Firewall("t", nft).ensure_network(network()) is False
    assert [script.splitlines()[0].split()[0] for script in nft.scripts] == ["get"]


@pytest.mark.parametrize(("internal", "set_name"), [(False, "subnets"), (True, "internal")])
def test_unknown_network_is_written_in_one_transaction(internal, set_name):
    nft = FakeNft(("get", MISSING))
    assert Firewall("t", nft).ensure_network(network(internal=internal)) is True
    _, script = nft.scripts
    elements = [line for line in script.splitlines() if "jcb1" in line or "10.90.1.0/24" in line]
    names = {line.split()[4] for line in elements}
    assert names == {"bridges", "within", set_name}


@pytest.mark.parametrize(
    ("host_ip", "element"),
    [
        ("127.0.0.1", 'published { tcp . 127.0.0.1 . 8080 comment "c1" : 10.90.1.2 . 80 }'),
        ("0.0.0.0", 'published_any { tcp . 8080 comment "c1" : 10.90.1.2 . 80 }'),
    ],
)
def test_published_port_is_one_element(host_ip, element):
    nft = FakeNft()
    Firewall("t", nft).publish("c1", [port(host_ip)])
    assert nft.scripts == [f"create element ip t {element}"]


def test_no_ports_need_no_script():
    nft = FakeNft()
    Firewall("t", nft).publish("c1", [])
    assert nft.scripts == []


LISTING = """table ip t {
    map published {
        type inet_proto . ipv4_addr . inet_service : ipv4_addr . inet_service
        elements = { tcp . 127.0.0.1 . 8080 comment "c0" : 10.90.1.9 . 80,
                 udp . 192.0.2.2 . 53 comment "c2" : 10.90.1.3 . 5353 }
    }
}
"""
ANY_LISTING = """table ip t {
    map published_any {
        type inet_proto . inet_service : ipv4_addr . inet_service
        elements = { tcp . 80 comment "c2" : 10.90.1.3 . 8000 }
    }
}
"""


def test_listing_is_read_by_owner():
    nft = FakeNft(("list map ip t published_any", ANY_LISTING), ("list map ip t pub", LISTING))
    current = Firewall("t", nft).current()
    assert {owner: [str(port) for port in ports] for owner, ports in current.items()} == {
        "c0": ["127.0.0.1:8080->80/tcp"],
        "c2": ["0.0.0.0:80->8000/tcp", "192.0.2.2:53->5353/udp"],
    }


def test_stale_element_is_replaced_in_one_transaction():
    nft = FakeNft(
        ("create", EXISTS), ("list map ip t published_any", ""), ("list map ip t pub", LISTING)
    )
    Firewall("t", nft).publish("c1", [port()])
    assert nft.scripts[-1].splitlines() == [
        "delete element ip t published { tcp . 127.0.0.1 . 8080 }",
        'create element ip t published { tcp . 127.0.0.1 . 8080 comment "c1" : 10.90.1.2 . 80 }',
    ]


@pytest.mark.parametrize("bridges", ['elements = { "jcb1" }', ""])
def test_last_network_takes_the_table_with_it(bridges):
    nft = FakeNft(("list set", bridges))
    Firewall("t", nft).remove_network(network())
    assert nft.scripts[-1] == "delete table ip t"


def test_network_among_others_takes_its_elements():
    nft = FakeNft(("list set", 'elements = { "jc0",\n "jcb1" }'))
    Firewall("t", nft).remove_network(network())
    assert nft.scripts[-1].count("delete element") == 3
    assert "jc0" not in nft.scripts[-1]


@pytest.mark.parametrize("name", ['x" } ; flush ruleset', "a b", "", "x" * 65])
def test_names_cannot_smuggle_commands_in(name):
    with pytest.raises(InvalidArgumentError):
        Firewall(name, FakeNft())
    with pytest.raises(InvalidArgumentError):
        Firewall("t", FakeNft()).ensure_network(network(name))
    with pytest.raises(InvalidArgumentError):
        Firewall("t", FakeNft()).publish(name or "a b", [port()])
