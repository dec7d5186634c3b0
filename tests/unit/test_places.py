from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers import settings
from jupyter_containers.errors import StorageError
from jupyter_containers.places import file_system, is_remote, private_folder
from jupyter_containers.settings import default_settings

TABLE = (
    "1 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    "2 1 0:1 / /tmp rw - tmpfs tmpfs rw\n"
    "3 1 0:2 / /home rw - nfs4 server:/home rw\n"
    "4 3 0:3 / /home/ann/my\\040disk rw - ext4 /dev/sdb rw\n"
    "5 1 0:4 / /tmp rw - ramfs ramfs rw\n"
)


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/srv/x", "ext4"),
        ("/tmp/x", "ramfs"),  # over the other one
        ("/home/ann", "nfs4"),
        ("/home/ann/my disk/x", "ext4"),
        ("/homes", "ext4"),
    ],
)
def test_file_system(path: str, kind: str) -> None:
    assert file_system(Path(path), TABLE) == kind


def test_what_is_remote() -> None:
    assert is_remote("nfs4")
    assert is_remote("fuse.sshfs")
    assert not is_remote("ext4")
    assert not is_remote("")


def test_a_store_moves_from_a_home_on_another_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setattr(settings, "file_system", lambda path: file_system(path, TABLE))
    moved = default_settings({"HOME": "/home/ann"})
    assert moved.root == Path("/var/tmp/jupyter-containers-1000")
    # What somebody asked for stays.
    environ = {"HOME": "/home/ann", "XDG_DATA_HOME": "/home/ann/my disk"}
    assert default_settings(environ).root == Path("/home/ann/my disk/jupyter-containers")
    monkeypatch.setattr(settings, "file_system", lambda path: "nfs")
    kept = default_settings({"HOME": "/home/ann"})
    assert kept.root == Path("/home/ann/.local/share/jupyter-containers")


def test_a_private_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a/run"
    private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    folder.chmod(0o777)
    private_folder(folder)
    assert folder.stat().st_mode & 0o777 == 0o700
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(StorageError, match="not this user's own"):
        private_folder(tmp_path / "link")
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StorageError, match="not this user's own"):
        private_folder(folder)
