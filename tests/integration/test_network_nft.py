"""nftables scripts in a namespace of our own."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator

import pytest

from jupyter_containers.errors import UnsupportedError
from jupyter_containers.network.firewall import Firewall
from jupyter_containers.network.model import Network, PublishedPort
from jupyter_containers.network.namespace import NetworkNamespace
from jupyter_containers.network.nft import Nft, NftError

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="needs root (network namespaces)"),
    pytest.mark.skipif(not shutil.which("nft"), reason="needs nftables"),
]


@pytest.fixture
def nft() -> Nft:
    return Nft()


@pytest.fixture
def host() -> Iterator[NetworkNamespace]:
    with NetworkNamespace.create() as namespace:
        yield namespace


def test_script_changes_the_namespace_of_its_thread_only(host, nft):
    host.run(lambda: nft.run("add table ip jc_nft_test"))
    assert "jc_nft_test" in host.run(lambda: nft.run("list tables"))
    assert "jc_nft_test" not in nft.run("list tables")


def test_script_happens_whole_or_not_at_all(host, nft):
    script = "add table ip one\nadd rule ip one nowhere accept"
    with pytest.raises(NftError) as caught:
        host.run(lambda: nft.run(script))
    assert caught.value.missing
    assert "one" not in host.run(lambda: nft.run("list tables"))


def test_existing_thing_is_told_from_a_missing_one(host, nft):
    host.run(lambda: nft.run("create table ip one"))
    with pytest.raises(NftError, match="File exists") as caught:
        host.run(lambda: nft.run("create table ip one"))
    assert (caught.value.exists, caught.value.missing) == (True, False)
    assert host.run(lambda: nft.try_run("list table ip two")) is None
    with pytest.raises(NftError, match="syntax error"):
        host.run(lambda: nft.try_run("list nonsense"))


def test_handles_are_listed_when_wanted(host, nft):
    script = "add table ip one\nadd chain ip one c\nadd rule ip one c accept"
    host.run(lambda: nft.run(script))
    assert "handle" in host.run(lambda: nft.run("list chain ip one c", handles=True))
    assert "handle" not in host.run(lambda: nft.run("list chain ip one c"))


def test_firewall_writes_and_reads_its_table(host, nft):
    firewall = Firewall("jc_nft_test", nft)
    network = Network(
        id="n", name="n", interface="jcnft0", subnet="10.211.44.0/24", gateway="10.211.44.1"
    )
    ports = tuple(
        PublishedPort(
            host_ip=ip, host_port=80, container_ip="10.211.44.2", container_port=8000, protocol=kind
        )
        for ip in ("0.0.0.0", "127.0.0.1")
        for kind in ("tcp", "udp")
    )

    def use() -> None:
        assert firewall.ensure_network(network) is True
        assert firewall.ensure_network(network) is False
        firewall.publish("c1", ports)
        assert firewall.current() == {"c1": tuple(sorted(ports))}
        firewall.unpublish("c1")
        assert firewall.current() == {}
        firewall.remove_network(network)
        assert "jc_nft_test" not in nft.run("list tables")
        firewall.remove_network(network)
        assert firewall.current() == {}

    host.run(use)


def test_missing_nftables_is_named():
    with pytest.raises(UnsupportedError, match="nftables") as caught:
        Nft("/nonexistent/nft").run("list tables")
    assert "apt install nftables" in caught.value.hint


def test_a_crash_of_nft_is_one_clear_error(tmp_path, monkeypatch):
    program = tmp_path / "nft"
    program.write_text("#!/bin/sh\nkill -SEGV $$\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(NftError, match="ended by SIGSEGV") as caught:
        Nft().try_run("list tables")
    assert "newer nftables" in caught.value.hint
