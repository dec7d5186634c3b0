"""A JupyterLab on a store with busybox in it, for all browser tests."""

from __future__ import annotations

import json
import os
from collections.abc import Generator, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import nbformat
import pytest

from tests.browser.lab import CHROMIUM, LabNotebook, browser, close_documents, lab_server
from tests.integration.engine_fixtures import Place, demolish


@dataclass(frozen=True)
class Lab:
    """A running server: its address, the folder that it serves, the store of its kernels."""

    address: str
    notebooks: Path
    place: Place


@pytest.fixture(scope="session")
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    if os.geteuid() != 0:
        pytest.skip("needs root: mount namespaces, networks and cgroups")
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"needs {CHROMIUM}: apt-get install chromium")
    work = tmp_path_factory.mktemp("lab")
    notebooks = work / "notebooks"
    notebooks.mkdir()
    place = Place.under(work)
    environ = {
        **place.variables,
        "DOCKER_CONFIG": str(work / "docker"),  # where logins are kept
    }
    with place.engine() as engine:
        try:
            engine.images.bootstrap("busybox")
            with lab_server(work, notebooks, environ) as address:
                yield Lab(address, notebooks, place)
        finally:
            demolish(engine)


@pytest.fixture(scope="package")
def chromium(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """One browser for all tests: JupyterLab's scripts are fetched and compiled once."""
    if not os.path.exists(CHROMIUM):
        pytest.skip(f"needs {CHROMIUM}: apt-get install chromium")
    with browser(tmp_path_factory.mktemp("profile")) as chromium:
        yield chromium


_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, Any, Any]:
    """Record in a test that it has failed, for the end of its fixtures."""
    report = yield
    item.stash[_FAILED] = report.failed or item.stash.get(_FAILED, False)
    return report


@pytest.fixture(scope="package")
def tabs(chromium: Any) -> Iterator[list[Any]]:
    """The page that all tests share: to load JupyterLab takes some seconds of a processor."""
    tabs: list[Any] = []
    yield tabs
    for tab in tabs:
        tab.close()


@pytest.fixture
def page(lab: Lab, chromium: Any, tabs: list[Any], request: pytest.FixtureRequest) -> Iterator[Any]:
    """The page; after a test, its documents are closed and the kernels of its notebooks end.

    A test that fails may leave the page in any state: the next one gets another page.
    """
    if not tabs:
        tabs.append(chromium.new_page())
        # JupyterLab gives a theme's stylesheet 1.5 s to arrive, which a busy machine exceeds.
        late = tabs[0].locator(".jp-Dialog", has_text="Error Loading Theme")
        tabs[0].add_locator_handler(late, lambda dialog: dialog.locator(".jp-mod-accept").click())
    page = tabs[0]
    yield page
    for other in chromium.pages[1:]:  # the first is the browser's
        if other is not page:
            other.close()
    if request.node.stash.get(_FAILED, False):
        tabs.clear()
        page.close()
    else:
        close_documents(page)
    end_kernels(lab.address)


def end_kernels(address: str) -> None:
    """Shut down the kernels of a server, so that a test does not disturb the next one."""
    with urlopen(f"{address}/api/sessions") as reply:
        sessions = json.load(reply)
    for session in sessions:
        with urlopen(Request(f"{address}/api/sessions/{session['id']}", method="DELETE")):
            pass


@pytest.fixture
def notebook(lab: Lab, page: Any, request: pytest.FixtureRequest) -> Any:
    """Return a function that opens a notebook with the given cells."""

    def opened(*cells: str) -> LabNotebook:
        path = lab.notebooks / f"{request.node.name}.ipynb"
        write_notebook(path, *cells)
        return LabNotebook(page, lab.address, path)

    return opened


def write_notebook(path: Path, *cells: str) -> None:
    kernel = {"name": "python3", "display_name": "Python 3"}
    notebook = nbformat.v4.new_notebook(
        cells=[nbformat.v4.new_code_cell(cell) for cell in cells], metadata={"kernelspec": kernel}
    )
    nbformat.write(notebook, path)
