"""Make docs/quickstart.png, a picture of the quickstart: ``scripts/pictures quickstart``.

Works on the store that the environment names (JUPYTER_CONTAINERS_ROOT, …), where it makes Python's
base image when that is not there yet.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

import nbformat

from jupyter_containers import Engine
from tests.browser.lab import LabNotebook, browser_page, lab_server

QUICKSTART = Path(__file__).parents[2] / "notebooks/00_quickstart.ipynb"
RUN = (
    "%container run -d --name app -p 8000:8000 --memory=512m --cpus=2 my-python-app:latest",
    "import time\nfrom urllib.request import urlopen\n\ntime.sleep(2)\n"
    'urlopen("http://localhost:8000").read()',
    "%container ps",
    "%container stats",
)


def main(target: Path) -> None:
    """Run the picture's notebook and photograph it."""
    with tempfile.TemporaryDirectory() as folder, Engine() as engine:
        engine.images.bootstrap("python:3.11-slim")
        engine.builds.prune()  # so that the build has something to do
        work = Path(folder)
        cells = ["%load_ext jupyter_containers", _prepare(work), *RUN]
        path = work / "containers.ipynb"
        kernel = {"name": "python3", "display_name": "Python 3"}
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(cell) for cell in cells],
            metadata={"kernelspec": kernel},
        )
        nbformat.write(notebook, path)
        try:
            with (
                lab_server(work / "lab", work, {}) as address,
                browser_page(1120, 900, 1.15) as page,
            ):
                opened = LabNotebook(page, address, path)
                opened.run_all(300)
                opened.photograph(target)
        finally:
            engine.containers.remove("app", force=True)


def _prepare(folder: Path) -> str:
    """Write the files of the quickstart's application; return the cell that builds it."""
    notebook = nbformat.read(QUICKSTART, as_version=4)
    code = [cell.source for cell in notebook.cells if cell.cell_type == "code"]
    for source in code:
        first, _, rest = source.partition("\n")
        if first.startswith("%%writefile "):
            path = folder / first.removeprefix("%%writefile ")
            path.parent.mkdir(exist_ok=True)
            path.write_text(rest + "\n")
    [build] = [source for source in code if source.startswith("%%dockerfile -t my-python-app")]
    return build


if __name__ == "__main__":
    main(Path(sys.argv[1]))
