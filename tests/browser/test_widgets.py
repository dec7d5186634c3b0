"""Logs, statistics and the dashboard in a real JupyterLab, on real containers."""

from __future__ import annotations

import re
from typing import Any
from urllib.parse import urljoin
from urllib.request import urlopen

from tests.browser.conftest import Lab
from tests.browser.lab import LabNotebook
from tests.browser.test_terminal import LOAD, names
from tests.integration.waiting import until
from tests.ports import free_port

TICKS = (
    "%container run -d --name ticks busybox sh -c "
    r"""'i=0; while :; do i=$((i+1)); printf "\033[32mtick\033[0m $i\n"; sleep 0.2; done'"""
)


def log_text(opened: LabNotebook) -> str:
    found = opened.page.locator(".jc-screen .xterm-rows").first.inner_text()
    return str(found).replace("\xa0", " ")


def last_tick(opened: LabNotebook) -> int:
    return max((int(n) for n in re.findall(r"tick (\d+)", log_text(opened))), default=0)


def test_a_log_is_followed_searched_held_and_stopped(notebook: Any, lab: Lab) -> None:
    opened = notebook(LOAD, TICKS, "%container logs -f --wait ticks", "after = 1")
    opened.start_all()
    page = opened.page
    until(lambda: last_tick(opened) > 3, 30)
    assert opened.prompts()[2] == "[*]:"
    # Colours are spans of the screen.
    assert page.locator(".xterm-fg-2", has_text="tick").count() > 0

    page.get_by_label("Search the log").fill("tick 2")
    until(lambda: re.match(r"\d+/\d+", page.locator(".jc-logs-found").inner_text()))
    page.get_by_label("Search the log").fill("nowhere")
    until(lambda: page.locator(".jc-logs-found").inner_text() == "none")

    page.get_by_role("button", name="Pause", exact=True).click()
    page.wait_for_timeout(300)
    held = last_tick(opened)
    page.wait_for_timeout(800)
    assert last_tick(opened) == held
    page.get_by_role("button", name="Go on").click()
    until(lambda: last_tick(opened) > held + 2)

    opened.command("notebook:interrupt-kernel")
    page.get_by_text("KeyboardInterrupt: logs was interrupted").wait_for(timeout=5_000)
    opened.wait_for_end()
    assert opened.prompts() == ["[1]:", "[2]:", "[3]:", "[ ]:"]
    page.get_by_text("no longer followed").wait_for()
    assert "ticks" in names(lab)
    with lab.place.engine() as engine:
        engine.containers.remove("ticks", force=True)


def test_a_log_goes_on_beside_the_next_cells(notebook: Any, lab: Lab) -> None:
    opened = notebook(
        LOAD,
        "%container run -d --name short busybox sh -c "
        "'echo one; until [ -e /go ]; do sleep 0.1; done; echo two'",
        "%container logs -f short",
        "%container exec short sh -c 'touch /go; echo went'",
    )
    opened.run_all()
    assert opened.prompts()[-1] == "[4]:"
    until(lambda: "two" in log_text(opened))
    opened.page.get_by_text("the container has ended").wait_for()
    # The saved output is readable without a kernel.
    outputs = opened.page.evaluate(
        "() => window.jupyterapp.shell.currentWidget.content.widgets[2].model.outputs.toJSON()"
    )
    assert "one\ntwo" in "".join(outputs[0]["data"]["text/plain"])


def test_a_talkative_container_leaves_the_page_usable(notebook: Any, lab: Lab) -> None:
    opened = notebook(
        LOAD,
        "import re\n"
        "def peak():\n"
        "    return int(re.search(r'VmHWM:\\s+(\\d+)', open('/proc/self/status').read())[1])\n"
        "before = peak()\n"
        "%container run -d --name talk busybox sh -c 'seq 1 1000000'\n"
        "%container wait talk",
        "%container logs -f talk",
        "(peak() - before) // 1024",
    )
    opened.run_all(120)
    until(lambda: "1000000" in log_text(opened), 30)
    began = opened.page.evaluate("() => performance.now()")
    opened.page.evaluate("() => new Promise(done => requestAnimationFrame(done))")
    assert opened.page.evaluate("() => performance.now()") - began < 1000
    grown = int(opened.outputs("// 1024").inner_text().split()[-1])
    assert grown <= 100, f"the kernel grew by {grown} MB"
    print(f"a million lines: the kernel grew by {grown} MB")


