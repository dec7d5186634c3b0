"""The panel in a real JupyterLab with real containers."""

from __future__ import annotations

import contextlib
import re
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.browser.conftest import Lab
from tests.browser.lab import DARK, LIGHT
from tests.browser.panel import LOAD, Panel
from tests.integration.waiting import until

_KERNEL = (
    "[...window.jupyterapp.shell.widgets('main')].find(one => one.sessionContext)"
    ".sessionContext.session.kernel"
)
FOREVER = ["sh", "-c", "trap 'exit 0' TERM; echo began; while :; do sleep 0.1; done"]


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    with contextlib.closing(lab.place.engine()) as engine:
        yield engine
        for container in engine.containers(all=True):
            engine.containers.remove(container.id, force=True)


def test_the_panel_follows_and_acts_while_a_cell_runs(lab: Lab, page: Any, engine: Engine) -> None:
    panel = Panel(page, lab, "panel_live", "import time\nfor _ in range(200): time.sleep(0.1)")
    assert "has not loaded" in page.locator(".jc-lab-panel-empty").inner_text()
    assert panel.violations(".jc-lab-panel") == []
    panel.load()
    assert page.locator(".jp-CodeCell").count() == 1  # no trace in the notebook
    panel.start("notebook:run-all-cells")
    page.locator(".jp-InputPrompt", has_text="*").first.wait_for()

    engine.run("busybox", FOREVER, detach=True, name="web", publish=["8000"])
    panel.row("web", "containers/").wait_for()
    link = panel.row("web", "containers/").get_by_role("link", include_hidden=True)
    # The server of the tests has jupyter-server-proxy; test_ports clicks such a link.
    assert re.fullmatch(r"/proxy/\d+/", link.get_attribute("href"))
    page.locator(".jc-lab-right", has_text="%").first.wait_for(timeout=5_000)
    panel.choose("web", "Stop")
    panel.row("Exited (0)", "containers/").wait_for()
    panel.choose("web", "Start")
    panel.row("Up ", "containers/").wait_for()
    assert engine.containers.get("web").status == "running"
    text = "FROM busybox\nRUN sleep 2 # slowly"
    building = threading.Thread(target=lambda: engine.build({}, dockerfile=text, tag="slow:1"))
    building.start()
    panel.row("running", "builds/").wait_for()
    assert "slow:1" in panel.row("running", "builds/").inner_text()
    building.join()
    panel.row("1 of 2 steps cached", "builds/").wait_for()
    panel.choose("web", "Remove…")
    page.get_by_role("button", name="Stop and remove").click()
    until(lambda: panel.names("containers") == [])
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
    page.keyboard.press("Shift+F10")  # a section has a menu, too
    page.get_by_role("menuitem", name="Remove unused objects…").wait_for()
    page.keyboard.press("Escape")
    until(lambda: tree.evaluate("node => node === document.activeElement"))
    page.keyboard.press("ArrowDown")
    active = page.locator(".jc-lab-row.jc-lab-active")
    assert "one" in active.inner_text()
    page.keyboard.press("Shift+F10")
    page.get_by_role("menuitem", name="Inspect").wait_for()
    chosen = page.locator(".lm-Menu-item.lm-mod-active")
    for _ in range(12):  # the keys begin at an entry below the pointer
        page.keyboard.press("ArrowDown")
        if "Inspect" in chosen.inner_text():
            break
    page.keyboard.press("Enter")
    page.locator(".jc-lab-json").wait_for()
    assert "RestartCount" in page.locator(".jc-lab-json").inner_text()
    page.get_by_label("Search keys and values").fill("FinishedAt")
    until(lambda: "RestartCount" not in page.locator(".jc-lab-json").inner_text())
    assert "FinishedAt" in page.locator(".jc-lab-json").inner_text()
    assert panel.violations(".jc-lab-main") == []

    tree.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowLeft")
    until(lambda: panel.names("containers") == [])
    # Folded sections are a setting, which the next page has too.
    settings = lab.notebooks.parent / "settings/jupyter-containers-engine/panel.jupyterlab-settings"
    until(lambda: settings.exists() and '"containers"' in settings.read_text())
    page.keyboard.press("ArrowRight")
    until(lambda: '"containers"' not in settings.read_text())
    page.get_by_label("Filter by").fill("exited two")
    until(lambda: panel.names("containers") == ["two"])
    page.get_by_label("Filter by").fill("")
    for theme in (LIGHT, DARK):
        panel.command("apputils:change-theme", theme=theme)
        page.wait_for_timeout(600)
        assert panel.violations(".jc-lab-panel") == [], theme


