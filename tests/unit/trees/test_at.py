from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from jupyter_containers.trees import at, linux
from jupyter_containers.trees.removal import remove_tree


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[int]:
    (tmp_path / "outside").write_text("secret")
    (tmp_path / "outside").chmod(0o600)
    (tmp_path / "elsewhere").mkdir()
    inside = tmp_path / "inside"
    inside.mkdir()
    (inside / "file").write_text("text")
    (inside / "link").symlink_to("../outside")
    (inside / "folder").symlink_to("../elsewhere")
    os.mkfifo(inside / "fifo")
    descriptor = os.open(inside, os.O_RDONLY | os.O_DIRECTORY)
    yield descriptor
    os.close(descriptor)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/etc", b"../outside"])
@pytest.mark.parametrize(
    "act",
    [
        at.stat,
        at.open_regular,
        at.open_folder,
        at.create,
        at.mkdir,
        at.unlink,
        at.readlink,
        remove_tree,
        lambda directory, name: at.chmod(directory, name, 0o777),
        lambda directory, name: at.chown(directory, name, 0, 0),
        lambda directory, name: at.symlink("x", directory, name),
        lambda directory, name: at.setxattr(directory, name, "user.x", b""),
    ],
)
def test_a_path_is_no_name(folder: int, act: Callable[[int, str], object], name: str) -> None:
    with pytest.raises(OSError, match="not the name of one entry"):
        act(folder, name)


def test_nothing_follows_a_link(folder: int, tmp_path: Path) -> None:
    with pytest.raises(OSError, match="symbolic"):
        at.open_regular(folder, "link")
    with pytest.raises(OSError, match="Not a directory"):
        at.open_folder(folder, "folder")
    with pytest.raises(FileExistsError):
        at.create(folder, "link")
    at.utime(folder, "link", (1, 1))
    assert (tmp_path / "outside").stat().st_mtime_ns > 1
    assert at.stat(folder, "link").st_mtime_ns == 1
    remove_tree(folder, "folder")
    assert (tmp_path / "elsewhere").is_dir()


@pytest.mark.parametrize("old_kernel", [False, True])
def test_a_mode_is_never_that_of_a_links_target(
    folder: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, old_kernel: bool
) -> None:
    """Fails with ``os.chmod(name, mode, dir_fd=…)``, which follows the link."""
    if old_kernel:

        def missing(*_: object) -> None:
            raise OSError(errno.ENOSYS, "")

        monkeypatch.setattr(at, "fchmodat2", missing)
    at.chmod(folder, "file", 0o4711)
    assert stat.S_IMODE(at.stat(folder, "file").st_mode) == 0o4711
    with pytest.raises(OSError, match="not supported") as caught:
        at.chmod(folder, "link", 0o777)
    assert caught.value.errno == errno.EOPNOTSUPP
    assert stat.S_IMODE((tmp_path / "outside").stat().st_mode) == 0o600


def test_only_regular_files_are_read_and_a_fifo_does_not_block(folder: int) -> None:
    before = len(os.listdir("/proc/self/fd"))
    with pytest.raises(OSError, match="not a regular file"):
        at.open_regular(folder, "fifo")
    assert len(os.listdir("/proc/self/fd")) == before


def test_fchmodat2_names_the_entry(folder: int) -> None:
    with pytest.raises(FileNotFoundError):
        linux.fchmodat2(folder, b"nothing", 0o600)