def test_the_dashboard_shows_and_acts(notebook: Any, lab: Lab) -> None:
    port = free_port()
    opened = notebook(
        LOAD,
        f"%container run -d --name site -p {port}:80 busybox sh -c "
        "'mkdir /w; echo hello > /w/index.html; httpd -f -p 80 -h /w'",
        "%container run -d --name idle busybox sleep 1000",
        "%container ps -a --watch --filter name=site --filter name=idle",
    )
    opened.run_all()
    page = opened.page
    site, idle = (
        page.locator(".jc-dashboard-table tr", has_text=name) for name in ("site", "idle")
    )
    site.get_by_text("Up ").wait_for()
    link = site.get_by_role("link")
    assert link.inner_text() == f"{port}→80"
    address = urljoin(lab.address, link.get_attribute("href"))  # through jupyter-server-proxy
    assert urlopen(address).read() == b"hello\n"
    site.locator("svg path").first.wait_for(state="attached")
    # An earlier test may have left the side panel open; and "Up Less than a second" is longer
    # than the later texts.
    page.set_viewport_size({"width": 1600, "height": 1000})
    until(
        lambda: page.evaluate(
            "() => { const s = document.querySelector('.jc-dashboard-scroll');"
            " return s.scrollWidth <= s.clientWidth + 1 }"
        )
    )

    idle.get_by_role("button", name="Stop", exact=True).click()
    idle.get_by_text("Exited (137)").wait_for(timeout=20_000)
    idle.get_by_role("button", name="Start", exact=True).click()
    idle.get_by_text("Up ").wait_for()
    idle.get_by_role("button", name="Terminal").click()
    terminal = page.locator(".jc-screen").last
    until(lambda: "/ #" in terminal.inner_text().replace("\xa0", " "))
    page.locator(".xterm-helper-textarea").last.focus()
    page.keyboard.type("echo in-$(hostname)\n")
    until(lambda: re.search(r"in-[0-9a-f]{12}", terminal.inner_text()))
    page.get_by_role("button", name="✕").click()
    until(lambda: page.locator(".jc-screen").count() == 0)

    idle.get_by_role("button", name="Remove").click()
    assert "idle" in names(lab)
    idle.get_by_role("button", name="Really remove?").click()
    until(lambda: "idle" not in names(lab), 20)
    until(lambda: idle.count() == 0)
    site.get_by_role("button", name="Logs").click()
    page.get_by_text("Log of site").wait_for()
    opened.command("notebook:clear-all-cell-outputs")
    page.wait_for_timeout(300)
    with lab.place.engine() as engine:
        engine.containers.remove("site", force=True)


def test_statistics_move_and_mark_out_of_memory(notebook: Any, lab: Lab) -> None:
    opened = notebook(
        LOAD,
        "%container run -d --name eater -m 16m busybox sh -c "
        "'sleep 3; while :; do (tail -c 40m /dev/zero >/dev/null); sleep 1; done'",
        "%container run -d --name spin busybox sh -c 'while :; do :; done'",
        "samples = %container stats eater spin\nsamples",
        "len(samples)",
    )
    opened.run_all()
    page = opened.page
    cpu = page.locator(".jc-chart", has_text="CPU")
    until(lambda: max(map(float, re.findall(r"([\d.]+) %", cpu.inner_text())), default=0) > 1)
    assert opened.outputs("len(samples)").inner_text().split()[-1] == "2"
    page.locator(".jc-chart", has_text="Memory").get_by_text("out of memory").first.wait_for(
        timeout=20_000
    )
    page.locator(".jc-stats-legend").get_by_role("button", name="eater").click()
    until(lambda: "16.0 MiB" not in page.locator(".jc-stats-charts").inner_text())
    page.locator(".jc-stats-legend").get_by_role("button", name="eater").click()
    until(lambda: page.locator(".jc-chart", has_text="Processes").inner_text())
    with lab.place.engine() as engine:
        for name in ("eater", "spin"):
            engine.containers.remove(name, force=True)
    page.get_by_text("spin (ended)").wait_for(timeout=10_000)
