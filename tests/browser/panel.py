"""The panel "Containers" in a real JupyterLab, as its user sees it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from playwright.sync_api import TimeoutError

from tests.browser.conftest import Lab, write_notebook
from tests.browser.lab import open_document

LOAD = "%load_ext jupyter_containers"
_AXE = Path(__file__).parents[2] / "labextension/node_modules/axe-core/axe.min.js"
# The notebook has a kernel and is activated: Lab may have opened other documents.
_READY = """name => {
    const {shell} = window.jupyterapp ?? {};
    const found = [...(shell?.widgets('main') ?? [])].find(one => one.title.label === name);
    const context = found?.sessionContext;
    if (!context?.isReady || context.session?.kernel?.status !== 'idle') return false;
    shell.activateById(found.id);
    return true;
}"""
_STATE = """() => [...window.jupyterapp.shell.widgets('main')].map(one => [
    one.title.label, one.sessionContext?.isReady,
    one.sessionContext?.session?.kernel?.status,
    one.sessionContext?.session?.kernel?.connectionStatus,
].join(' ')).join(', ')"""


class Panel:
    """One page with a notebook and the panel beside it."""

    def __init__(self, page: Any, lab: Lab, name: str, *cells: str) -> None:
        self.page, self.lab = page, lab
        write_notebook(lab.notebooks / f"{name}.ipynb", *cells)
        open_document(page, lab.address, "lab", f"{name}.ipynb")
        try:
            page.wait_for_function(_READY, arg=f"{name}.ipynb", timeout=60_000)
        except TimeoutError as error:
            raise AssertionError(f"no kernel: {page.evaluate(_STATE)}") from error
        self.command("containers:show")

    def command(self, name: str, **arguments: object) -> None:
        self.page.evaluate(
            "([name, args]) => window.jupyterapp.commands.execute(name, args).then(() => null)",
            [name, arguments],
        )

    def start(self, name: str) -> None:
        """Execute a command without waiting for its end."""
        self.page.evaluate(
            "name => { window.jupyterapp.commands.execute(name); }",
            name,
        )

    def load(self) -> None:
        """Press the button of the empty state and wait for the kernel's items."""
        self.page.get_by_role("button", name="Load extension").click(timeout=20_000)
        self.row("bridge").wait_for(timeout=15_000)

    def row(self, text: str, within: str = "") -> Any:
        """Return the first row with a text and a key that begins with ``within``."""
        keys = f'[data-key^="{within}"]' if within else ""
        rows = self.page.locator(f".jc-lab-panel .jc-lab-row{keys}")
        return rows.filter(has_text=text).first

    def names(self, section: str) -> list[str]:
        rows = self.page.locator(f'.jc-lab-panel .jc-lab-row[data-key^="{section}/"] .jc-lab-name')
        found: list[str] = rows.all_inner_texts()
        return found

    def choose(self, row: str, entry: str, within: str = "containers/") -> None:
        """Choose an entry of a row's menu."""
        self.row(row, within).click(button="right")
        self.page.get_by_role("menuitem", name=entry, exact=True).click()

    def violations(self, within: str) -> list[str]:
        """Return axe's findings in a part of the page."""
        if not self.page.evaluate("() => 'axe' in window"):
            self.page.add_script_tag(path=_AXE)
        found = self.page.evaluate("within => axe.run(within)", within)
        return [
            f"{rule['id']}: {node['html'][:160]} {node['failureSummary'][:300]}"
            for rule in found["violations"]
            for node in rule["nodes"]
        ]
