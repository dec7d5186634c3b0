from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from jupyter_containers import settings
from jupyter_containers.errors import StorageError, UntrustedPlaceError
from jupyter_containers.filesystems import (
    check_contents,
    check_place,
    file_system,
    is_remote,
    private_folder,
)
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
    # An explicit setting is kept.
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
    (folder / "planted").touch()
    folder.chmod(0o777)
    with pytest.raises(UntrustedPlaceError, match="changed by every user"):
        private_folder(folder)
    (tmp_path / "link").symlink_to(folder)
    with pytest.raises(StorageError, match="not this user's own"):
        private_folder(tmp_path / "link")
    folder.chmod(0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    with pytest.raises(StorageError, match="not this user's own"):
        private_folder(folder)


# -- trusted places; each refusal was seen to fail at 39323e0, which looked at none of this --------

needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for another user's files")
OTHER = 12345


def refused(path: Path) -> str:
    with pytest.raises(UntrustedPlaceError) as caught:
        check_place(path, "a store", "do this")
    assert caught.value.hint == "do this"
    assert "\n" not in caught.value.message
    return caught.value.message


def test_what_nobody_else_can_change_is_trusted(tmp_path: Path) -> None:
    folder = tmp_path / "a/b"
    folder.mkdir(parents=True)
    for path in (folder, folder / "not/there/yet", Path("/tmp/not-there-yet"), Path("/")):
        check_place(path, "a store", "")
    link = tmp_path / "link"
    link.symlink_to("a/../a")
    check_place(link / "b", "a store", "")
    (tmp_path / "loop").symlink_to("loop")
    check_place(tmp_path / "loop/x", "a store", "")


@pytest.mark.parametrize("mode", [0o777, 0o702, 0o757])
def test_a_folder_that_others_can_write(tmp_path: Path, mode: int) -> None:
    folder = tmp_path / "open/store"
    folder.mkdir(parents=True)
    folder.parent.chmod(mode)
    said = refused(folder)
    assert f"{folder.parent}, a folder above it," in said
    assert f"{mode:04o}" in said
    refused(folder / "not/there/yet")
    # Other users cannot remove entries of a sticky folder.
    folder.parent.chmod(mode | 0o1000)
    check_place(folder, "a store", "")
    assert "it can be changed by every user" in refused(folder.parent)


@needs_root
def test_what_belongs_to_another_user(tmp_path: Path) -> None:
    folder = tmp_path / "theirs/store"
    folder.mkdir(parents=True)
    os.chown(folder.parent, OTHER, 0)
    assert f"a folder above it, belongs to user {OTHER}" in refused(folder)
    check_place(folder, "a store", "", owners=frozenset({OTHER}))
    os.chown(folder.parent, 0, 0)
    os.chown(folder, OTHER, 0)
    assert f"it belongs to user {OTHER}" in refused(folder)
    link = tmp_path / "link"
    link.symlink_to(tmp_path / "elsewhere")
    (tmp_path / "elsewhere").mkdir()
    os.chown(link, OTHER, 0, follow_symlinks=False)
    assert str(link) in refused(link / "store")


@needs_root
def test_a_way_through_a_link_into_a_folder_of_others(tmp_path: Path) -> None:
    (tmp_path / "open/real").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "open/real")
    check_place(tmp_path / "link/store", "a store", "")
    (tmp_path / "open").chmod(0o777)
    assert str(tmp_path / "open") in refused(tmp_path / "link/store")


@needs_root
def test_a_folder_that_a_group_can_write(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    folder.mkdir()
    folder.chmod(0o775)
    check_place(folder, "a store", "")  # root's own group
    os.chown(folder, 0, 1)  # daemon's
    assert "changed by the group daemon" in refused(folder)
    os.chown(folder, 0, 54321)  # without a member
    check_place(folder, "a store", "")


@needs_root
def test_contents_of_another_user(tmp_path: Path) -> None:
    (tmp_path / "mine").touch()
    check_contents(tmp_path, "a store", "")
    (tmp_path / "theirs").mkdir()
    os.chown(tmp_path / "theirs", OTHER, 0)
    with pytest.raises(UntrustedPlaceError, match="theirs in it belongs to user 12345"):
        check_contents(tmp_path, "a store", "")


@needs_root
def test_an_open_volume_of_a_pod(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An ``emptyDir`` is open to all; only the pod has it."""
    volume = tmp_path / "volume"
    volume.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=0777", "tmpfs", volume], check=True)
    try:
        refused(volume / "store")
        monkeypatch.setenv("KUBERNETES_SERVICE_HOST", "10.0.0.1")
        check_place(volume / "store", "a store", "")
        refused(volume)
        (volume / "open").mkdir(mode=0o777)
        (volume / "open").chmod(0o777)
        refused(volume / "open/store")
    finally:
        subprocess.run(["umount", "-l", volume], check=True)
