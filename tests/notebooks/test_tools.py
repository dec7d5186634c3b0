"""Tools that run notebooks see a failure of a container, a build or a pull, and stop there.

To a tool all failures are the same: the kernel's reply to a cell is an error.  So each kind of
failure is tried in a kernel, and each tool with one kind.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nbformat
import pytest

from tests.integration.engine_fixtures import Place
from tests.notebooks.kernels import environment, kernel, run_cell

TOOLS = {
    "jupyter execute": ["jupyter", "execute", "--output", "out.ipynb", "book.ipynb"],
    "papermill": ["papermill", "book.ipynb", "out.ipynb"],
    "nbconvert": ["nbconvert", "--to", "notebook", "--execute", "--output", "out", "book.ipynb"],
}
FAILURES = {
    "run": ("%container run --rm --network none busybox sh -c 'exit 3'", "ContainerFailedError"),
    "build": ("%%dockerfile\nFROM busybox\nRUN false", "StepFailedError"),
    "pull": ("%container pull localhost:1/x", "ConnectionFailedError"),
}


@pytest.fixture(scope="module", autouse=True)
def busybox(place: Place) -> None:
    with place.engine() as engine:
        engine.images.bootstrap("busybox")


def ran(place: Place, folder: Path, tool: str, cells: Sequence[str]) -> tuple[int, str]:
    """Return the tool's exit code and output for a notebook of these cells."""
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(source) for source in cells],
        metadata={"kernelspec": {"name": "python3", "display_name": "Python 3"}},
    )
    nbformat.write(notebook, folder / "book.ipynb")
    # Kernels listen on sockets in a private folder, so that simultaneous runs do not collide.
    config = folder / "config"
    config.mkdir()
    (config / "jupyter_config.json").write_text('{"KernelManager": {"transport": "ipc"}}')
    own = {"JUPYTER_CONFIG_DIR": str(config), "JUPYTER_RUNTIME_DIR": str(folder / "r")}
    environ = {**environment(place), **own}
    environ["PATH"] = f"{Path(sys.executable).parent}:{environ['PATH']}"
    done = subprocess.run(
        [sys.executable, "-m", *TOOLS[tool]],
        check=False,
        cwd=folder,
        env=environ,
        capture_output=True,
        text=True,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.mark.parametrize("tool", TOOLS)
def test_a_notebook_that_works_is_run_to_its_end(place: Place, tmp_path: Path, tool: str) -> None:
    cells = [
        "%load_ext jupyter_containers",
        "%container run --rm --network none busybox echo said",
        "%container network inspect bridge",
    ]
    code, said = ran(place, tmp_path, tool, cells)
    assert code == 0, said
    written = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    kept = [cell for cell in written.cells if cell.source in cells]
    assert kept[1].outputs[0].text == "said\n"
    # No front end could show a widget.
    assert set(kept[2].outputs[0].data) == {"text/plain", "text/html"}


def test_each_kind_of_failure_is_an_error_of_its_cell(place: Place, tmp_path: Path) -> None:
    replies: list[Any] = []
    with kernel(place, tmp_path) as client:
        client.on_cell_executed = lambda execute_reply, **_: replies.append(execute_reply)
        assert run_cell(client, "%load_ext jupyter_containers") == []
        for source, name in FAILURES.values():
            shown = run_cell(client, source)[-1]
            assert (shown.output_type, shown.ename) == ("error", name)
    found = [(reply["content"]["status"], reply["content"].get("ename")) for reply in replies]
    assert found == [("ok", None), *(("error", name) for _, name in FAILURES.values())]


@pytest.mark.parametrize(("tool", "failure"), [*zip(TOOLS, FAILURES, strict=True)])
def test_a_failure_is_seen(place: Place, tmp_path: Path, tool: str, failure: str) -> None:
    source, name = FAILURES[failure]
    cells = ["%load_ext jupyter_containers", source, "open('after', 'w').close()"]
    code, said = ran(place, tmp_path, tool, cells)
    assert code != 0
    assert name in said
    assert not (tmp_path / "after").exists()
