"""Trees from clients: only changes travel, and no client writes elsewhere or without an end."""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from jupyter_containers.api.buildkit.connection import Stream
from jupyter_containers.api.buildkit.messages import (
    DATA,
    ERROR,
    FINISH,
    REQUEST,
    Packet,
    Stat,
)
from jupyter_containers.api.buildkit.receiving import received
from jupyter_containers.api.buildkit.rpc import RpcError
from jupyter_containers.api.buildkit.sending import send_tree
from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.events import CancelToken
from tests.unit.api.buildkit.peers import session_of

_FOLDER, _LINK = 1 << 31 | 0o755, 1 << 27 | 0o777
Script = Callable[[Stream], None]


def _tree(files: Iterable[tuple[Stat, bytes]], asked: list[str]) -> Script:
    """Return a client that has these files; the paths that it is asked for go to ``asked``."""
    listed = list(files)

    def serve(stream: Stream) -> None:
        for one, _ in listed:
            stream.send(Packet(stat=one))
        stream.send(Packet())
        for packet in stream.each(Packet):
            if packet.type == FINISH:
                stream.send(Packet(type=FINISH))
                return
            assert packet.type == REQUEST
            one, data = listed[packet.id]
            asked.append(one.path)
            if data:
                stream.send(Packet(type=DATA, id=packet.id, data=data))
            stream.send(Packet(type=DATA, id=packet.id))

    return serve


def _file(path: str, data: bytes, modified: int = 10**18, mode: int = 0o644) -> tuple[Stat, bytes]:
    return Stat(path=path, mode=mode, size=len(data), modified=modified), data


def _folder(path: str) -> tuple[Stat, bytes]:
    return Stat(path=path, mode=_FOLDER, modified=2 * 10**18), b""


def _receive(serve: Script, folder: Path) -> int:
    with session_of(serve) as session:
        return received(session, {"dir-name": ["context"]}, folder, CancelToken(), lambda _: None)


def test_only_changes_are_asked_for(tmp_path: Path) -> None:
    first = [
        _file("a", b"1", mode=0o755),
        _folder("d"),
        _file("d/b", b"2"),
        _file("d/c", b""),
        (Stat(path="d/l", mode=_LINK, linkname="../a"), b""),
        _file("gone", b"3"),
        (Stat(path="hard", mode=0o644, size=1, linkname="a"), b""),
    ]
    asked: list[str] = []
    _receive(_tree(first, asked), tmp_path)
    assert sorted(asked) == ["a", "d/b", "d/c", "gone"]
    tree = tmp_path / "tree"
    assert (tree / "d/b").read_bytes() == b"2"
    assert os.readlink(tree / "d/l") == "../a"
    assert (tree / "hard").read_bytes() == b"1"
    assert stat.S_IMODE((tree / "a").stat().st_mode) == 0o755
    assert (tree / "d").stat().st_mtime_ns == 2 * 10**18

    asked.clear()
    second = [
        first[0],
        first[1],
        _file("d/b", b"4", modified=10**18 + 1),
        _folder("d/c"),  # was a file
        _file("d/c/new", b"5"),
        _file("d/l", b"6"),  # was a link
    ]
    _receive(_tree(second, asked), tmp_path)
    assert sorted(asked) == ["d/b", "d/c/new", "d/l"]
    assert (tree / "d/b").read_bytes() == b"4"
    assert (tree / "d/l").read_bytes() == b"6"
    assert sorted(os.listdir(tree)) == ["a", "d"]
    assert (tree / "a").read_bytes() == b"1"  # not written through the old link
    assert os.listdir(tmp_path / "parts") == []


def test_a_folder_that_becomes_a_file_goes_with_its_contents(tmp_path: Path) -> None:
    _receive(_tree([_folder("x"), _file("x/y", b"1")], []), tmp_path)
    _receive(_tree([_file("x", b"2")], []), tmp_path)
    assert (tmp_path / "tree/x").read_bytes() == b"2"


def test_names_are_any_bytes_and_devices_are_left_out(tmp_path: Path) -> None:
    odd = b"\xff\n*".decode("utf-8", "surrogateescape")
    device = Stat(path="null", mode=1 << 26 | 1 << 21 | 0o666)
    _receive(_tree([(device, b""), _file(odd, b"1")], []), tmp_path)
    assert os.listdir(os.fsencode(tmp_path / "tree")) == [b"\xff\n*"]


@pytest.mark.parametrize(
    "path",
    [
        "..", "../x", "a/../../x", "/etc/x", "", ".", "a//b", "a/", "nofolder/x", "f/x", "l/x",
        "x" * 256, "n\0ul", "twice",
    ],
)  # fmt: skip
def test_a_path_that_leads_elsewhere_ends_the_transfer(tmp_path: Path, path: str) -> None:
    """Seen to write beside the tree when ``_checked`` returned every path."""
    (tmp_path / "outside").mkdir()
    files = [
        _file("f", b"1"),
        (Stat(path="l", mode=_LINK, linkname="../../outside"), b""),
        _file("twice", b"1"),
        _file(path, b"evil"),
    ]
    with pytest.raises(ContainersError):
        _receive(_tree(files, []), tmp_path / "kept")
    assert os.listdir(tmp_path / "outside") == []
    assert sorted(os.listdir(tmp_path)) == ["kept", "outside"]


