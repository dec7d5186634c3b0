"""The browser's side of the widgets is anywidget's protocol and nothing else.

It is what JupyterLab, Notebook and VS Code have in common; a widget that reached for one of them
would work there only.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from jupyter_containers.widgets import bundle

SOURCES = Path(__file__).parents[3] / "labextension/src"
WIDGETS = sorted((SOURCES / "widgets").glob("*.ts"))
SHARED = sorted(SOURCES.glob("*.ts"))
_IMPORT = re.compile(r"""^\s*(?:import|export)\b[^;=]*?\b(?:from\s+)?["']([^"']+)["'];""", re.M)
_BUILT_IMPORT = re.compile(r"""(?:^|[;}])import\s*(?:[\w{*$]|["'])""")


@pytest.mark.parametrize("path", [*WIDGETS, *SHARED], ids=lambda path: path.name)
def test_a_widgets_source_imports_only_xterm_and_its_neighbours(path: Path) -> None:
    imported = _IMPORT.findall(path.read_text())
    assert [
        name
        for name in imported
        if not re.fullmatch(r"\.{1,2}/[a-z]+(\.css)?|@anywidget/types|@xterm/[a-z/.-]+", name)
    ] == []
    assert "./lab" not in imported


@pytest.mark.parametrize("path", WIDGETS, ids=lambda path: path.stem)
def test_a_widget_is_one_module_with_nothing_to_fetch(path: Path) -> None:
    # Only the protocol's messages, and nothing specific to one front end.
    source = path.read_text()
    assert "export default { render };" in source
    assert "jupyterapp" not in source
    built = bundle.bundle(path.stem)
    assert "@jupyterlab" not in built
    assert "@lumino" not in built
    assert not _BUILT_IMPORT.search(built)


def test_only_the_line_knows_the_model() -> None:
    used = {
        (path.name, method)
        for path in [*WIDGETS, *SHARED]
        for method in re.findall(r"\bmodel\.(\w+)", path.read_text())
    }
    assert used == {("link.ts", "send"), ("link.ts", "on"), ("link.ts", "off")}
