"""Displays of ``IPython.display`` in a session compared with a plain kernel's outputs.

The image has no IPython: once its stand-ins answer, once the IPython of this environment, mounted.
"""

from __future__ import annotations

import re
import sys
import sysconfig
from pathlib import Path
from typing import Any

import nbformat
import pytest
from nbclient import NotebookClient

from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import Place

# In order: later cells use names of earlier ones.
FILE = Path(__file__).parents[1] / "data" / "session_displays.txt"
CELLS = FILE.read_text(encoding="utf-8").rstrip("\n").split("\n%%\n")
# What differs, by the beginning of the cell, with and without IPython in the image.
# An error in a value's method is text on stderr, and no output of its own.
ERROR = "class B:"
DIFFERENT = {
    "with": {ERROR},
    "without": {
        ERROR,
        "Javascript('1', lib=",  # the same scripts are loaded by other words
        "defaultdict(list",  # <class 'list'> instead of list
        "Code(",  # Pygments' colours
    },
}


def comparable(value: Any) -> Any:
    """Return outputs without counts, addresses, white space between tags and tracebacks."""
    if isinstance(value, dict):
        left_out = ("execution_count", "traceback")
        return {name: comparable(one) for name, one in value.items() if name not in left_out}
    if isinstance(value, (list, tuple)):
        return [comparable(one) for one in value]
    if isinstance(value, str):
        value = re.sub(r"0x[0-9a-f]+|display_id=\w+", "ID", value)
        if "<" in value:
            value = re.sub(r"\s*([<>])\s*", r"\1", re.sub(r"\s+", " ", value))
    return value


@pytest.fixture(scope="module")
def plain() -> list[Any]:
    """Return the outputs of a plain kernel."""
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(one) for one in CELLS])
    NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
    return [comparable(cell.outputs) for cell in notebook.cells]


@pytest.mark.parametrize("kind", ["with", "without"])
def test_outputs_are_those_of_a_plain_kernel(
    place: Place, base_images: BaseImages, plain: list[Any], kind: str
) -> None:
    flags: dict[str, Any] = {"network": "none"}
    if kind == "with":
        if sys.version_info[:2] != (3, 11):
            pytest.skip("needs the image's Python, 3.11, for the mounted IPython")
        site = sysconfig.get_paths()["purelib"]
        flags |= {"volume": [f"{site}:/site:ro"], "env": ["PYTHONPATH=/site"]}
    with place.engine() as engine:
        base_images.bring(engine, "python:3.11-slim")
        with engine.sessions.start("python:3.11-slim", **flags) as session:
            found = [comparable(session.run(cell).outputs) for cell in CELLS]
    compared = list(zip(CELLS, found, plain, strict=True))
    different = {cell for cell, own, theirs in compared if own != theirs}
    expected = {cell for cell in CELLS if cell.startswith(tuple(DIFFERENT[kind]))}
    surprises = different ^ expected
    assert not surprises, [(own, theirs) for cell, own, theirs in compared if cell in surprises]
