"""A JupyterLab server and a Chromium that drives it, for tests and for the README's picture.

The server keeps its configuration, settings and kernels in one folder, listens only on 127.0.0.1
and ends with the context.  Its kernels work on the store that the environment names.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from tests.ports import free_port

LIGHT, DARK = "JupyterLab Light", "JupyterLab Dark"
_THEMES = (
    "@jupyterlab/theme-light-extension/index.css",
    "@jupyterlab/theme-dark-extension/index.css",
)
_START_SECONDS = 90.0
_PAGE_MILLISECONDS = 60_000.0  # an idle machine needs 1 s
_READY = """path => {
    const context = window.jupyterapp?.shell.currentWidget?.sessionContext;
    return context?.path === path && context.isReady && context.session?.kernel?.status === 'idle'
        && document.querySelector('.jp-Notebook .jp-Cell');
}"""
_OPEN = """async path => {
    const {commands, shell} = window.jupyterapp;
    const opened = await commands.execute('docmanager:open', {path});
    for (const other of [...shell.widgets('main')]) if (other !== opened) other.dispose();
}"""
# As in a page that was just loaded: no document, notification, filter or question.
_CLOSE = """async () => {
    const {commands, shell} = window.jupyterapp;
    for (const area of ['main', 'down']) {
        for (const widget of [...shell.widgets(area)]) widget.dispose();
    }
    await commands.execute('apputils:dismiss-notification', {});
    for (const filter of document.querySelectorAll('.jc-lab-filter')) filter.value = '';
    return !document.querySelector('.jp-Dialog, .lm-Menu');
}"""
_WIDTH, _HEIGHT = 1200, 1000
# Every code cell has its number, or one has failed and none is still to run.
_ENDED = r"""() => {
    const cells = window.jupyterapp.shell.currentWidget.content.widgets.map(cell => cell.model);
    const code = cells.filter(cell => cell.type === 'code');
    const outputs = code.flatMap(cell => cell.outputs.toJSON());
    const failed = outputs.some(output => output.output_type === 'error');
    const prompts = [...document.querySelectorAll('.jp-CodeCell .jp-InputPrompt')];
    const waiting = prompts.some(prompt => prompt.textContent.includes('*'));
    return !waiting && (failed || code.every(cell => cell.executionCount));
}"""
_CLASSES = {"jupyterlab": "LabApp", "notebook": "JupyterNotebookApp"}
CHROMIUM = "/usr/bin/chromium"
_FLAGS = (
    "--no-sandbox",
    "--disable-quic",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-dev-shm-usage",
    "--disable-gpu",
)


@contextlib.contextmanager
def lab_server(
    work: Path, notebooks: Path, environ: Mapping[str, str], app: str = "jupyterlab"
) -> Iterator[str]:
    """Yield the address of a JupyterLab (or ``notebook``) that serves the folder ``notebooks``."""
    settings = work / "settings"
    _write_settings(
        settings / "@jupyterlab/apputils-extension/notification",
        fetchNews="false",
        checkForUpdates=False,
    )
    # All cells are in the page, so that texts and pictures are complete.
    _write_settings(settings / "@jupyterlab/notebook-extension/tracker", windowingMode="none")
    # No page asks whether JupyterLab is to be built again, which starts Node each time.
    page_config = work / "config/labconfig/page_config.json"
    page_config.parent.mkdir(parents=True, exist_ok=True)
    page_config.write_text('{"buildAvailable": false, "buildCheck": false}')
    port = free_port()
    argv = [
        *(sys.executable, "-m", app, "--no-browser", "--allow-root"),
        *("--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0"),
        *("--IdentityProvider.token=", "--ServerApp.password=", "--ServerApp.disable_check_xsrf=1"),
        *(f"--ServerApp.root_dir={notebooks}", f"--{_CLASSES[app]}.expose_app_in_browser=True"),
        # Kernels that talk over sockets in the file system need no port of the machine.
        "--KernelManager.transport=ipc",
    ]
    own = {
        "JUPYTER_CONFIG_DIR": str(work / "config"),
        "JUPYTER_RUNTIME_DIR": str(work / "runtime"),
        "JUPYTERLAB_SETTINGS_DIR": str(settings),
        "JUPYTERLAB_WORKSPACES_DIR": str(work / "workspaces"),
        "IPYTHONDIR": str(work / "ipython"),
    }
    with (work / "lab.log").open("wb") as log:
        server = subprocess.Popen(
            argv, env={**os.environ, **own, **environ}, stdout=log, stderr=subprocess.STDOUT
        )
        try:
            address = f"http://127.0.0.1:{port}"
            _wait_for(f"{address}/api/status", server, work / "lab.log")
            # A page shows a dialog if a theme takes more than some seconds.
            for theme in _THEMES:
                _wait_for(f"{address}/lab/api/themes/{theme}", server, work / "lab.log")
            yield address
        finally:
            # SIGINT asks a terminal for confirmation; SIGTERM ends server and kernels.
            server.send_signal(signal.SIGTERM)
            try:
                server.wait(15)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _write_settings(plugin: Path, **values: object) -> None:
    path = plugin.with_suffix(".jupyterlab-settings")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(values))


def _wait_for(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _START_SECONDS
    while True:
        if server.poll() is not None or time.monotonic() > deadline:
            raise AssertionError(f"JupyterLab did not start:\n{log.read_text()[-3000:]}")
        with contextlib.suppress(URLError, OSError), urlopen(url, timeout=2):
            return
        time.sleep(0.1)


@contextlib.contextmanager
def browser(profile: Path) -> Iterator[Any]:
    """Yield a headless Chromium (Debian's) whose pages share a cache."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            profile,
            executable_path=CHROMIUM,
            args=list(_FLAGS),
            viewport={"width": _WIDTH, "height": _HEIGHT},
        )
        context.set_default_timeout(_PAGE_MILLISECONDS)
        try:
            yield context
        finally:
            context.close()


