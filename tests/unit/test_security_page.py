"""docs/security.md claims what a test tries: every test that it names is there."""

from __future__ import annotations

import ast
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMED = re.compile(r"`((?:tests/\S+/)?test_\w+\.py)(?:::(\w+))?`")


def test_every_test_that_is_named_exists() -> None:
    named = NAMED.findall((ROOT / "docs/security.md").read_text())
    assert len(named) > 30
    for file, function in named:
        path = ROOT / file if "/" in file else ROOT / "tests/integration" / file
        assert path.is_file(), file
        known = {
            node.name
            for node in ast.parse(path.read_text()).body
            if isinstance(node, ast.FunctionDef)
        }
        assert not function or function in known, f"{file}::{function}"