def test_restarts_and_other_notebooks_are_followed(lab: Lab, page: Any, engine: Engine) -> None:
    engine.volumes.create("shared")
    panel = Panel(page, lab, "panel_first", LOAD)
    panel.start("notebook:run-all-cells")  # the page notices an extension loaded by a cell
    panel.row("shared", "volumes/").wait_for(timeout=15_000)
    assert "panel_first.ipynb" in page.locator(".jc-lab-panel-foot").inner_text()
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.restartKernel()"
        ".then(() => null)"
    )
    panel.load()
    panel.row("shared", "volumes/").wait_for()

    panel.start("containers:new-notebook")
    page.locator(".jc-lab-panel-foot", has_text="Untitled").wait_for(timeout=20_000)
    panel.row("shared", "volumes/").wait_for()
    engine.volumes.create("later")
    panel.row("later", "volumes/").wait_for()
    page.get_by_role("tab", name="panel_first.ipynb").click()
    page.locator(".jc-lab-panel-foot", has_text="panel_first.ipynb").wait_for()
    panel.row("later", "volumes/").wait_for()
    page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.sessionContext.shutdown().then(() => null)"
    )
    page.get_by_text("has no kernel at the moment").wait_for()
    engine.volumes.remove("shared")
    engine.volumes.remove("later")


def test_a_page_that_is_reloaded_while_a_cell_runs_is_live_at_once(
    lab: Lab, page: Any, engine: Engine
) -> None:
    cell = f"{LOAD}\nimport time\nwhile True: time.sleep(0.1)"
    panel = Panel(page, lab, "panel_reload", cell)
    panel.start("notebook:run-all-cells")
    panel.row("bridge").wait_for(timeout=15_000)
    page.evaluate("() => window.jupyterapp.commands.execute('docmanager:save').then(() => null)")
    page.reload()
    page.locator(".jp-NotebookPanel").wait_for(timeout=30_000)
    panel.command("containers:show")
    panel.row("bridge").wait_for(timeout=15_000)
    engine.volumes.create("while-it-runs")
    panel.row("while-it-runs", "volumes/").wait_for(timeout=5_000)
    panel.choose("while-it-runs", "Inspect", "volumes/")
    page.locator(".jc-lab-json").get_by_text("Mountpoint").wait_for()
    engine.volumes.remove("while-it-runs")
    until(lambda: panel.names("volumes") == [])
    page.evaluate(f"() => {_KERNEL}.interrupt()")
    # The closed page has disconnected: the kernel sends changes to only one page.
    lines = "len(get_ipython().jupyter_containers_panel)"
    asked = f"{_KERNEL}.requestExecute({{code: '', user_expressions: {{lines: '{lines}'}}}}).done"
    # Calls that waited for the cell are answered after its interrupt.
    until(lambda: page.evaluate(f"async () => (await {asked}).content.status") == "ok")
    reply = page.evaluate(f"async () => (await {asked}).content.user_expressions.lines.data")
    assert reply["text/plain"] == "1"


def test_a_page_that_crashed_leaves_nothing_after_the_next_one(
    lab: Lab, page: Any, engine: Engine
) -> None:
    panel = Panel(page, lab, "panel_crash", "1")
    panel.load()
    threads = "len(get_ipython().kernel.shell_channel_thread.manager.list_subshell())"
    asked = f"[len(get_ipython().jupyter_containers_panel), {threads}]"
    before = _value(page, asked)
    assert before.startswith("[1, ")
    # As in a crash, no listener is called at the end of the page.
    page.evaluate(
        "() => window.addEventListener('pagehide', one => one.stopImmediatePropagation(), true)"
    )
    page.reload()
    page.locator(".jp-NotebookPanel").wait_for(timeout=30_000)
    panel.command("containers:show")
    panel.row("bridge").wait_for(timeout=15_000)
    until(lambda: _value(page, asked) == before)


