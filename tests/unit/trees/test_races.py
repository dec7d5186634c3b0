from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from jupyter_containers.trees.rooted import Root
from tests.racing import swapping

ROUNDS = 400


def test_no_folder_is_made_behind_a_link(tmp_path: Path) -> None:
    """Seen to fail with folders made by their paths: ``x`` of the host, of every mode."""
    host, tree = tmp_path / "host", tmp_path / "tree"
    host.mkdir()
    (tree / "d").mkdir(parents=True)
    (tree / "link").symlink_to(host)
    with swapping(tree / "d", tree / "link"), Root(tree) as root:
        for number in range(ROUNDS):
            with suppress(OSError):
                root.make_folders(f"/d/{number}/x", 0o777, 0, 0)
    assert os.listdir(host) == []
