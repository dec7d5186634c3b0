"""The same extension in Jupyter Notebook 7: cells, widgets, and the panel in its left sidebar."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.browser.conftest import Lab, end_kernels, write_notebook
from tests.browser.lab import lab_server
from tests.browser.panel import LOAD
from tests.browser.test_panel import FOREVER
from tests.browser.test_panel import engine as engine

BUILD = """%%dockerfile -t seven:1
FROM busybox
MAINTAINER someone
RUN echo one > /a"""
_READY = """() => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    return context?.isReady && context.session?.kernel?.status === 'idle';
}"""


@pytest.fixture
def address(lab: Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yield the address of a Notebook 7 on the store of the tests."""
    work = tmp_path_factory.mktemp("seven")  # short: kernels listen on sockets in it
    environ = {
        **lab.place.variables,
        "DOCKER_CONFIG": str(work / "docker"),
    }
    with lab_server(work, lab.notebooks, environ, "notebook") as address:
        yield address
        end_kernels(address)


def test_cells_widgets_and_the_panel(lab: Lab, page: Any, engine: Engine, address: str) -> None:
    engine.run("busybox", FOREVER, detach=True, name="beside")
    write_notebook(lab.notebooks / "seven.ipynb", LOAD, BUILD, "%container ps --watch")
    page.goto(f"{address}/notebooks/seven.ipynb")
    page.wait_for_function(_READY, timeout=30_000)
    page.evaluate("() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }")
    page.get_by_text("1 running, 1 shown").wait_for(timeout=20_000)

    page.get_by_role("menuitem", name="View").click()
    page.get_by_role("menuitem", name="Show Containers").click()
    row = page.locator('.jc-lab-row[data-key^="containers/"]', has_text="beside")
    row.wait_for(timeout=15_000)
    # Notebook 7 has no room for tabs: views are below the notebook, large enough to read.
    for entry, text in (("Logs", "began"), ("Terminal", "/ #")):
        row.click(button="right")
        page.get_by_role("menuitem", name=entry, exact=True).click()
        view = page.locator("#jp-down-stack .jc-lab-main:visible .xterm")
        view.get_by_text(text).first.wait_for()
        assert view.bounding_box()["height"] > 80

    page.locator(".cm-lintRange-warning", has_text="MAINTAINER").wait_for(timeout=10_000)
    cell = page.locator(".jp-CodeCell").nth(1)
    cell.locator(".cm-content").click()
    cell.locator('.jp-cell-toolbar [data-command="containers:explain-cell"]').click()
    page.locator("#jp-down-stack .jc-lab-steps").get_by_text("from the cache").first.wait_for()

    with page.context.expect_page() as opened:
        page.evaluate("() => { window.jupyterapp.commands.execute('containers:new-notebook'); }")
    opened.value.get_by_text(LOAD).wait_for(timeout=20_000)
