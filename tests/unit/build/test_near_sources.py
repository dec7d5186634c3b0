"""Hints for a missing COPY source: a similar name, or the rule that excludes it.

BuildKit only says ``"/requirement.txt": not found``.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.errors import BuildError
from jupyter_containers.trees.rooted import Root


@pytest.mark.parametrize(
    ("pattern", "hint"),
    [
        ("requirement.txt", "did you mean requirements.txt?"),
        ("./Requirements.txt", "did you mean requirements.txt?"),
        ("readme", "did you mean README?"),
        ("sorce/main.py", "did you mean source?"),
        ("source/mian.py", "did you mean source/main.py?"),
        ("source/main.py/x", "sources are relative to the context"),
        ("nothing-like-it", "sources are relative to the context"),
        ("secrets.txt", "sources are relative to the context"),
        ("secret.txt", "include it again with a final line !secret.txt there"),
        ("source/hidden.py", "include it again with a final line !source/hidden.py there"),
    ],
)
def test_hints(tmp_path: Path, pattern: str, hint: str) -> None:
    (tmp_path / "source").mkdir()
    for name in ("requirements.txt", "README", "source/main.py", "source/hidden.py", "secret.txt"):
        (tmp_path / name).touch()
    with Root(tmp_path) as root:
        tree = SourceTree(root, IgnoreRules.of(("secret.txt", "source/hidden.py"), "rules"))
        with pytest.raises(BuildError) as caught:
            tree.find(pattern)
    assert caught.value.hint == hint


def test_a_stage_has_no_context(tmp_path: Path) -> None:
    with Root(tmp_path) as root, pytest.raises(BuildError) as caught:
        SourceTree(root, keep_owner=True).find("/nosuch")
    assert caught.value.hint == ""
