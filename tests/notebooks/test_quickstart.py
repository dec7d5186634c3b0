"""The quickstart notebook, run by the script that ``scripts/demo`` uses."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
import pytest

from tests.integration.bases import BaseImages
from tests.integration.engine_fixtures import Place
from tests.notebooks.course import (
    Lesson,
    argv_of,
    exercises_work,
    lesson_in,
    shows,
    shows_no_traceback,
)
from tests.notebooks.kernels import environment, text_of
from tests.ports import free_port

REPOSITORY = Path(__file__).parents[2]
NOTEBOOK = REPOSITORY / "notebooks/00_quickstart.ipynb"
BASES = ("busybox", "debian:bookworm-slim", "python:3.11-slim")
PORTS = ("8000", "8001", "8002", "5000")


@dataclass(frozen=True)
class Run:
    """The result of a run and the script's output."""

    notebook: nbformat.NotebookNode
    path: Path
    printed: str

    def output(self, source: str) -> str:
        """Return the text below the first cell that contains ``source``."""
        for cell in self.notebook.cells:
            if cell.cell_type == "code" and source in cell.source:
                return text_of(cell.outputs)
        raise AssertionError(f"no cell contains {source!r}")


@pytest.fixture(scope="module")
def run(place: Place, base_images: BaseImages, tmp_path_factory: pytest.TempPathFactory) -> Run:
    with place.engine() as engine:
        base_images.bring(engine, *BASES)
    folder = tmp_path_factory.mktemp("quickstart")
    source, target = folder / "quickstart.ipynb", folder / "result.ipynb"
    source.write_text(on_free_ports(NOTEBOOK.read_text()))
    script = [sys.executable, str(REPOSITORY / "scripts/run_notebook.py"), source, target]
    done = subprocess.run(
        script, env=environment(place), capture_output=True, text=True, timeout=600, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return Run(nbformat.read(target, as_version=4), target, done.stdout)


def on_free_ports(text: str) -> str:
    """Return the notebook with its published ports replaced by free ones."""
    for port in PORTS:
        ours = free_port()
        text = re.sub(rf"(-p |localhost:|port_answers\(){port}\b", rf"\g<1>{ours}", text)
    return text


def test_every_cell_ran_and_none_shows_a_traceback(run: Run) -> None:
    code = [cell for cell in run.notebook.cells if cell.cell_type == "code"]
    assert all(cell.execution_count for cell in code)
    # The exercises are unanswered: their checks fail, and the run continues.
    checks = [cell for cell in code if cell.id.startswith("check-")]
    assert [cell.outputs[0].ename for cell in checks] == ["NotYetError", "NotYetError"]
    outputs = [output for cell in code if cell not in checks for output in cell.outputs]
    assert [output for output in outputs if output.output_type == "error"] == []
    shown = text_of(outputs)
    assert "Traceback" not in shown
    assert 'File "' not in shown


def test_it_shows_what_it_says(run: Run) -> None:
    build = run.output("%%dockerfile -t my-python-app")
    assert "RUN pip install --no-cache-dir -r requirements.txt" in build
    assert "✗" not in build
    assert "<Image my-python-app:latest" in build
    assert "Hello from a container" in run.output('first = get("http://')
    ps = run.output("containers = %container ps")
    assert "CONTAINER ID" in ps
    assert "->8000/tcp" in ps
    assert " * Running on all addresses" in run.output("%container logs app")
    assert "'app.py'" in run.output("%container exec app")
    assert " / 512MiB" in run.output("%container stats app")
    assert "Exited (" in run.output("%container ps -a")
    assert "the same digest throughout: sha256:" in run.output("assert pulled.digest")


def test_limits_and_failures_are_said_in_one_place(run: Run) -> None:
    oom = run.output("busybox tail /dev/zero")
    assert "container greedy was killed: out of memory (exit code 137)" in oom
    assert "32 MiB" in oom
    failed = run.output("%container build -t broken")
    assert "> " in failed
    assert "RUN echo preparing && cat /nowhere" in failed
    assert "| preparing" in failed


def test_the_script_prints_a_summary(run: Run) -> None:
    headings = re.findall(r"^  \[ *[0-9.]+ s\] (.+)$", run.printed, re.MULTILINE)
    assert headings[0] == "Quickstart: containers in a notebook"
    assert "Tag, push, pull" in headings
    summary = run.printed.partition("\n\n")[2]
    for word in ("built   my-python-app:latest", "out of memory", "pushed  localhost:", "sha256:"):
        assert word in summary


def test_it_leaves_its_images_and_no_container(run: Run, place: Place) -> None:
    with place.engine() as engine:
        assert engine.containers(all=True) == []
        names = {name for image in engine.images() for name in image.names}
    assert "my-python-app:latest" in names
    assert not any(name.startswith("localhost:") for name in names)


def test_it_reads_well_without_a_kernel(run: Run) -> None:
    from nbconvert import HTMLExporter

    html, _ = HTMLExporter().from_filename(str(run.path))
    assert "✓" in html
    assert "CONTAINER ID" in html
    assert "<td" in html
    assert "widget-view" not in html


@pytest.fixture(scope="module")
def answered(run: Run, place: Place, tmp_path_factory: pytest.TempPathFactory) -> Lesson:
    """Return a second run on the same store, with the exercises answered."""
    folder = tmp_path_factory.mktemp("answered")
    (folder / "my-python-app").symlink_to(run.path.parent / "my-python-app")
    argv, environ = argv_of(NOTEBOOK.stem, folder), environment(place)
    done = subprocess.run(
        argv, env=environ, capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return lesson_in(folder, NOTEBOOK.stem)


def test_a_second_run_takes_seconds(answered: Lesson) -> None:
    cached = "pip install --no-cache-dir -r requirements.txt · CACHED"
    assert cached in answered.output("%%dockerfile -t my-python-app")
    shows(answered, {'print(f"""built': ("built   my-python-app:latest", "pulled  it back")})


def test_its_exercises_can_be_answered(answered: Lesson) -> None:
    exercises_work(answered)
    shows_no_traceback(answered)


def test_the_notebook_in_the_tree_has_no_outputs() -> None:
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbformat.validate(notebook)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == []
            assert cell.execution_count is None
