"""Run a notebook without a browser, keep the result, and show its headings and last output.

run_notebook.py SOURCE TARGET: the kernel starts in SOURCE's folder and has this environment.  Ends
with status 1 at the first cell that fails, after showing its error as in the notebook.
"""

from __future__ import annotations

import re
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, DeadKernelError
from traitlets.config import Config

_ESCAPE = re.compile(r"\x1b\[[0-?]*[ -/]*[@-~]")


def main(source: str, target: str) -> int:
    notebook = nbformat.read(source, as_version=4)
    try:
        with TemporaryDirectory(prefix="kernel-") as folder:
            # Sockets in a private folder: no other user of the machine can connect to the kernel.
            transport = {"transport": "ipc", "connection_file": f"{folder}/kernel.json"}
            client = NotebookClient(
                notebook,
                timeout=900,
                kernel_name="python3",
                resources={"metadata": {"path": str(Path(source).parent)}},
                config=Config(KernelManager=transport),
            )
            status = run_cells(client)
    finally:
        nbformat.write(notebook, target)
    if status == 0:
        print()
        for output in notebook.cells[-1].get("outputs", []):
            print(text_of(output).rstrip())
    return status


def run_cells(client: NotebookClient) -> int:
    started = time.monotonic()
    with client.setup_kernel():
        for number, cell in enumerate(client.nb.cells):
            if cell.cell_type == "markdown":
                for line in cell.source.splitlines():
                    if line.startswith("#"):
                        seconds = time.monotonic() - started
                        print(f"  [{seconds:5.1f} s] {line.lstrip('# ')}", flush=True)
                continue
            try:
                client.execute_cell(cell, number)
            except (CellExecutionError, DeadKernelError) as error:
                print_failure(cell, error)
                return 1
    return 0


def print_failure(cell: nbformat.NotebookNode, error: Exception) -> None:
    """Show the cell and the output below it."""
    lines = ["", "this cell failed:", "", *(f"    {line}" for line in cell.source.splitlines()), ""]
    outputs = [text_of(output).rstrip() for output in cell.get("outputs", [])]
    lines += outputs or [str(error)]
    text = "\n".join(lines)
    print(text if sys.stderr.isatty() else _ESCAPE.sub("", text), file=sys.stderr)


def text_of(output: nbformat.NotebookNode) -> str:
    if output.output_type == "error":
        return "\n".join(output.traceback)
    return str(output.get("text") or output.get("data", {}).get("text/plain", ""))


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:3]))