def _value(page: Any, expression: str) -> str:
    """Return the value of an expression in the kernel."""
    content = {"code": "", "user_expressions": {"it": expression}}
    reply = page.evaluate(
        f"async content => (await {_KERNEL}.requestExecute(content).done).content", content
    )
    return str(reply["user_expressions"]["it"]["data"]["text/plain"])


def test_a_busy_kernel_that_is_to_load_the_extension_says_so(
    lab: Lab, page: Any, engine: Engine
) -> None:
    busy = "import os, time\nwhile not os.path.exists('no-longer-busy'): time.sleep(0.1)"
    panel = Panel(page, lab, "panel_busy", busy)
    panel.start("notebook:run-all-cells")
    page.locator(".jp-InputPrompt", has_text="*").first.wait_for()
    button = page.get_by_role("button", name="Load extension")
    button.click()
    page.locator(".jc-lab-panel-empty", has_text="The kernel is busy").wait_for()
    assert button.is_disabled()
    assert panel.violations(".jc-lab-panel") == []
    (lab.notebooks / "no-longer-busy").touch()
    panel.row("bridge").wait_for(timeout=20_000)


def test_launcher_settings_and_palette(lab: Lab, page: Any, engine: Engine) -> None:
    engine.run("busybox", FOREVER, detach=True, name="measured")
    panel = Panel(page, lab, "panel_places", "1")
    panel.command("launcher:create")
    card = page.locator(".jp-LauncherCard", has_text="New Notebook with Containers")
    card.click()
    page.locator(".jc-lab-panel-foot", has_text="Untitled").wait_for(timeout=20_000)
    usage = panel.row("measured", "containers/").locator(".jc-lab-right", has_text="%")
    usage.wait_for(timeout=5_000)

    panel.start("settingeditor:open")
    page.locator(".jp-PluginList-entry", has_text="Containers").first.click()
    tick = page.get_by_role("checkbox", name="Show the resource usage of containers")
    tick.click()
    usage.wait_for(state="detached")
    tick.click()
    usage.wait_for()

    panel.start("apputils:activate-command-palette")
    page.keyboard.type("from this notebook")
    page.get_by_role("menuitem", name="Dockerfile from This Notebook").wait_for()
    page.keyboard.press("Escape")


DOCKERFILE = """%%dockerfile -t fromcell:1
FROM busybox
MAINTAINER someone
RUN echo one > /of-the-panel
CMD ["sh", "-c", "trap 'exit 0' TERM; while :; do echo tick; sleep 0.2; done"]"""


def test_dockerfile_cells_are_written_built_and_run(lab: Lab, page: Any, engine: Engine) -> None:
    panel = Panel(page, lab, "panel_cells", DOCKERFILE, "RUN = 1")
    cell, other = (page.locator(".jp-CodeCell").nth(number) for number in (0, 1))
    keyword = "el => getComputedStyle(el).fontWeight"
    until(lambda: cell.locator(".cm-line span", has_text="RUN").first.evaluate(keyword) != "400")
    panel.load()
    # Warnings are marked at their lines, in existing cells too.
    page.locator(".cm-lintRange-warning").wait_for(timeout=10_000)
    assert page.locator(".cm-lintRange-warning").all_inner_texts() == ["MAINTAINER someone"]
    cell.locator(".cm-line", has_text="CMD").locator("span").first.hover()
    page.locator(".jc-lab-help").get_by_text("The default command").wait_for()

    other.locator(".cm-content").click()
    build = '.jp-cell-toolbar [data-command="containers:build-and-run-cell"]'
    until(lambda: not other.locator(build).is_visible())
    cell.locator(".cm-content").click()
    cell.locator(build).click()
    page.locator(".jc-lab-main .xterm").get_by_text("tick").first.wait_for(timeout=20_000)
    assert engine.containers()[0].image == "fromcell:1"
    builds = len(engine.builds.history())
    page.get_by_role("tab", name="panel_cells.ipynb").click()
    cell.locator('.jp-cell-toolbar [data-command="containers:explain-cell"]').click()
    steps = page.locator(".jc-lab-steps")
    steps.wait_for()
    assert "[3/4] RUN echo one > /of-the-panel" in steps.inner_text()
    assert steps.get_by_text("from the cache").count() == 4
    assert panel.violations(".jc-lab-main:has(.jc-lab-steps)") == []
    # It describes the current cell, not the last build.
    page.get_by_role("tab", name="panel_cells.ipynb").click()
    page.evaluate(
        "() => { const { sharedModel } = window.jupyterapp.shell.currentWidget.content.widgets[0]"
        ".model; sharedModel.setSource(sharedModel.getSource().replace('echo one', 'echo two')); }"
    )
    cell.locator(".cm-content").click()
    cell.locator('.jp-cell-toolbar [data-command="containers:explain-cell"]').click()
    steps.get_by_text("would be carried out").first.wait_for()
    assert "the command changed" in steps.get_by_role("row", name="[3/4] RUN").inner_text()
    assert len(engine.builds.history()) == builds

    # Another text makes the cell another language.
    page.get_by_role("tab", name="panel_cells.ipynb").click()
    cell.locator(".cm-content").click()
    page.keyboard.press("Control+a")
    page.keyboard.type("RUN = 2")
    first = cell.locator(".cm-line").first
    until(lambda: first.locator("span", has_text="=").count() > 0)
    assert page.locator(".cm-lintRange-warning").count() == 0

    panel.start("containers:notebook-dockerfile")
    page.locator(".jp-FileEditor .cm-content").wait_for()
    page.locator(".jp-FileEditor .cm-content").click()
    page.keyboard.press("Control+Home")
    page.keyboard.type("FRO")
    page.locator(".cm-tooltip-autocomplete").get_by_text("FROM").wait_for()
    text = (lab.notebooks / "Dockerfile").read_text()
    assert "ipykernel==" in text
    assert 'COPY ["panel_cells.ipynb", "./"]' in text


