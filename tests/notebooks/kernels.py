"""Notebooks run in real kernels, on a store that the test names.

The kernel listens on sockets in a private folder, so that simultaneous runs do not collide.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import nbformat
from nbclient import NotebookClient
from traitlets.config import Config

from tests.integration.engine_fixtures import Place


def environment(place: Place) -> dict[str, str]:
    """Return an environment whose default engine uses the store of ``place``."""
    return {
        **os.environ,
        **place.variables,
    }


@contextmanager
def kernel(place: Place, folder: Path, **variables: str) -> Iterator[NotebookClient]:
    """Yield a client whose kernel runs in ``folder``; cells that fail do not end it.

    ``variables`` are added to its environment.
    """
    sockets = folder / "sockets"
    sockets.mkdir(mode=0o700)
    client = NotebookClient(
        nbformat.v4.new_notebook(),
        kernel_name="python3",
        timeout=60,
        allow_errors=True,
        resources={"metadata": {"path": str(folder)}},
        config=Config(
            KernelManager={"transport": "ipc", "connection_file": str(sockets / "k.json")}
        ),
    )
    with client.setup_kernel(env={**environment(place), **variables}):
        yield client


def run_cell(client: NotebookClient, source: str) -> list[nbformat.NotebookNode]:
    """Append a cell, run it and return its outputs."""
    cell = nbformat.v4.new_code_cell(source)
    client.nb.cells.append(cell)
    client.execute_cell(cell, len(client.nb.cells) - 1)
    outputs: list[nbformat.NotebookNode] = cell.outputs
    return outputs


def text_of(outputs: Sequence[nbformat.NotebookNode]) -> str:
    """Return the visible outputs as plain text."""
    texts = []
    for output in outputs:
        if output.output_type == "error":
            texts.append("\n".join(output.traceback))
        else:
            texts.append(output.get("text") or output.data.get("text/plain", ""))
    return "\n".join(texts)
