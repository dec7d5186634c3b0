from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.build.confined import Root
from jupyter_containers.errors import BuildError, InvalidArgumentError


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    (tmp_path / "outside").write_text("secret")
    inside = tmp_path / "root"
    (inside / "etc").mkdir(parents=True)
    (inside / "etc/passwd").write_text("inner")
    (inside / "abs").symlink_to("/etc")
    (inside / "up").symlink_to("../../../..")
    (inside / "out").symlink_to("../outside")
    (inside / "chain").symlink_to("abs/passwd")
    (inside / "loop").symlink_to("loop")
    (inside / "dangling").symlink_to("/etc/new")
    with Root.open(inside) as opened:
        yield opened


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("/", ""),
        ("", ""),
        ("..", ""),
        ("/../../etc/./passwd", "etc/passwd"),
        ("abs/passwd", "etc/passwd"),
        ("up/etc", "etc"),
        ("out", "outside"),
        ("chain", "etc/passwd"),
        ("dangling", "etc/new"),
        ("abs/no/such", "etc/no/such"),
        ("etc/passwd/..", "etc"),
    ],
)
def test_resolves_inside(root: Root, path: str, expected: str) -> None:
    assert root.resolve(path) == expected


def test_last_link_can_be_kept(root: Root) -> None:
    assert root.resolve("up/abs", follow_last=False) == "abs"


def test_loops_and_bad_names_are_errors(root: Root) -> None:
    with pytest.raises(BuildError, match="too many levels"):
        root.resolve("loop/x")
    with pytest.raises(BuildError, match="not a file name"):
        root.resolve("a\0b/c")


@pytest.mark.parametrize("path", ["out", "../outside", "up/outside", "/proc/self/environ"])
def test_nothing_outside_can_be_opened(root: Root, path: str) -> None:
    with pytest.raises(OSError, match="No such file"):
        root.open_file(path, os.O_RDONLY)
    assert root.read_text(path) == ""


def test_reads_inside_through_absolute_links(root: Root) -> None:
    assert root.read_text("/abs/passwd") == "inner"
    assert root.read_text("etc") == ""


def test_walking_open_stays_inside_too(root: Root) -> None:
    with os.fdopen(root._walk_open("chain", os.O_RDONLY, 0)) as stream:
        assert stream.read() == "inner"
    with pytest.raises(OSError, match="No such file"):
        root._walk_open("up/../outside", os.O_RDONLY, 0)


def test_makes_folders_through_links(root: Root, tmp_path: Path) -> None:
    assert root.make_folders("/abs/a/b", 0o750, 3, 4) == "etc/a/b"
    status = (tmp_path / "root/etc/a").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, 3, 4)
    assert (tmp_path / "root/etc").stat().st_uid == os.getuid()
    with pytest.raises(BuildError, match=r"[Nn]ot a directory"):
        root.make_folders("/etc/passwd", 0o755, 0, 0)
    with pytest.raises(BuildError, match="Not a directory"):
        root.make_folders("/etc/passwd/x", 0o755, 0, 0)


def test_a_missing_root_is_an_argument_error(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match="No such file"):
        Root.open(tmp_path / "nowhere")
