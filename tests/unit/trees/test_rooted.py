from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from jupyter_containers.trees.rooted import Root, split


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        (b"", ()),
        (b"/", ()),
        (b"./", ()),
        (b"..", ()),
        (b"/../..", ()),
        (b"a/b", (b"a", b"b")),
        (b"/a//./b/", (b"a", b"b")),
        (b"a/../b", (b"b",)),
        (b"../../a/../../b", (b"b",)),
        (b"...", (b"...",)),
    ],
)
def test_parts_never_climb(name: bytes, parts: tuple[bytes, ...]) -> None:
    assert split(name) == parts


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    root = tmp_path / "root"
    (root / "etc").mkdir(parents=True)
    (root / "etc/passwd").write_text("inside")
    (root / "up").symlink_to("../../../../etc")
    (root / "abs").symlink_to("/etc")
    (root / "chain").symlink_to("abs")
    (root / "file").symlink_to("/etc/passwd")
    (root / "loop").symlink_to("loop")
    return root


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize(
    "parts", [(b"etc",), (b"up",), (b"abs",), (b"chain",), (b"up", b"..", b"abs")]
)
def test_links_are_followed_inside(tree: Path, by_kernel: bool, parts: tuple[bytes, ...]) -> None:
    with Root(tree, by_kernel=by_kernel) as root:
        descriptor = root.open((*parts, b"passwd"), os.O_RDONLY)
        try:
            assert os.read(descriptor, 100) == b"inside"
        finally:
            os.close(descriptor)


@pytest.mark.parametrize("by_kernel", [True, False])
@pytest.mark.parametrize(
    ("parts", "links", "number"),
    [
        ((b"loop", b"x"), True, errno.ELOOP),
        ((b"abs", b"passwd"), False, errno.ELOOP),
        ((b"missing", b"x"), True, errno.ENOENT),
        ((b"etc", b"passwd", b"x"), True, errno.ENOTDIR),
    ],
)
def test_what_cannot_be_opened_says_why(
    tree: Path, by_kernel: bool, parts: tuple[bytes, ...], links: bool, number: int
) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with (
        Root(tree, by_kernel=by_kernel) as root,
        pytest.raises(OSError, match=os.strerror(number)) as caught,
    ):
        root.open(parts, os.O_RDONLY, links=links)
    assert caught.value.errno == number
    assert len(os.listdir("/proc/self/fd")) == before


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
    with Root(inside) as opened:
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
    with pytest.raises(OSError, match="Too many levels"):
        root.resolve("loop/x")
    with pytest.raises(OSError, match="null byte"):
        root.resolve("a\0b/c")
    with pytest.raises(OSError, match="null byte"):
        root.open_path("a\0b/c", os.O_RDONLY)


@pytest.mark.parametrize("path", ["out", "../outside", "up/outside", "/proc/self/environ"])
def test_nothing_outside_can_be_opened(root: Root, path: str) -> None:
    with pytest.raises(OSError, match="No such file"):
        root.open_path(path, os.O_RDONLY)
    assert root.read_text(path) == ""


def test_reads_inside_through_absolute_links(root: Root) -> None:
    assert root.read_text("/abs/passwd") == "inner"
    assert root.read_text("etc") == ""


@pytest.mark.parametrize("by_kernel", [True, False])
def test_creates_files_inside_only(tmp_path: Path, by_kernel: bool) -> None:
    inside = tmp_path / "root"
    inside.mkdir()
    (inside / "up").symlink_to("../..")
    with Root(inside, by_kernel=by_kernel) as root:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL
        os.close(root.open_path("/up/../new", flags, 0o640))
    assert (inside / "new").stat().st_mode & 0o777 == 0o640
    assert sorted(path.name for path in tmp_path.iterdir()) == ["root"]


def test_makes_folders_through_links(root: Root, tmp_path: Path) -> None:
    assert root.make_folders("/abs/a/b", 0o750, 3, 4) == "etc/a/b"
    status = (tmp_path / "root/etc/a").stat()
    assert (status.st_mode & 0o777, status.st_uid, status.st_gid) == (0o750, 3, 4)
    assert (tmp_path / "root/etc").stat().st_uid == os.getuid()
    with pytest.raises(NotADirectoryError):
        root.make_folders("/etc/passwd", 0o755, 0, 0)
    with pytest.raises(NotADirectoryError):
        root.make_folders("/etc/passwd/x", 0o755, 0, 0)
