"""Run a lesson as a learner does: ``coursework.py NOTEBOOK ANSWERS TARGET``.

Each check is run first without an answer and must name what is missing; then the answer is added
and the check must pass.  TARGET is the notebook with its outputs and with the answers; the status
is 1 if a cell behaves differently.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from traitlets.config import Config


class NotAsTaughtError(Exception):
    """A check has passed without an answer, or failed without a verdict."""


def main(source: str, answers: str, target: str) -> int:
    notebook = nbformat.read(source, as_version=4)
    given = answers_in(Path(answers).read_text())
    lesson, notebook.cells = notebook.cells, []
    try:
        with TemporaryDirectory(prefix="kernel-") as folder:
            transport = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
            client = NotebookClient(
                notebook,
                timeout=300,
                kernel_name="python3",
                resources={"metadata": {"path": str(Path(source).parent)}},
                config=Config(KernelManager=transport),
            )
            with client.setup_kernel():
                for cell in lesson:
                    take(client, cell, given)
    except (CellExecutionError, NotAsTaughtError) as error:
        print(f"{source}: {error}", file=sys.stderr)
        return 1
    finally:
        nbformat.write(notebook, target)
    if given:
        print(f"{source}: no exercise has the name {', '.join(given)}", file=sys.stderr)
    return 1 if given else 0


def take(
    client: NotebookClient, cell: nbformat.NotebookNode, answers: dict[str, list[str]]
) -> None:
    """Run one cell of the lesson; run a check once without and once with the answer."""
    if not cell.id.startswith("check-"):
        run(client, cell)
        return
    number = cell.id.removeprefix("check-")
    run(client, cell)  # its tag lets it fail
    kinds = [output.ename for output in cell.outputs if output.output_type == "error"]
    if kinds != ["NotYetError"]:
        raise NotAsTaughtError(f"{cell.id} without an answer: {kinds or 'it passed'}")
    for part, text in enumerate(answers.pop(f"exercise-{number}")):
        run(client, nbformat.v4.new_code_cell(text, id=f"answer-{number}-{part}"))
    run(client, nbformat.v4.new_code_cell(cell.source, id=f"passed-{number}"))


def run(client: NotebookClient, cell: nbformat.NotebookNode) -> None:
    client.nb.cells.append(cell)
    if cell.cell_type == "code":
        client.execute_cell(cell, len(client.nb.cells) - 1)


def answers_in(text: str) -> dict[str, list[str]]:
    """Return the cells of each answer, by the exercise's name: headings and fences of Markdown."""
    _, *parts = re.split(r"^## (exercise-\d+)$", text, flags=re.MULTILINE)
    fenced = re.compile(r"^```python\n(.*?)\n```$", re.DOTALL | re.MULTILINE)
    return {
        name: fenced.findall(answer) for name, answer in zip(parts[::2], parts[1::2], strict=True)
    }


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:4]))
