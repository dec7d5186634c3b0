"""JupyterLab's panel with five hundred containers and as many images, in a real browser.

The store is the panel's own; Docker has nothing to compare with.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from jupyter_containers.engine import Engine
from tests.bench.table import Row
from tests.bench.turns import Series
from tests.browser.conftest import Lab
from tests.browser.lab import browser_page, lab_server
from tests.browser.panel import Panel
from tests.integration.engine_fixtures import Place, demolish

_BUSY = "import time\nwhile True: time.sleep(0.1)"
# When the page asks for a line, when the kernel answers, and when the first rows are drawn.
_WATCH_OPENING = """() => {
    window.opening = {};
    const panel = document.querySelector('.jc-lab-panel');
    const look = () => {
        const now = performance.now();
        if (panel.dataset.line === 'opening') window.opening.asked ??= now;
        if (panel.dataset.line === 'open') window.opening.answered ??= now;
        if (document.querySelector('.jc-lab-row.jc-lab-level2')) window.opening.drawn ??= now;
    };
    new MutationObserver(look).observe(
        panel, {subtree: true, childList: true, attributeFilter: ['data-line']});
}"""
_WATCH_NAME = """name => {
    window.seen = null;
    const observer = new MutationObserver(() => {
        const names = [...document.querySelectorAll('.jc-lab-row .jc-lab-name')];
        if (!names.some(node => node.textContent === name)) return;
        window.seen = Date.now() / 1000;
        observer.disconnect();
    });
    observer.observe(document.querySelector('.jc-lab-panel'), {subtree: true, childList: true});
}"""
_SCROLL = """async () => {
    const tree = document.querySelector('.jc-lab-tree');
    const times = [];
    let last = await new Promise(requestAnimationFrame);
    for (let i = 0; i < 250; i++) {
        tree.scrollTop += 150;
        const now = await new Promise(requestAnimationFrame);
        times.push((now - last) / 1000);
        last = now;
    }
    tree.scrollTop = 0;
    return times;
}"""


def rows(folder: Path, count: int, events: int) -> list[Row]:
    """Return the figures with so many containers and images, and so many events a series."""
    place = Place.under(folder / "panel")
    notebooks = folder / "panel/notebooks"
    notebooks.mkdir(parents=True)
    environ = place.variables
    with place.engine() as engine:
        try:
            _fill(engine, count)
            with (
                lab_server(folder / "panel", notebooks, environ) as address,
                browser_page(1200, 850) as page,
            ):
                panel = Panel(page, Lab(address, notebooks, place), "bench", _BUSY)
                return _measured(page, panel, engine, count, events)
        finally:
            demolish(engine)


def _fill(engine: Engine, count: int) -> None:
    engine.images.bootstrap("busybox")
    for number in range(count):
        engine.containers.create("busybox", name=f"box-{number}")
        engine.build({}, dockerfile=f"FROM busybox\nLABEL n={number}", tag=f"image:{number}")


def _measured(page: Any, panel: Panel, engine: Engine, count: int, events: int) -> list[Row]:
    page.get_by_role("button", name="Load extension").wait_for()
    page.evaluate(_WATCH_OPENING)
    page.get_by_role("button", name="Load extension").click()
    page.locator(".jc-lab-count", has_text=str(count)).first.wait_for()
    opening = page.evaluate("() => window.opening")
    page.wait_for_timeout(1500)
    frames = sorted(page.evaluate(_SCROLL))
    idle = [_event(page, engine, f"idle-{number}") for number in range(events)]
    panel.start("notebook:run-all-cells")
    page.locator(".jp-InputPrompt", has_text="*").first.wait_for()
    busy = [_event(page, engine, f"busy-{number}") for number in range(events)]
    what = f"{count} containers and {count} images"
    asked, answered, drawn = (opening[name] / 1000 for name in ("asked", "answered", "drawn"))
    return [
        Row("a new kernel answers the panel", "ms", Series((answered - asked,))),
        Row(f"then it shows {what}", "ms", Series((drawn - answered,)), limit=300),
        Row("an event reaches the panel", "ms", Series(tuple(idle)), limit=200),
        Row("an event reaches the panel while a cell runs", "ms", Series(tuple(busy)), limit=200),
        Row(f"a frame while {what} scroll", "ms", Series(tuple(frames)), limit=34),
    ]


def _event(page: Any, engine: Engine, name: str) -> float:
    """Return the seconds from the record of a new container to its row."""
    page.evaluate(_WATCH_NAME, name)
    time.sleep(0.3)
    engine.containers.create("busybox", name=name)
    made = max(event.time_ns for event in engine.system.events(follow=False)) / 1e9
    page.wait_for_function("() => window.seen", timeout=10_000)
    return float(page.evaluate("() => window.seen")) - made
