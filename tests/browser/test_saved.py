"""A saved notebook, reopened without its kernel."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

from tests.browser.conftest import Lab
from tests.browser.test_terminal import LOAD, Typist
from tests.integration.waiting import until


def test_outputs_of_widgets_stay_readable(notebook: Any, lab: Lab) -> None:
    opened = notebook(
        LOAD,
        "%container run -d --name kept busybox sh -c 'echo written; sleep 1000'",
        "%container ps --watch",
        "%container run -it --rm busybox sh",
    )
    opened.run_all()
    typist = Typist(opened)
    typist.sees("/ #")
    typist.type("echo sum-$((40+2)); exit\n")
    page = opened.page
    page.get_by_text("ended with exit code 0").wait_for()
    page.wait_for_timeout(500)
    opened.command("docmanager:save")
    path = lab.notebooks / "test_outputs_of_widgets_stay_readable.ipynb"
    opened.command("kernelmenu:shutdown")
    page.reload()
    page.wait_for_selector(".jp-Notebook .jp-Cell")
    terminal = opened.outputs("run -it")
    until(lambda: "sum-42" in terminal.inner_text(), 30)
    shown = page.locator(".jp-Notebook").inner_text()
    assert "Error displaying widget" not in shown
    assert "kept" in opened.outputs("ps --watch").inner_text()

    argv = [sys.executable, "-m", "nbconvert", "--to", "html", "--stdout", str(path)]
    html = subprocess.run(argv, check=True, capture_output=True, text=True).stdout
    assert "sum-42" in html
    assert "widget-view+json" not in html
    with lab.place.engine() as engine:
        engine.containers.remove("kept", force=True)