def test_a_hard_link_stays_in_the_tree(tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("s")
    for target in ("../../secret", "/etc/passwd", "l", "missing"):
        files = [
            (Stat(path="l", mode=_LINK, linkname="/etc/passwd"), b""),
            (Stat(path="x", mode=0o644, linkname=target), b""),
        ]
        with pytest.raises(ContainersError):
            _receive(_tree(files, []), tmp_path / "kept")
        assert not (tmp_path / "kept/tree/x").exists()


def test_a_file_without_an_end_ends_the_transfer(tmp_path: Path) -> None:
    def serve(stream: Stream) -> None:
        stream.send(Packet(stat=Stat(path="f", mode=0o644, size=3, modified=1)))
        while True:
            stream.send(Packet(type=DATA, id=0, data=b"x" * (1 << 20)))

    with pytest.raises(ContainersError, match="does not end"):
        _receive(serve, tmp_path)
    assert os.listdir(tmp_path / "tree") == os.listdir(tmp_path / "parts") == []


@pytest.mark.parametrize(
    "packet",
    [
        Packet(type=DATA, id=0, data=b"x"),  # nothing was asked for
        Packet(type=77),
        Packet(type=REQUEST, id=0),
    ],
)
def test_steps_out_of_order_end_the_transfer(tmp_path: Path, packet: Packet) -> None:
    with pytest.raises(ContainersError):
        _receive(lambda stream: stream.send(packet), tmp_path)


def test_a_list_that_goes_on_after_its_end_is_refused(tmp_path: Path) -> None:
    def serve(stream: Stream) -> None:
        stream.send(Packet())
        stream.send(Packet(stat=Stat(path="f")))
        list(stream.each(Packet))

    with pytest.raises(ContainersError, match="list of files"):
        _receive(serve, tmp_path)


def test_an_error_of_the_client_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="no access to b"):
        _receive(lambda stream: stream.send(Packet(type=ERROR, data=b"no access to b")), tmp_path)


def test_a_transfer_that_breaks_leaves_what_was_whole(tmp_path: Path) -> None:
    def serve(stream: Stream) -> None:
        stream.send(Packet(stat=_file("a", b"1")[0]))
        stream.send(Packet(stat=_file("b", b"22")[0]))
        stream.send(Packet())
        for packet in stream.each(Packet):
            stream.send(Packet(type=DATA, id=packet.id, data=b"1"))
            if packet.id:
                raise RpcError(14, "unplugged")
            stream.send(Packet(type=DATA, id=packet.id))

    with pytest.raises(RpcError, match="unplugged"):
        _receive(serve, tmp_path)
    assert os.listdir(tmp_path / "tree") == ["a"]
    asked: list[str] = []
    _receive(_tree([_file("a", b"1"), _file("b", b"22")], asked), tmp_path)
    assert asked == ["b"]


def test_a_tree_is_sent_as_it_was(tmp_path: Path) -> None:
    """Both directions speak the same protocol: this module can receive a tree that it sent."""
    source = tmp_path / "source"
    (source / "d/e").mkdir(parents=True)
    (source / "d/e/f").write_bytes(b"x" * 100_000)
    (source / "d.txt").write_bytes(b"")
    os.link(source / "d.txt", source / "same")
    os.symlink("/nowhere", source / "l")
    os.mkfifo(source / "pipe")
    listed: list[Stat] = []
    found: dict[int, bytes] = {}

    def serve(stream: Stream) -> None:
        wanted: set[int] = set()
        for packet in stream.each(Packet):
            if packet.type == FINISH:
                return
            if packet.type == DATA:
                found[packet.id] = found.get(packet.id, b"") + packet.data
                if not packet.data:
                    wanted.discard(packet.id)
            elif packet.stat is not None:
                one = packet.stat
                if not one.mode & (1 << 31 | 1 << 27) and not one.linkname:
                    wanted.add(len(listed))
                    stream.send(Packet(type=REQUEST, id=len(listed)))
                listed.append(one)
                continue
            if not wanted:
                stream.send(Packet(type=FINISH))

    with session_of(serve) as session:
        send_tree(session, "0", source, CancelToken(), lambda _: None)
    assert [one.path for one in listed] == ["d", "d/e", "d/e/f", "d.txt", "l", "same"]
    assert found == {2: b"x" * 100_000, 3: b""}
    assert listed[4].linkname == "/nowhere"
    assert listed[5].linkname == "d.txt"


def test_a_client_gets_only_files_of_the_result(tmp_path: Path) -> None:
    def serve(stream: Stream) -> None:
        stream.send(Packet(type=REQUEST, id=7))
        stream.receive(Packet)

    with session_of(serve) as session, pytest.raises(ContainersError, match="not in the list"):
        send_tree(session, "0", tmp_path, CancelToken(), lambda _: None)
