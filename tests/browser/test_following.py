"""``network inspect`` and ``explain`` in a real JupyterLab: live, in several views."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.browser.conftest import Lab
from tests.browser.test_terminal import LOAD
from tests.integration.waiting import until

# This cell runs until a file exists; the views must be live during that time.
BUSY = "import os, time\nwhile not os.path.exists('go'): time.sleep(0.05)"
# The number of widgets that the kernel keeps.
KEPT = (
    "from jupyter_containers.magics.registration import registered\n"
    "len(registered(get_ipython())._page.gallery)"
)


@pytest.fixture
def shop(lab: Lab) -> Iterator[Any]:
    (lab.notebooks / "go").unlink(missing_ok=True)
    with lab.place.engine() as engine:
        engine.networks.create("shop", subnet="10.77.3.0/24")
        engine.run("busybox", ["sleep", "1000"], detach=True, name="till", network="shop")
        try:
            yield engine
        finally:
            for container in engine.containers(all=True):
                container.remove(force=True)
            if "shop" in [item.name for item in engine.networks()]:
                engine.networks.remove("shop")


def test_a_network_is_drawn_as_it_changes(
    notebook: Any, lab: Lab, shop: Any, tmp_path: Path
) -> None:
    opened = notebook(LOAD, "%container network inspect shop", BUSY, KEPT)
    opened.start_all()
    page = opened.page
    drawn = page.locator(".jc-network-pictures")
    drawn.get_by_text("till").wait_for(timeout=30_000)
    page.get_by_text("1 running container").wait_for()

    # While the next cell runs, another engine works on the same store.
    until(lambda: opened.prompts()[2] == "[*]:")
    web = ["httpd", "-f", "-p", "80"]
    shop.run("busybox", web, detach=True, name="web", network="shop", publish=["80"])
    drawn.get_by_text("web", exact=True).wait_for()
    page.get_by_text("web was attached").wait_for()
    page.get_by_text("2 running containers").wait_for()
    assert "127.0.0.1:" in drawn.inner_text()
    assert page.locator(".jc-network-fresh").count() == 1

    opened.second_view(1)
    until(lambda: page.locator(".jc-network-pictures").count() == 2)
    shop.networks.disconnect("shop", "web")
    until(lambda: page.get_by_text("web was detached").count() == 2)
    until(lambda: page.locator(".jc-network-pictures").get_by_text("web", exact=True).count() == 0)
    page.locator(".jc-network-json summary").first.click()
    page.locator(".jc-network-json pre", has_text='"Subnet": "10.77.3.0/24"').first.wait_for()
    page.screenshot(path=tmp_path / "network.png")

    (lab.notebooks / "go").touch()
    opened.wait_for_end()
    assert opened.outputs(KEPT[:30]).inner_text().split()[-1] == "1"
    # The saved output is readable without a kernel.
    kept = opened.output_of(1)
    assert "till" in "".join(kept["text/plain"])
    assert "<svg" in "".join(kept["text/html"])
    shop.containers.remove("till", force=True)
    shop.networks.remove("shop")
    page.get_by_text("no such network: shop").first.wait_for()
    page.screenshot(path=tmp_path / "removed.png")


def test_an_explanation_follows_its_container(
    notebook: Any, lab: Lab, shop: Any, tmp_path: Path
) -> None:
    opened = notebook(LOAD, "%container explain till", BUSY, KEPT)
    opened.start_all()
    page = opened.page
    sections = page.locator(".jc-explain-sections")
    sections.get_by_text("sleep 1000").wait_for(timeout=30_000)
    titles = page.locator(".jc-explain-section > summary")
    assert [text.rstrip(" 0123456789") for text in titles.all_inner_texts()] == [
        *("Namespaces", "Processes", "Control groups", "Layers", "Mounts", "Privileges"),
        "Network",
    ]
    until(lambda: opened.prompts()[2] == "[*]:")
    opened.second_view(1)
    until(lambda: page.locator(".jc-explain-sections").count() == 2)

    shop.containers.exec("till", ["sleep", "500"], detach=True)
    until(lambda: page.locator("td", has_text="sleep 500").count() == 2)
    page.screenshot(path=tmp_path / "explain.png")
    limit = page.locator(".jc-explain-table tr", has_text="memory limit").first
    assert "unlimited" in limit.inner_text()
    shop.containers.update("till", memory="64m", memory_swap="64m")
    until(lambda: "64.0 MiB" in limit.inner_text())

    page.get_by_role("button", name="Pause", exact=True).first.click()
    shop.containers.stop("till", timeout=0)
    page.get_by_text("not running: start it to see the rest").wait_for()  # in the second view
    privileges = sections.first.locator("summary", has_text="Privileges")
    assert privileges.count() == 1
    page.get_by_role("button", name="Go on").click()
    until(lambda: privileges.count() == 0)
    shop.containers.start("till")
    until(lambda: page.locator("td", has_text="sleep 1000").count() == 2)
    shop.containers.remove("till", force=True)
    until(lambda: page.get_by_text("removed; this is how it was seen last").count() == 2)
    assert sections.count() == 2  # as last seen, maybe after the end
    assert page.locator(".jc-frame-notice:visible").count() == 0

    (lab.notebooks / "go").touch()
    opened.wait_for_end()
    opened.command("notebook:clear-all-cell-outputs")
    until(lambda: page.locator(".jc-explain-sections").count() == 0)
    # The cell was cleared, so the kernel drops the widget.
    until(lambda: kept(opened) == 0, 15)


def kept(opened: Any) -> int:
    """Return how many widgets the kernel keeps, by running the last cell again."""
    before = opened.prompts()[3]
    opened.page.evaluate(
        "() => { window.jupyterapp.shell.currentWidget.content.activeCellIndex = 3; }"
    )
    opened.command("notebook:run-cell")
    until(lambda: re.match(r"\[\d+\]", opened.prompts()[3]) and opened.prompts()[3] != before)
    return int(opened.outputs(KEPT[:30]).inner_text().split()[-1])
