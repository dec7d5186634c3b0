"""A saved notebook with every widget and table, rendered by nbconvert without a kernel."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.browser.conftest import Lab
from tests.browser.test_notebook import CONTRASTS, LEAST_CONTRAST, OVERFLOWING
from tests.browser.test_terminal import LOAD, Typist
from tests.ports import free_port

CELLS = (
    LOAD,
    "%container doctor",
    "%%dockerfile -t shown:1\nFROM busybox\n"
    "RUN printf '\\033[32mgreen\\033[0m\\n' && echo x > /made\nRUN rm /made",
    "%container images",
    "%container history shown:1",
    "%container network create shelf",
    "%container run -d --name one --network shelf -p {port}:80 -m 64m shown:1 sh -c "
    "'printf \"\\033[33mamber\\033[0m and plain\\n\"; sleep 1000'",
    "%container ps",
    "%container ps --watch",
    "%container stats",
    "%container logs one",
    "%container layers shown:1",
    "%container network inspect shelf",
    "%container explain one",
    "%%compose -p drawn\nservices:\n  web: {image: busybox, command: sleep 100, depends_on: [db]}\n"
    "  db: {image: busybox, command: sleep 100}",
    "%container inspect one",
    "%container run -it --rm busybox sh",
    "%container info",
    "%container system df",
)


def test_every_widget_reads_well_without_a_kernel(notebook: Any, lab: Lab, tmp_path: Path) -> None:
    port = free_port()
    opened = notebook(*(cell.replace("{port}", str(port)) for cell in CELLS))
    page = opened.page
    try:
        opened.run_all()
        assert all(prompt.strip("[]:").isdigit() for prompt in opened.prompts())
        typist = Typist(opened)
        # Invisible parts are not drawn.
        page.locator(".jc-screen").scroll_into_view_if_needed()
        typist.sees("/ #")
        typist.type("echo sum-$((40+2)); exit\n")
        page.get_by_text("ended with exit code 0").wait_for()
        page.wait_for_timeout(500)
        opened.command("docmanager:save")
    finally:
        with lab.place.engine() as engine:
            engine.containers.remove("one", force=True)
            engine.compose(project="drawn", folder="/").down(timeout=0)
            engine.networks.remove("shelf")
            engine.images.remove("shown:1")
    path = lab.notebooks / "test_every_widget_reads_well_without_a_kernel.ipynb"
    for theme in ("light", "dark"):
        made = tmp_path / f"{theme}.html"
        argv = [sys.executable, "-m", "nbconvert", "--to", "html", "--theme", theme]
        subprocess.run([*argv, "--output", str(made), str(path)], check=True, capture_output=True)
        assert "widget-view+json" not in made.read_text()
        # Nothing is fetched: requests of a page of nbconvert are aborted.
        page.route("http*://**", lambda route: route.abort())
        page.goto(made.as_uri())
        page.unroute("http*://**")
        shown = page.locator("body").inner_text()
        for text in (
            *("CAPABILITY", "sum-42", "amber and plain", "CPU %", "efficiency", "this machine"),
            "drawn running(2)",
            *("Namespaces", "HostConfig", "RECLAIMABLE", f"127.0.0.1:{port}"),
        ):
            assert text in shown, text
        # Not a widget that waits for a kernel, nor a terminal's control sequences.
        assert "Loading widget" not in shown
        assert "\x1b" not in shown
        pale = [pair for pair in page.evaluate(CONTRASTS) if pair[1] < LEAST_CONTRAST]
        assert pale == [], theme
        assert page.evaluate(OVERFLOWING) == [], theme
        page.screenshot(path=tmp_path / f"{theme}.png", full_page=True)
