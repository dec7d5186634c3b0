"""The files of a build's context at the builder: only changes are asked for."""

from __future__ import annotations

import io
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from jupyter_containers.kubernetes.build_messages import DATA, Frames, SentFile, frame
from jupyter_containers.kubernetes.builder_program import ReceivedTree

FILE, FOLDER, LINK = stat.S_IFREG | 0o640, stat.S_IFDIR | 0o755, stat.S_IFLNK | 0o777


def entry(path: str, mode: int = FILE, digest: str = "1", target: str = "") -> SentFile:
    return SentFile(path, mode, 10**18, digest, target)


def received(folder: Path, entries: list[SentFile]) -> list[str]:
    """Receive the entries as a builder does; return the paths of the files asked for."""
    tree = ReceivedTree(folder)
    numbers = tree.prepare(entries)
    for number in numbers:
        data = frame(DATA, entries[number].digest.encode()) + frame(DATA, b"")
        tree.receive(entries[number], Frames(io.BytesIO(data).read))
    tree.finish(entries)
    return [entries[number].path for number in numbers]


def test_only_changes_travel(tmp_path: Path) -> None:
    first = [entry("d", FOLDER), entry("d/f"), entry("g"), entry("l", LINK, target="g")]
    assert received(tmp_path, first) == ["d/f", "g"]
    assert received(tmp_path, first) == []
    changed = [entry("d", FOLDER), entry("d/f", digest="2"), entry("l", FILE, "4")]
    assert received(tmp_path, changed) == ["d/f", "l"]
    tree = tmp_path / "tree"
    assert sorted(os.listdir(tree)) == ["d", "l"]
    assert (tree / "d/f").read_text() == "2"
    status = (tree / "d/f").stat()
    assert (status.st_mode, status.st_mtime_ns) == (FILE, 10**18)
    assert received(tmp_path, [entry("d", FILE, "3")]) == ["d"]
    assert (tree / "d").read_text() == "3"


def test_what_an_ended_client_left_is_no_part_of_the_next_context(tmp_path: Path) -> None:
    """Without the mark ``unfinished``, ``old`` would stay in the tree."""
    tree = ReceivedTree(tmp_path)
    tree.prepare([entry("old")])
    tree.receive(entry("old"), Frames(io.BytesIO(frame(DATA, b"x") + frame(DATA, b"")).read))
    assert received(tmp_path, [entry("new")]) == ["new"]
    assert os.listdir(tmp_path / "tree") == ["new"]


@pytest.mark.parametrize("path", ["../out", "/out", "l/out"])
def test_no_path_leads_out_of_the_tree(tmp_path: Path, path: str) -> None:
    place = tmp_path / "received"
    place.mkdir()
    entries = [entry("l", LINK, target=str(tmp_path)), entry(path)]
    with suppress(OSError, ValueError):  # or it is put into the tree
        received(place, entries)
    assert not (tmp_path / "out").exists()
