"""The recipes for teachers convert the course to the formats of otter and nbgrader.

The graders are not installed (several hundred MB); the recipes were tested with the versions that
the page names.
"""

from __future__ import annotations

import ast
import re
import runpy
from pathlib import Path

import nbformat
import pytest
from IPython.core.inputtransformer2 import TransformerManager

from tests.notebooks.course import LESSONS, NOTEBOOKS

PAGE = Path(__file__).resolve().parents[2] / "docs/guides/teaching.md"
QUESTION = ["BEGIN QUESTION", "BEGIN SOLUTION", "END SOLUTION", "BEGIN TESTS", "END TESTS"]
# The teachers' chapter has a check that uses await, which a test of otter cannot.
CHAPTERS = [lesson for lesson in LESSONS if lesson != "13_for_teachers"]


def block(first: str) -> str:
    """Return the one Python block of the page that begins with ``first``."""
    blocks = re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    [found] = [text for text in blocks if text.startswith(first)]
    return str(found)


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_otters_master_has_a_question_for_every_exercise(chapter: str, tmp_path: Path) -> None:
    (tmp_path / "to_otter.py").write_text(block('"""Write a chapter'))
    master = runpy.run_path(str(tmp_path / "to_otter.py"))["master"]
    given = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    made = master(nbformat.from_dict(given))
    nbformat.validate(made)
    exercises = [cell for cell in given.cells if cell.id.startswith("exercise-")]
    marks = [
        cell.source.partition("\n")[0].removeprefix("# ")
        for cell in made.cells
        if cell.cell_type == "raw"
    ]
    assert marks == ["ASSIGNMENT CONFIG"] + [*QUESTION, "END QUESTION"] * len(exercises)
    sources = [cell.source for cell in made.cells]
    for exercise in exercises:
        at = sources.index("# BEGIN SOLUTION")
        assert sources[at + 1] == exercise.source
        sources = sources[at + 1 :]


@pytest.mark.parametrize("chapter", CHAPTERS)
def test_otters_tests_are_functions_that_run_the_checks(chapter: str, tmp_path: Path) -> None:
    (tmp_path / "to_otter.py").write_text(block('"""Write a chapter'))
    master = runpy.run_path(str(tmp_path / "to_otter.py"))["master"]
    lesson = nbformat.read(NOTEBOOKS / f"{chapter}.ipynb", as_version=4)
    checks = [cell.source for cell in lesson.cells if cell.id.startswith("check-")]
    made = master(lesson)
    tests = [cell.source for cell in made.cells if cell.source.startswith("def test_exercise_")]
    assert len(tests) == len(checks)
    transform = TransformerManager().transform_cell
    for test, check in zip(tests, checks, strict=True):
        [function] = ast.parse(test).body
        assert isinstance(function, ast.FunctionDef)
        [assignment, _] = function.body
        assert isinstance(assignment, ast.Assign)
        assert ast.literal_eval(assignment.value) == check
        compile(transform(check), chapter, "exec")


def test_nbgraders_settings_are_python() -> None:
    tree = ast.parse(block("from nbgrader"))
    names = [ast.unparse(node.targets[0]) for node in tree.body if isinstance(node, ast.Assign)]
    assert "c.GenerateAssignment.preprocessors" in names
