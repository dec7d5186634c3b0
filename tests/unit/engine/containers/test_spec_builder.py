from __future__ import annotations

import os
import socket
import threading
from pathlib import Path

import pytest

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.spec_builder import (
    hostname_of,
    hosts_text,
    trusts_host_ca,
    with_environment,
)
from jupyter_containers.engine.networks.connections import Connection
from jupyter_containers.settings import load_settings
from tests.unit.engine.engine_records import CONFIG, ENDPOINT, ID, a_record


@pytest.mark.parametrize(
    ("mode", "flags", "name"),
    [
        ("bridge", {}, ID[:12]),
        ("none", {}, ID[:12]),
        ("host", {}, socket.gethostname()),
        ("bridge", {"hostname": "box"}, "box"),
        ("host", {"hostname": "box"}, "box"),
    ],
)
def test_hostname(mode: str, flags: dict[str, str], name: str) -> None:
    assert hostname_of(a_record(network=mode, **flags), Connection(mode)) == name


def test_hosts_name_the_container_and_the_host() -> None:
    record = a_record(network="shop", add_host=["db:192.0.2.7", "gate:host-gateway"])
    lines = hosts_text(record, Connection("bridge", endpoints=(ENDPOINT,))).splitlines()
    assert f"10.1.2.3\t{ID[:12]}" in lines
    assert "192.0.2.7\tdb" in lines
    assert "10.1.2.1\tgate" in lines
    assert lines[0] == "127.0.0.1\tlocalhost"
    # A user's bridge is in a namespace of the user's: the machine is elsewhere.
    lines = hosts_text(
        record, Connection("bridge", endpoints=(ENDPOINT,)), "192.0.2.2"
    ).splitlines()
    assert "192.0.2.2\tgate" in lines
    assert "192.0.2.2\thost.containers.internal host.docker.internal" in lines
    alone = a_record(network="none")
    assert "192.0.2.2" not in hosts_text(alone, Connection("none"), "192.0.2.2")


@pytest.mark.parametrize(
    ("asked", "setting", "trusted"),
    [
        (None, "auto", False),
        (None, "never", False),
        (None, "always", True),
        (True, "never", True),
        (False, "always", False),
    ],
)
def test_trust_is_asked_for_or_set(asked: bool | None, setting: str, trusted: bool) -> None:
    settings = load_settings({}, {"trust_host_ca": setting})
    assert trusts_host_ca(asked, settings) is trusted


def test_given_variables_do_not_replace_the_images() -> None:
    config = with_environment(CONFIG, ("A=given", "N=given"))
    assert config.env == ("PATH=/bin", "A=image", "B=image", "N=given")
    assert with_environment(CONFIG, ()) is CONFIG


def test_a_rewritten_file_keeps_its_inode_and_is_never_empty(tmp_path: Path) -> None:
    bundle = Bundle(tmp_path)
    path = Path(bundle.write("hosts", "long text\n" * 100))
    before = os.stat(path)
    empty: list[bool] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            empty.append(not path.read_bytes())

    reader = threading.Thread(target=read)
    reader.start()
    for number in range(300):
        bundle.write("hosts", f"{number}\n" * (number % 7 + 1))
    stop.set()
    reader.join()
    assert path.read_text() == "299\n" * (299 % 7 + 1)
    assert os.stat(path).st_ino == before.st_ino
    assert before.st_mode & 0o777 == 0o644
    assert not any(empty)