def test_views_of_the_main_area(lab: Lab, page: Any, engine: Engine, tmp_path: Any) -> None:
    engine.run("busybox", FOREVER, detach=True, name="viewed")
    panel = Panel(page, lab, "panel_views", "1")
    panel.load()
    panel.choose("viewed", "Terminal")
    page.locator(".jc-lab-main .xterm").get_by_text("/ #").first.wait_for()
    page.keyboard.type("echo sum-$((40+2)) > /made.txt; cat /made.txt\n")
    page.locator(".jc-lab-main .xterm").get_by_text("sum-42").first.wait_for()
    panel.choose("viewed", "Files")
    with page.expect_download() as download:
        page.get_by_role("button", name="made.txt").click()
    assert download.value.path().read_text() == "sum-42\n"
    page.get_by_role("button", name="tmp/", exact=True).click()
    page.get_by_label("Folder").get_by_text("tmp").wait_for()
    (tmp_path / "given.txt").write_text("from the browser")
    (tmp_path / "large.bin").write_bytes(b"x" * 12_000_000)  # a message has at most 10 MiB
    files = [tmp_path / "large.bin", tmp_path / "given.txt"]
    page.get_by_label("Files to upload").set_input_files(files)
    page.get_by_role("button", name="given.txt").wait_for()
    page.get_by_role("row", name="large.bin").get_by_text("12MB").wait_for()
    assert engine.containers.exec("viewed", ["cat", "/tmp/given.txt"]).output == "from the browser"
    assert panel.violations(".jc-lab-main:has(.jc-lab-files)") == []
    page.evaluate("() => window.jupyterapp.shell.activateById('jp-running-sessions')")
    page.locator("#jp-running-sessions").get_by_text("viewed", exact=True).wait_for()
    panel.command("containers:show")
    panel.choose("busybox", "Layers", "images/")
    page.locator(".jc-lab-main .jc-layers").get_by_text("bootstrap").wait_for()

    panel.choose("busybox", "Run…", "images/")
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Name").fill("asked")
    dialog.get_by_label("Command", exact=True).fill("sh -c 'exit 3'")
    assert "%container run -d --name asked busybox" in dialog.locator("output").inner_text()
    assert panel.violations(".jp-Dialog") == []
    dialog.get_by_role("button", name="Run", exact=True).click()
    panel.row("Exited (3)", "containers/").wait_for()
    page.get_by_role("button", name="Prune…").click()
    dialog.get_by_text("things would go").or_(dialog.get_by_text("thing would go")).wait_for()
    dialog.locator("summary").first.click()
    assert "asked" in dialog.locator(".jc-lab-group").first.inner_text()
    dialog.get_by_role("button", name="Remove", exact=True).click()
    until(lambda: panel.names("containers") == ["viewed"])
