from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.trees.walk import walk


def _open(path: Path) -> int:
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY)


def _open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


def deep(top: Path, levels: int) -> None:
    here = _open(top)
    for _ in range(levels):
        os.mkdir("d", dir_fd=here)
        os.close(os.open("f", os.O_CREAT | os.O_WRONLY, 0o600, dir_fd=here))
        inner = os.open("d", os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = inner
    os.close(here)


def test_everything_below_comes_folders_first(tmp_path: Path) -> None:
    (tmp_path / "b/c").mkdir(parents=True)
    (tmp_path / "b/c/file").write_text("12345")
    (tmp_path / "a").symlink_to("b")
    top = _open(tmp_path)
    found = [(one.path, one.name) for one in walk(top)]
    os.close(top)
    assert found == [(b"a", b"a"), (b"b", b"b"), (b"b/c", b"c"), (b"b/c/file", b"file")]


def test_a_tree_of_any_depth_takes_few_descriptors(tmp_path: Path) -> None:
    deep(tmp_path, 300)
    top = _open(tmp_path)
    before, most, count = _open_files(), 0, 0
    for _ in walk(top):
        count += 1
        if not count % 50:
            most = max(most, _open_files())
    assert count == 600
    assert most - before < 100
    assert _open_files() == before
    os.close(top)


def test_a_walk_does_not_go_up_into_another_tree(tmp_path: Path) -> None:
    """Seen to fail without the comparison in ``_leave``: a file of ``elsewhere`` was yielded."""
    (tmp_path / "top").mkdir()
    deep(tmp_path / "top", 100)
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/f").write_text("secret")
    top = _open(tmp_path / "top")
    sizes = []
    for one in walk(top):
        sizes.append(one.status.st_size if one.name == b"f" else 0)
        if one.path.count(b"/") == 80 and one.name == b"d":
            # The 10th folder, which is closed by now, goes elsewhere with all below it.
            place = tmp_path / "top" / "/".join(["d"] * 10)
            if place.exists():
                place.rename(tmp_path / "elsewhere" / "moved")
    os.close(top)
    assert not any(sizes)


def test_what_may_not_be_listed_or_vanishes_is_passed_over(tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text("")
    top = _open(tmp_path)
    found = []
    for one in walk(top):
        found.append(one.path)
        if one.path == b"a/file":
            (tmp_path / "b/file").unlink()
            (tmp_path / "b").rmdir()
        if one.path == b"c":
            (tmp_path / "c").rename(tmp_path / "gone")
            (tmp_path / "c").symlink_to("a")
    os.close(top)
    assert found == [b"a", b"a/file", b"c"]