@contextlib.contextmanager
def browser_page(width: int = _WIDTH, height: int = _HEIGHT, scale: float = 1.0) -> Iterator[Any]:
    """Yield a page of a headless Chromium (Debian's)."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=list(_FLAGS))
        try:
            yield browser.new_page(
                viewport={"width": width, "height": height}, device_scale_factor=scale
            )
        finally:
            browser.close()


def open_document(page: Any, address: str, mode: str, name: str) -> None:
    """Open a document in a mode of JupyterLab, ``doc`` or ``lab``; a page in that mode stays."""
    if page.url.startswith(f"{address}/{mode}/"):
        page.evaluate(_OPEN, name)
    else:
        page.goto(f"{address}/{mode}/tree/{name}{'?reset' if mode == 'lab' else ''}")


def close_documents(page: Any) -> None:
    """Close all documents of a page; it is loaded again for the next test if it has a dialog."""
    page.set_viewport_size({"width": _WIDTH, "height": _HEIGHT})
    if not page.evaluate("() => 'jupyterapp' in window") or not page.evaluate(_CLOSE):
        page.goto("about:blank")


class LabNotebook:
    """One notebook, open in a page in Lab's single-document mode."""

    def __init__(self, page: Any, address: str, path: Path) -> None:
        self.page = page
        open_document(page, address, "doc", path.name)
        page.wait_for_function(_READY, arg=path.name, timeout=_PAGE_MILLISECONDS)

    def command(self, name: str, **arguments: object) -> None:
        """Execute a command of the application and wait for its end."""
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments],
        )

    def start_all(self) -> None:
        """Start to run all cells."""
        self.page.evaluate(
            "() => { window.jupyterapp.commands.execute('notebook:run-all-cells'); }"
        )

    def run_all(self, timeout: float = 60.0) -> None:
        """Run all cells and wait until each has its number, or one has failed."""
        self.start_all()
        self.wait_for_end(timeout)

    def wait_for_end(self, timeout: float = 60.0) -> None:
        """Wait until no cell runs or waits any more."""
        self.page.wait_for_function(_ENDED, timeout=timeout * 1000)

    def prompts(self) -> list[str]:
        """Return the prompts of the code cells: ``[1]:``, ``[ ]:`` …"""
        found: list[str] = self.page.locator(".jp-CodeCell .jp-InputPrompt").all_inner_texts()
        return found

    def outputs(self, source: str) -> Any:
        """Return the output area of the first cell that contains ``source``."""
        cell = self.page.locator(".jp-CodeCell").filter(has_text=source).first
        return cell.locator(".jp-Cell-outputArea")

    def output_of(self, index: int) -> dict[str, Any]:
        """Return the saved data of a cell's first output, by media type."""
        outputs = self.page.evaluate(
            "index => window.jupyterapp.shell.currentWidget.content.widgets[index]"
            ".model.outputs.toJSON()",
            index,
        )
        data: dict[str, Any] = outputs[0]["data"]
        return data

    def second_view(self, index: int) -> None:
        """Open another view of a cell's output beside the notebook."""
        self.page.evaluate(
            "index => { const notebook = window.jupyterapp.shell.currentWidget.content;"
            " notebook.activeCellIndex = index; }",
            index,
        )
        self.command("notebook:create-output-view")

    def theme(self, name: str) -> None:
        """Switch to a theme and wait until the page has it."""
        self.command("apputils:change-theme", theme=name)
        light = "true" if name == LIGHT else "false"
        self.page.wait_for_selector(f'body[data-jp-theme-light="{light}"]', state="attached")
        self.page.wait_for_timeout(300)  # the style sheet is applied a moment later

    def photograph(self, target: Path) -> None:
        """Save a picture of all cells, in a window of their height."""
        # A picture does not mark the current cell.
        style = self.page.add_style_tag(
            content=".jp-cell-toolbar, .jp-Collapser { visibility: hidden }"
            ".jp-Cell { border-color: transparent !important; box-shadow: none !important;"
            " outline: none !important }"
            ".jp-InputPrompt, .jp-OutputPrompt"
            " { color: var(--jp-cell-prompt-not-active-font-color) !important; opacity: 1 }"
        )
        first = self.page.locator(".jp-Notebook .jp-Cell").first
        last = self.page.locator(".jp-Notebook .jp-Cell").last
        for height in (20_000, None):
            if height is None:
                box = last.bounding_box()
                height = int(box["y"] + box["height"]) + 60
            self.page.set_viewport_size(
                {"width": self.page.viewport_size["width"], "height": height}
            )
            first.scroll_into_view_if_needed()
            self.page.wait_for_timeout(500)
        top, end = first.bounding_box(), last.bounding_box()
        clip = {**top, "y": top["y"] - 6, "height": end["y"] + end["height"] - top["y"] + 12}
        self.page.screenshot(path=target, clip=clip)
        style.evaluate("style => style.remove()")
