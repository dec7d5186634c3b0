"""Run a lesson of the course and read its outputs."""

from __future__ import annotations

import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import nbformat

from tests.ports import free_port

REPOSITORY = Path(__file__).parents[2]
NOTEBOOKS = REPOSITORY / "notebooks"
LESSONS = sorted(path.stem for path in NOTEBOOKS.glob("[0-9][0-9]_*.ipynb"))
BASES = ("busybox", "debian:bookworm-slim", "python:3.11-slim", "registry:2")
_RUN = REPOSITORY / "tests/notebooks/coursework.py"
_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")
# A lesson's references to ports of this machine (httpd's own -p is a port of the container).
_BEFORE = r"(-p (?=\d+:)|ports: \[\\*\"(?=\d+:)|registry start -p |localhost:|port_answers\()"
_PUBLISHED = re.compile(_BEFORE + r"(\d{4,5})\b")


@dataclass(frozen=True)
class Lesson:
    """A lesson after its run, with the answers to its exercises."""

    notebook: nbformat.NotebookNode

    def output(self, source: str) -> str:
        """Return the text below the first cell that contains ``source``."""
        for cell in self.notebook.cells:
            if cell.cell_type == "code" and source in cell.source:
                return text_below(cell)
        raise AssertionError(f"no cell contains {source!r}")

    def cell(self, id: str) -> nbformat.NotebookNode:
        """Return the cell with this ID."""
        [cell] = [cell for cell in self.notebook.cells if cell.get("id") == id]
        return cell

    def named(self, id: str) -> str:
        """Return the text below the cell with this ID."""
        return text_below(self.cell(id))


def text_below(cell: nbformat.NotebookNode) -> str:
    """Return the output below a cell, with each stream joined from its parts."""
    parts = []
    for output in cell.outputs:
        if output.output_type == "stream":
            parts.append(output.text)
        elif output.output_type == "error":
            parts.append("\n".join(output.traceback))
        else:
            parts.append(output.data.get("text/plain", "") + "\n")
    return _ESCAPE.sub("", "".join(parts))


def argv_of(name: str, folder: Path) -> list[str]:
    """Copy a lesson with free ports into ``folder``; return the command that runs it there."""
    texts = {
        f"{name}.ipynb": (NOTEBOOKS / f"{name}.ipynb").read_text(),
        f"{name}.md": (NOTEBOOKS / "answers" / f"{name}.md").read_text(),
    }
    published = {port for text in texts.values() for _, port in _PUBLISHED.findall(text)}
    ports = {port: str(free_port()) for port in sorted(published)}
    for file, text in texts.items():
        for port, ours in ports.items():
            text = re.sub(rf"{_BEFORE}{port}\b", rf"\g<1>{ours}", text)
        (folder / file).write_text(text)
    files = (f"{name}.ipynb", f"{name}.md", result_of(name))
    return [sys.executable, str(_RUN), *(str(folder / file) for file in files)]


def result_of(name: str) -> str:
    """Return the name of the file to which a run writes its result."""
    return f"{name}.done.ipynb"


def lesson_in(folder: Path, name: str) -> Lesson:
    """Return the lesson that a run wrote to ``folder``."""
    return Lesson(nbformat.read(folder / result_of(name), as_version=4))


def shows(lesson: Lesson, expected: Mapping[str, Sequence[str]]) -> None:
    """Check that the text below each cell (named by a part of it) matches regular expressions."""
    for source, patterns in expected.items():
        text = lesson.output(source)
        for pattern in patterns:
            assert re.search(pattern, text, re.MULTILINE), f"{pattern!r} below {source!r}:\n{text}"


def exercises_work(lesson: Lesson) -> None:
    """Check that an exercise gets a verdict without an answer, and passes with one."""
    checks = [cell.id for cell in lesson.notebook.cells if cell.get("id", "").startswith("check-")]
    assert len(checks) >= 2
    for check in checks:
        verdict = lesson.named(check)
        assert re.search(r"^✗ .{8,}(\n +hint: .{8,})?$", verdict, re.MULTILINE), verdict
        assert "Traceback" not in verdict
        passed = lesson.named(check.replace("check", "passed"))
        assert "✓" in passed
        assert "✗" not in passed
        # nbgrader gives no point if stderr has text, and takes a cell's value as its points.
        for output in lesson.cell(check.replace("check", "passed")).outputs:
            assert output.output_type != "execute_result"
            assert output.get("name") != "stderr", output.text


def shows_no_traceback(lesson: Lesson) -> None:
    """Check that only exercises without an answer fail, and those with a verdict."""
    for cell in lesson.notebook.cells:
        for output in cell.get("outputs", []):
            if output.output_type == "error":
                assert cell.id.startswith("check-")
                assert "Traceback" not in "\n".join(output.traceback)
