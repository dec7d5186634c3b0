from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.build.mountpoints import make_mount_points, remove_mount_points
from jupyter_containers.build.seams import StepMount


@pytest.fixture
def rootfs(tmp_path: Path) -> Path:
    """Return an image's root that has all standard places."""
    root = tmp_path / "rootfs"
    for name in ("proc", "sys", "dev", "etc"):
        (root / name).mkdir(parents=True)
    for name in ("hosts", "hostname", "resolv.conf"):
        (root / "etc" / name).write_text("text")
    return root


def _cache(target: str) -> StepMount:
    return StepMount("cache", target, cache_id="x")


def test_what_was_made_goes_and_what_the_step_put_there_stays(rootfs: Path) -> None:
    (rootfs / "have").mkdir()
    os.utime(rootfs / "have", ns=(5, 6))
    mounts = (
        _cache("/have/a"),
        _cache("/have/b/c"),
        StepMount("tmpfs", "/t"),
        StepMount("file", "/have/f"),
    )
    points = make_mount_points(str(rootfs), mounts)
    assert (rootfs / "have/b/c").is_dir()
    assert (rootfs / "t").stat().st_mode & 0o7777 == 0o1777
    assert (rootfs / "have/f").is_file()
    (rootfs / "t/left").write_text("")
    remove_mount_points(str(rootfs), points)
    assert sorted(os.listdir(rootfs / "have")) == []
    assert (rootfs / "have").stat().st_mtime_ns == 6
    assert (rootfs / "t/left").exists()


@pytest.mark.parametrize("absolute", [True, False])
def test_nothing_goes_behind_a_link_that_the_step_put_in_place(
    rootfs: Path, tmp_path: Path, absolute: bool
) -> None:
    """Seen to fail with removal by path: the host's empty folder and file were gone."""
    host = tmp_path / "host"
    (host / "empty").mkdir(parents=True)
    (host / "file").write_text("")
    os.utime(host, ns=(7, 8))
    points = make_mount_points(
        str(rootfs), (_cache("/parent/empty"), StepMount("file", "/parent/file"))
    )
    # A folder with mount points in it can be moved, only they cannot.
    (rootfs / "parent").rename(rootfs / "moved")
    (rootfs / "parent").symlink_to(host if absolute else "../host")
    remove_mount_points(str(rootfs), points)
    assert sorted(os.listdir(host)) == ["empty", "file"]
    assert host.stat().st_mtime_ns == 8


def test_a_folders_times_are_not_set_behind_a_link(rootfs: Path, tmp_path: Path) -> None:
    """Seen to fail with times set by path: the host's folder had those of the image's."""
    host = tmp_path / "host"
    (host / "inner").mkdir(parents=True)
    (rootfs / "a/inner").mkdir(parents=True)
    # Seen from inside, the link leads to a folder that looks as the one before.
    (rootfs / str(host / "inner").lstrip("/")).mkdir(parents=True)
    os.utime(rootfs / "a/inner", ns=(5, 5))
    os.utime(host / "inner", ns=(7, 8))
    points = make_mount_points(str(rootfs), (_cache("/a/inner/new"),))
    (rootfs / "a").rename(rootfs / "moved")
    (rootfs / "a").symlink_to(host)
    remove_mount_points(str(rootfs), points)
    assert (host / "inner").stat().st_mtime_ns == 8
