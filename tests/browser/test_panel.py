"""The panel in a real JupyterLab with real containers."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.browser.conftest import Lab
from tests.browser.lab import DARK, LIGHT
from tests.browser.panel import LOAD, Panel
from tests.browser.test_terminal import eventually

FOREVER = ["sh", "-c", "trap 'exit 0' TERM; echo began; while :; do sleep 0.1; done"]


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    with contextlib.closing(lab.place.engine()) as engine:
        yield engine
        for container in engine.containers(all=True):
            engine.remove(container.id, force=True)


def test_the_panel_follows_and_acts_while_a_cell_runs(lab: Lab, page: Any, engine: Engine) -> None:
    panel = Panel(page, lab, "panel_live", "import time\nfor _ in range(200): time.sleep(0.1)")
    assert "has not loaded" in page.locator(".jc-panel-empty").inner_text()
    assert panel.violations(".jc-panel") == []
    panel.load()
    assert page.locator(".jp-CodeCell").count() == 1  # no trace in the notebook
    panel.start("notebook:run-all-cells")
    page.locator(".jp-InputPrompt", has_text="*").first.wait_for()

    engine.run("busybox", FOREVER, detach=True, name="web", publish=["8000"])
    panel.row("web", "containers/").wait_for()
    link = panel.row("web", "containers/").get_by_role("link", include_hidden=True)
    assert link.get_attribute("href").startswith("http://127.0.0.1:")
    page.locator(".jc-right", has_text="%").first.wait_for(timeout=5_000)
    panel.choose("web", "Stop")
    panel.row("Exited (0)", "containers/").wait_for()
    panel.choose("web", "Start")
    panel.row("Up ", "containers/").wait_for()
    assert engine.container("web").status == "running"
    panel.choose("web", "Remove…")
    page.get_by_role("button", name="End and remove").click()
    eventually(lambda: panel.names("containers") == [])
    assert page.locator(".jp-InputPrompt", has_text="*").count() == 1
    panel.command("notebook:interrupt-kernel")


def test_keys_reach_everything_and_both_themes_are_readable(
    lab: Lab, page: Any, engine: Engine
) -> None:
    engine.run("busybox", FOREVER, detach=True, name="one", health_cmd="true")
    engine.run("busybox", ["sh", "-c", "exit 3"], name="two", check=False)
    panel = Panel(page, lab, "panel_keys", "1")
    panel.load()
    tree = page.get_by_role("tree")
    tree.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowDown")
    active = page.locator(".jc-row.jc-active")
    assert "one" in active.inner_text()
    page.keyboard.press("Shift+F10")
    page.get_by_role("menuitem", name="Inspect").wait_for()
    for _ in range(7):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.locator(".jc-json").wait_for()
    assert "RestartCount" in page.locator(".jc-json").inner_text()
    page.get_by_label("Search keys and values").fill("FinishedAt")
    eventually(lambda: "RestartCount" not in page.locator(".jc-json").inner_text())
    assert "FinishedAt" in page.locator(".jc-json").inner_text()
    assert panel.violations(".jc-main") == []

    tree.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    eventually(lambda: panel.names("containers") == [])
    page.keyboard.press("ArrowRight")
    page.get_by_label("Filter by").fill("exited two")
    eventually(lambda: panel.names("containers") == ["two"])
    page.get_by_label("Filter by").fill("")
    for theme in (LIGHT, DARK):
        panel.command("apputils:change-theme", theme=theme)
        page.wait_for_timeout(600)
        assert panel.violations(".jc-panel") == [], theme


def test_restarts_and_other_notebooks_are_followed(lab: Lab, page: Any, engine: Engine) -> None:
    engine.create_volume("shared")
    panel = Panel(page, lab, "panel_first", LOAD)
    panel.start("notebook:run-all-cells")  # what a cell loads is heard of
    panel.row("shared", "volumes/").wait_for(timeout=15_000)
    assert "panel_first.ipynb" in page.locator(".jc-panel-foot").inner_text()
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
        ".then(() => null)"
    )
    panel.load()
    panel.row("shared", "volumes/").wait_for()

    panel.start("containers:new-notebook")
    page.locator(".jc-panel-foot", has_text="Untitled").wait_for(timeout=20_000)
    panel.row("shared", "volumes/").wait_for()
    engine.create_volume("later")
    panel.row("later", "volumes/").wait_for()
    page.get_by_role("tab", name="panel_first.ipynb").click()
    page.locator(".jc-panel-foot", has_text="panel_first.ipynb").wait_for()
    panel.row("later", "volumes/").wait_for()
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown().then(() => null)"
    )
    page.get_by_text("has no kernel at the moment").wait_for()
    engine.remove_volume("shared")
    engine.remove_volume("later")
