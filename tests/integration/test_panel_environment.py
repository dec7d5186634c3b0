"""The Dockerfile of a notebook, built and run: the same Python, packages and results."""

from __future__ import annotations

import json
import os
import subprocess
import venv
from importlib.metadata import distributions
from pathlib import Path
from typing import Any

import nbformat
import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.panel.environment import notebook_dockerfile

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root")

# An older release than the one that pip would choose: only a pin brings it.
PINNED = "tabulate==0.8.10"
CELL = """\
import sys, tabulate
from importlib.metadata import version
print(sys.version_info[:2], version("tabulate"), version("ipykernel"))"""


@pytest.fixture
def kernel(tmp_path: Path) -> Path:
    """Return the folder of an environment's packages, such as a kernel would have."""
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    pip = [str(python), "-m", "pip", "install", "-q", "--disable-pip-version-check"]
    subprocess.run([*pip, "ipykernel", PINNED], check=True)
    [site] = (tmp_path / "venv/lib").glob("python*/site-packages")
    return site


def outputs(notebook: Path) -> str:
    [cell] = nbformat.read(notebook, as_version=4).cells
    found: list[Any] = cell.outputs
    return "".join(str(output.get("text", output)) for output in found)


def test_it_reproduces_the_environment(
    engine: Engine, python: str, kernel: Path, tmp_path: Path
) -> None:
    del python  # the base image is in the store
    folder = tmp_path / "project"
    folder.mkdir()
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(CELL)])
    nbformat.write(notebook, folder / "my work.ipynb")
    text = notebook_dockerfile(
        "somewhere/my work.ipynb", (3, 11), distributions(path=[str(kernel)])
    )
    (folder / "Dockerfile").write_text(text)
    image = engine.build(folder, tag="my-notebook:test")
    assert json.dumps(["jupyter", "execute", "--inplace", "my work.ipynb"]) in text

    done = engine.run(image, volume=[f"{folder}:/work"], network="none", rm=True)
    assert done.exit_code == 0, done.output
    there = {one.metadata["Name"]: one.version for one in distributions(path=[str(kernel)])}
    versions = f"{there['tabulate']} {there['ipykernel']}"
    assert outputs(folder / "my work.ipynb") == f"(3, 11) {versions}\n"
    assert there["tabulate"] == PINNED.partition("==")[2]
    engine.images.remove("my-notebook:test")
