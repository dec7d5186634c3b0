"""Every widget in two views of one page; nothing is left after its cell is cleared."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.browser.conftest import Lab
from tests.browser.lab import LabNotebook
from tests.browser.test_following import KEPT, kept
from tests.browser.test_terminal import LOAD
from tests.integration.waiting import until


@pytest.fixture
def shop(lab: Lab) -> Iterator[Any]:
    with lab.place.engine() as engine:
        script = "i=0; while :; do i=$((i+1)); echo tick $i; sleep 0.2; done"
        engine.run("busybox", ["sh", "-c", script], detach=True, name="ticker", network="none")
        ended = ["sh", "-c", "echo one; echo two"]
        engine.run("busybox", ended, name="ended", network="none", check=False)
        try:
            yield engine
        finally:
            for container in engine.containers(all=True):
                container.remove(force=True)


@pytest.fixture
def opened(notebook: Any, shop: Any, request: pytest.FixtureRequest) -> LabNotebook:
    """Return a notebook whose second cell has run and is shown a second time."""
    opened: LabNotebook = notebook(LOAD, request.param, "'unused'", KEPT)
    opened.run_all()
    assert kept(opened) == 1
    opened.second_view(1)
    return opened


def closed(opened: LabNotebook) -> None:
    """Clear the outputs; the kernel keeps nothing of the widget."""
    opened.command("notebook:clear-all-cell-outputs")
    until(lambda: opened.page.locator(".jc-frame").count() == 0)
    until(lambda: kept(opened) == 0, 15)


@pytest.mark.parametrize("opened", ["%container ps -a --watch"], indirect=True)
def test_the_dashboard(opened: LabNotebook, shop: Any) -> None:
    rows = opened.page.locator(".jc-dashboard-table tr", has_text="ticker")
    until(lambda: rows.count() == 2)
    rows.last.get_by_role("button", name="Restart").wait_for()
    rows.last.get_by_role("button", name="Remove").click()
    rows.last.get_by_role("button", name="Really remove?").click()
    until(lambda: rows.count() == 0, 20)
    assert opened.page.locator(".jc-dashboard-table tr", has_text="ended").count() == 2
    closed(opened)


@pytest.mark.parametrize("opened", ["%container stats"], indirect=True)
def test_the_statistics(opened: LabNotebook) -> None:
    charts = opened.page.locator(".jc-chart", has_text="Processes")
    until(lambda: charts.count() == 2)
    paths = charts.locator("svg path")
    # Both are live: a line gets a point every second.
    until(lambda: all(len(d.split("L")) > 2 for d in drawn(paths)) and paths.count() == 2)
    opened.page.get_by_role("button", name="Pause").first.click()
    before = drawn(paths)
    until(lambda: drawn(paths)[1] != before[1])
    assert drawn(paths)[0] == before[0]
    closed(opened)


def drawn(paths: Any) -> list[str]:
    found: list[str] = paths.evaluate_all("nodes => nodes.map(node => node.getAttribute('d'))")
    return found


@pytest.mark.parametrize("opened", ["%container layers busybox"], indirect=True)
def test_the_layers(opened: LabNotebook) -> None:
    layers = opened.page.locator(".jc-layers > .jc-layers-layer")
    until(lambda: layers.count() == 2)
    layers.last.locator("summary").first.click()
    layers.last.locator(".jc-layers-name", has_text="bin/").first.wait_for()
    # Views are unfolded independently.
    assert layers.first.locator(".jc-layers-name").count() == 0
    closed(opened)


@pytest.mark.parametrize("opened", ["%container logs -f ended"], indirect=True)
def test_the_log(opened: LabNotebook) -> None:
    screens = opened.page.locator(".jc-screen .xterm-rows")
    until(lambda: screens.count() == 2)
    for number in range(2):
        screens.nth(number).scroll_into_view_if_needed()
        until(lambda number=number: "two" in screens.nth(number).inner_text())
    closed(opened)


@pytest.mark.parametrize(
    "opened",
    ["%container run --rm -it --network none busybox sh", "%container exec -it ticker sh"],
    ids=["run", "exec"],
    indirect=True,
)
def test_a_terminal(opened: LabNotebook, shop: Any) -> None:
    page = opened.page
    screens = page.locator(".jc-screen .xterm-rows")
    until(lambda: screens.count() == 2)
    page.locator(".xterm-helper-textarea").last.focus()
    page.keyboard.type("echo sum-$((40+2))\n")
    for number in (1, 0):
        screens.nth(number).scroll_into_view_if_needed()
        until(lambda number=number: "sum-42" in screens.nth(number).inner_text())
    closed(opened)
    # The process ends with its terminal.
    until(lambda: len(shop.containers.top("ticker")) <= 2)
    left = {"ticker", "ended"}
    until(lambda: {container.name for container in shop.containers(all=True)} <= left)
