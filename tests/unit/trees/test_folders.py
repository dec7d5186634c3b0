from __future__ import annotations

import os
from pathlib import Path

import pytest

from jupyter_containers.trees import at
from jupyter_containers.trees.folders import Folders
from jupyter_containers.trees.rooted import Root


def test_few_stay_open_and_all_can_be_asked_for_again(tmp_path: Path) -> None:
    for number in range(10):
        (tmp_path / f"a/{number}").mkdir(parents=True)
    before = len(os.listdir("/proc/self/fd"))
    with Root(tmp_path) as root, Folders(root, limit=3) as folders:
        for _ in range(2):
            for number in range(10):
                at.mkdir(*folders.above(f"a/{number}/x"), 0o700)
                at.rmdir(*folders.above(f"a/{number}/x"))
        assert len(os.listdir("/proc/self/fd")) <= before + 4
        one, other = folders.open(""), folders.open("a")
        assert os.fstat(one).st_ino == tmp_path.stat().st_ino
        assert os.fstat(other).st_ino == (tmp_path / "a").stat().st_ino
    assert len(os.listdir("/proc/self/fd")) == before


def test_no_folder_is_reached_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "in/real").mkdir(parents=True)
    (tmp_path / "in/link").symlink_to(tmp_path)
    with Root(tmp_path / "in") as root, Folders(root) as folders:
        with pytest.raises(OSError, match=r"symbolic|Not a directory"):
            folders.open("link")
        with pytest.raises(OSError, match=r"symbolic|Not a directory"):
            folders.above("link/in/file")


def test_a_folder_swapped_for_a_link_stays_the_one_that_was_opened(tmp_path: Path) -> None:
    (tmp_path / "in/folder").mkdir(parents=True)
    with Root(tmp_path / "in") as root, Folders(root) as folders:
        folders.open("folder")
        (tmp_path / "in/folder").rename(tmp_path / "in/moved")
        (tmp_path / "in/folder").symlink_to(tmp_path)
        at.mkdir(*folders.above("folder/made"), 0o700)
    assert (tmp_path / "in/moved/made").is_dir()
    assert not (tmp_path / "made").exists()
