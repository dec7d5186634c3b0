from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from jupyter_containers.store.rooted import Root, split


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
