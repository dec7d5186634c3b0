from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.engine.name_files import SIZE
from jupyter_containers.engine.networks.host_names import (
    _BEGIN,
    _END,
    _entries,
    _replace_block,
    replace_block,
)
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
    _replaced(path, f"{_BEGIN}10.0.0.2\tone\n{_END}")
    with path.open("ab") as file:
        file.write(b"192.0.2.1\tadded\n")
    _replaced(path, f"{_BEGIN}10.0.0.3\ttwo\n10.0.0.4\tthree\n{_END}")
    head, tail = b"127.0.0.1\tlocalhost\n# \xff mine\n", b"192.0.2.1\tadded\n"
    block = f"{_BEGIN}10.0.0.3\ttwo\n10.0.0.4\tthree\n{_END}".encode()
    assert path.read_bytes() == head + block + tail
    _replaced(path, "")
    assert path.read_bytes() == head + tail
    assert os.stat(path).st_ino == inode
    _replace_block(str(tmp_path / "absent"), "x")
    assert not (tmp_path / "absent").exists()


def test_a_file_larger_than_its_place_keeps_our_part_only(tmp_path: Path) -> None:
    path = tmp_path / "hosts"
    path.write_bytes(b"\0" * SIZE)
    os.truncate(path, 100 * 2**30)  # sparse
    _replaced(path, f"{_BEGIN}10.0.0.2\tone\n{_END}")
    assert path.read_text() == f"{_BEGIN}10.0.0.2\tone\n{_END}"


def test_the_number_of_a_monitor_that_went_to_a_container_leads_to_no_other_file(
    tmp_path: Path,
) -> None:
    """The root of some process, as a container could have it, holds a link at that path."""
    outside = tmp_path / "outside"
    outside.write_text("of the host\n")
    folder = tmp_path / "bundle"
    (folder / "names").mkdir(parents=True)
    (folder / "conmon.pid").write_text(str(os.getpid()))
    (folder / "names/hosts").symlink_to(outside)
    _replace_block(str(folder), "x\n")
    (folder / "names/hosts").unlink()
    os.mkfifo(folder / "names/hosts")
    _replace_block(str(folder), "x\n")
    assert outside.read_text() == "of the host\n"
    (folder / "names/hosts").unlink()
    (folder / "names/hosts").write_text("")
    _replace_block(str(folder), "x\n")
    assert (folder / "names/hosts").read_text() == "x\n"


def _replaced(path: Path, block: str) -> None:
    with path.open("r+b") as file:
        replace_block(file.fileno(), block)


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
