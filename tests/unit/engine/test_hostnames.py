from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.engine.hostnames import _BEGIN, _END, _entries, _replace_block
from jupyter_containers.engine.records import EndpointRecord
from jupyter_containers.network.names import HostEntry
from jupyter_containers.runtime.process import ProcessIdentity

OWNER = ProcessIdentity(1, 1)


def claim(container_id: str, address: str, *names: str, **more: object) -> EndpointRecord:
    return EndpointRecord(
        id=address,
        container_id=container_id,
        network_id="n",
        address=address,
        owner=OWNER,
        names=names,
        **more,
    )


def test_only_our_part_of_the_file_changes(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"127.0.0.1\tlocalhost\n# \xff mine\n")
    inode = os.stat(path).st_ino
    _replace_block(str(path), f"{_BEGIN}10.0.0.2\tone\n{_END}")
    with path.open("ab") as file:
        file.write(b"192.0.2.1\tadded\n")
    _replace_block(str(path), f"{_BEGIN}10.0.0.3\ttwo\n10.0.0.4\tthree\n{_END}")
    head, tail = b"127.0.0.1\tlocalhost\n# \xff mine\n", b"192.0.2.1\tadded\n"
    block = f"{_BEGIN}10.0.0.3\ttwo\n10.0.0.4\tthree\n{_END}".encode()
    assert path.read_bytes() == head + block + tail
    _replace_block(str(path), "")
    assert path.read_bytes() == head + tail
    assert os.stat(path).st_ino == inode
    _replace_block(str(tmp_path / "absent"), "x")
    assert not (tmp_path / "absent").exists()


def test_who_is_known() -> None:
    one = claim("a", "10.0.0.2", "one", "api", links=(("b", "store"),))
    two = claim("b", "10.0.0.3", "two", address6="fd00::3")
    assert [*_entries(two, [one, two], named=True)] == [
        HostEntry("10.0.0.2", ("one", "api")),
        HostEntry("10.0.0.3", ("two",)),
        HostEntry("fd00::3", ("two",)),
    ]
    assert [*_entries(one, [one, two], named=False)] == [
        HostEntry("10.0.0.3", ("store", "two")),
        HostEntry("fd00::3", ("store", "two")),
    ]
    assert [*_entries(two, [one, two], named=False)] == []
