"""A place to take pictures: a separate store, Lab and page."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from jupyter_containers.engine import Engine
from tests.browser.conftest import Lab
from tests.browser.lab import browser_page, lab_server
from tests.integration.engine_fixtures import Place, demolish


@contextmanager
def studio(width: int, height: int, scale: float) -> Iterator[tuple[Any, Lab, Engine]]:
    """Yield an empty page, a Lab, and the engine of its store, which contains busybox."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        place, notebooks = Place.under(work), work / "notebooks"
        notebooks.mkdir()
        with place.engine() as engine:
            try:
                engine.images.bootstrap("busybox")
                with (
                    lab_server(work, notebooks, place.variables) as address,
                    browser_page(width, height, scale) as page,
                ):
                    yield page, Lab(address, notebooks, place), engine
            finally:
                demolish(engine)
