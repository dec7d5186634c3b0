"""Run a notebook without a browser, keep the result, and show its headings and last output."""

from __future__ import annotations

import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError


def main(source: str, target: str) -> int:
    notebook = nbformat.read(source, as_version=4)
    client = NotebookClient(
        notebook,
        timeout=900,
        kernel_name="python3",
        resources={"metadata": {"path": str(Path(source).parent)}},
    )
    started = time.monotonic()
    status = 0
    with client.setup_kernel():
        for number, cell in enumerate(notebook.cells):
            if cell.cell_type == "markdown":
                for line in cell.source.splitlines():
                    if line.startswith("#"):
                        print(
                            f"  [{time.monotonic() - started:5.1f} s] {line.lstrip('# ')}",
                            flush=True,
                        )
                continue
            try:
                client.execute_cell(cell, number)
            except CellExecutionError as error:
                print(f"the cell failed:\n{cell.source}\n{error.traceback}", file=sys.stderr)
                status = 1
                break
    nbformat.write(notebook, target)
    if status == 0:
        print()
        for output in notebook.cells[-1].get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            print(text.rstrip())
    return status


if __name__ == "__main__":
    raise SystemExit(main(*sys.argv[1:3]))
