"""Programs that run as single files, outside this package: in images, and in a bare Python."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import jupyter_containers

PACKAGE = Path(jupyter_containers.__file__).parent
LONE = [
    "engine/containers/inside_python.py",
    "engine/sessions/python_agent.py",
    "engine/sessions/python_displays.py",
    "network/nameserver.py",
    "network/relay.py",
    "runtime/chroot_program.py",
]


@pytest.mark.parametrize("name", LONE)
def test_it_imports_nothing_of_this_package(name: str) -> None:
    """A whole run failed when two of them had imported lazy modules."""
    tree = ast.parse((PACKAGE / name).read_text())
    found = {
        module
        for node in ast.walk(tree)
        if isinstance(node, ast.Import | ast.ImportFrom)
        for module in (
            [node.module or ""]
            if isinstance(node, ast.ImportFrom)
            else [one.name for one in node.names]
        )
    }
    assert not [module for module in found if module.partition(".")[0] == "jupyter_containers"]
