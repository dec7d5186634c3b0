from __future__ import annotations

import os
from pathlib import Path

from jupyter_containers.trees.removal import remove
from tests.unit.trees.test_walk import deep


def test_a_tree_of_any_depth_goes(tmp_path: Path) -> None:
    """Seen to fail with ``shutil.rmtree``: RecursionError at some thousand folders."""
    (tmp_path / "top").mkdir()
    deep(tmp_path / "top", 3000)
    remove(tmp_path / "top")
    assert os.listdir(tmp_path) == []
    remove(tmp_path / "top")


def test_links_go_and_not_what_they_lead_to(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/file").write_text("")
    (tmp_path / "top").mkdir()
    (tmp_path / "top/link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "top")
    (tmp_path / "link").symlink_to(tmp_path / "kept")
    remove(tmp_path / "link")
    assert [path.name for path in tmp_path.rglob("*")] == ["kept", "file"]
