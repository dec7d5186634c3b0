"""The tutorial's application, ready to be built where there is no internet.

``prepare`` runs before the bench goes into its namespaces: it makes the base image and fetches the
packages that ``pip install`` will ask for, once.  In the bench they come from a web server on the
loopback interface, so that both engines' builds are measured and not the way to PyPI.
"""

from __future__ import annotations

import json
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from jupyter_containers import Engine, Settings

QUICKSTART = Path(__file__).parents[2] / "notebooks/00_quickstart.ipynb"
HOME = Path(__file__).parents[2] / ".bench/tutorial"
BASE, ARCHIVE, APP, WHEELS = "python:3.11-slim", HOME / "base.tar", "my-python-app", HOME / "wheels"
_ARGUMENTS = "ARG PIP_FIND_LINKS\nARG PIP_NO_INDEX\nARG PIP_DISABLE_PIP_VERSION_CHECK\n"


def prepare() -> None:
    """Make ``.bench/tutorial`` unless it is there; needs Debian's mirror and PyPI."""
    if (WHEELS / "complete").exists():
        return
    WHEELS.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="jc-bench-") as folder:
        place = Path(folder)
        context(place / APP)
        with Engine(Settings(place / "root", place / "run")) as engine:
            engine.images.bootstrap(BASE)
            engine.images.save([BASE], ARCHIVE)
            fetch = ["pip", "download", "-q", "-d", "/wheels", "-r", "/app/requirements.txt"]
            mounts = [f"{WHEELS}:/wheels", f"{place / APP}:/app:ro"]
            engine.run(BASE, fetch, volume=mounts, trust_host_ca=True, rm=True)
    (WHEELS / "complete").touch()


def context(folder: Path) -> None:
    """Write the application as the quickstart notebook does, and its Dockerfile."""
    folder.mkdir(parents=True)
    for cell in json.loads(QUICKSTART.read_text())["cells"]:
        first, _, rest = "".join(cell["source"]).partition("\n")
        if first.startswith(f"%%writefile {APP}/"):
            (folder / first.rpartition("/")[2]).write_text(f"{rest}\n")
        elif first.startswith(f"%%dockerfile -t {APP}:"):
            opening, _, body = rest.partition("\n")
            (folder / "Dockerfile").write_text(f"{opening}\n{_ARGUMENTS}{body}\n")


@contextmanager
def packages() -> Iterator[tuple[str, ...]]:
    """Serve the packages; yield the build arguments that make pip take them from there."""
    handler = partial(_Quiet, directory=str(WHEELS))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            address = f"http://127.0.0.1:{server.server_address[1]}/"
            yield (
                f"PIP_FIND_LINKS={address}",
                "PIP_NO_INDEX=1",
                "PIP_DISABLE_PIP_VERSION_CHECK=1",
            )
        finally:
            server.shutdown()


class _Quiet(SimpleHTTPRequestHandler):
    """A web server that writes no log."""

    def log_message(self, format: str, *arguments: object) -> None:
        """Write nothing."""
