from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from jupyter_containers.trees import at
from jupyter_containers.trees.copying import copy_tree

ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: owners and device nodes")


def _copy(source: Path, target: Path) -> None:
    first, second = (os.open(path, os.O_RDONLY | os.O_DIRECTORY) for path in (source, target))
    try:
        copy_tree(first, second)
    finally:
        os.close(first)
        os.close(second)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    (tmp_path / "source").mkdir()
    return tmp_path / "source"


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def test_files_links_folders_and_fifos_arrive_with_modes_and_times(
    source: Path, target: Path
) -> None:
    (source / "folder/inner").mkdir(parents=True)
    (source / "folder/inner/file").write_bytes(b"12345" * 1000)
    (source / "link").symlink_to("/nowhere")
    os.mkfifo(source / "fifo", 0o640)
    (source / "folder/inner/file").chmod(0o4711)
    (source / "folder/inner").chmod(0o1770)
    os.setxattr(source / "folder/inner/file", "user.a", b"b")
    for path in ("folder/inner/file", "link", "fifo", "folder/inner", "folder", "."):
        os.utime(source / path, ns=(5, 7_000_000_001), follow_symlinks=False)
    _copy(source, target)
    for path in ("folder/inner/file", "link", "fifo", "folder/inner", "folder", "."):
        one, other = os.lstat(source / path), os.lstat(target / path)
        assert one.st_mode == other.st_mode, path
        assert one.st_mtime_ns == other.st_mtime_ns, path
    assert (target / "folder/inner/file").read_bytes() == b"12345" * 1000
    assert os.getxattr(target / "folder/inner/file", "user.a") == b"b"
    assert os.readlink(target / "link") == "/nowhere"


@ROOT
def test_owners_devices_and_capabilities_arrive(source: Path, target: Path) -> None:
    (source / "file").write_text("x")
    os.chown(source / "file", 12, 34)
    (source / "file").chmod(0o6755)
    capability = b"\x01\x00\x00\x02" + b"\x00\x04" + b"\x00" * 14
    os.setxattr(source / "file", "security.capability", capability)
    (source / "link").symlink_to("file")
    os.chown(source / "link", 56, 78, follow_symlinks=False)
    os.mknod(source / "null", stat.S_IFCHR | 0o666, os.makedev(1, 3))
    os.chown(source, 9, 9)
    _copy(source, target)
    found = os.lstat(target / "file")
    assert (found.st_uid, found.st_gid, stat.S_IMODE(found.st_mode)) == (12, 34, 0o6755)
    assert os.getxattr(target / "file", "security.capability") == capability
    assert os.lstat(target / "link").st_uid == 56
    assert os.lstat(target / "null").st_rdev == os.makedev(1, 3)
    assert os.lstat(target).st_uid == 9


def test_hard_links_and_holes_stay(source: Path, target: Path) -> None:
    (source / "a").write_text("x")
    (source / "b").mkdir()
    os.link(source / "a", source / "b/c")
    with open(source / "sparse", "wb") as file:
        file.truncate(1 << 30)
        file.seek(1 << 29)
        file.write(b"middle")
    _copy(source, target)
    assert os.path.samefile(target / "a", target / "b/c")
    sparse = os.lstat(target / "sparse")
    assert (sparse.st_size, sparse.st_blocks < 1000) == (1 << 30, True)
    with open(target / "sparse", "rb") as file:
        file.seek(1 << 29)
        assert file.read(6) == b"middle"


def test_what_is_there_already_stays(source: Path, target: Path, tmp_path: Path) -> None:
    """Seen to fail with ``cp -a``: the file outside was written to, and got the mode."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("mine")
    for name in ("file", "folder/file", "other"):
        (source / name).parent.mkdir(exist_ok=True)
        (source / name).write_text("image's")
        (source / name).chmod(0o4755)
    (target / "file").symlink_to(outside / "file")
    (target / "folder").symlink_to(outside)
    _copy(source, target)
    assert (outside / "file").read_text() == "mine"
    assert not os.lstat(outside / "file").st_mode & stat.S_ISUID
    assert (target / "other").read_text() == "image's"


def test_a_tree_of_any_depth_takes_few_descriptors(source: Path, target: Path) -> None:
    here = os.open(source, os.O_RDONLY)
    for _ in range(400):
        os.mkdir("d", dir_fd=here)
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)
    before = len(os.listdir("/proc/self/fd"))
    _copy(source, target)
    assert len(os.listdir("/proc/self/fd")) == before
    assert (target / "/".join("d" * 400)).is_dir()


def test_another_name_is_that_of_the_open_file(source: Path, target: Path) -> None:
    (source / "a").write_text("first")
    folder = os.open(source, os.O_RDONLY)
    opened = at.open_path(folder, "a")
    (source / "a").rename(source / "moved")
    (source / "a").write_text("second")
    at.link_open(opened, folder, "b")
    assert (source / "b").read_text() == "first"
    os.close(opened)
    os.close(folder)
