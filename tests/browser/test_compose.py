"""Compose files in JupyterLab: assistance, applications in a cell, their view in the panel."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.browser.conftest import Lab
from tests.browser.lab import DARK, LIGHT
from tests.browser.panel import Panel
from tests.integration.waiting import until

APPLICATION = """\
%load_ext jupyter_containers
---
%%compose -p shop
services:
  web:
    image: busybox
    init: true
    command: httpd -f -p 8000
    ports: ["8000"]
    depends_on:
      db: {condition: service_healthy}
  db:
    image: busybox
    init: true
    command: sh -c "while :; do echo $$(date) tick; sleep 0.3; done"
    healthcheck: {test: "true", interval: 1s}
    volumes: [data:/data]
  seed:
    image: busybox
    command: echo seeded
volumes:
  data:
---
AFTER = 6 * 7; print(AFTER)"""
CELL = """\
%%compose -p shop
services:
  web:
    image: busybox
    comand: httpd -f -p 8000
    depends_on: [wen, db]
  db:
    image: busybox
    command: sleep 1000"""


@pytest.fixture
def engine(lab: Lab) -> Iterator[Engine]:
    with contextlib.closing(lab.place.engine()) as engine:
        yield engine
        for container in engine.containers(all=True):
            engine.containers.remove(container.id, force=True)


def test_compose_files_are_written_with_help(lab: Lab, page: Any, engine: Engine) -> None:
    folder = lab.notebooks
    (folder / "compose.yaml").write_text("services:\n  web:\n    image: $NAME\n    ")
    (folder / ".env").write_text("NAME=busybox\n")
    panel = Panel(page, lab, "compose_text", CELL, "RUN = 1")
    cell = page.locator(".jp-CodeCell").first
    key = cell.locator(".cm-line span", has_text="image").first
    until(lambda: key.count() > 0)  # YAML is highlighted
    panel.load()
    marked = page.locator(".cm-lintRange-error")
    marked.first.wait_for(timeout=10_000)
    assert marked.all_inner_texts() == ["comand"]
    marked.first.hover()
    page.locator(".cm-tooltip-lint").get_by_text("did you mean command?").wait_for()
    page.mouse.move(0, 0)
    key.hover()
    page.locator(".jc-lab-help").get_by_text("The image;").wait_for()

    # Errors of the whole file are shown once single keys are right.
    cell.locator(".cm-line", has_text="comand").click()
    page.keyboard.press("End")
    page.keyboard.press("Shift+Home")
    page.keyboard.type("command: httpd -f -p 8000")
    until(lambda: marked.all_inner_texts() == ["wen"])
    cell.locator(".cm-line", has_text="sleep").click()
    page.keyboard.press("End")
    page.keyboard.press("Enter")
    page.keyboard.type("heal")
    page.keyboard.press("Tab")  # the kernel completes it
    page.locator(".jp-Completer").get_by_text("healthcheck:").click()
    until(lambda: cell.locator(".cm-line", has_text="healthcheck:").count() == 1)

    page.evaluate(
        "() => window.jupyterapp.commands.execute('docmanager:open', "
        "{path: 'compose.yaml', factory: 'Editor'}).then(() => null)"
    )
    editor = page.locator(".jp-FileEditor .cm-content")
    editor.wait_for()
    editor.click()
    page.keyboard.press("Control+End")
    page.keyboard.type("dep")
    # A key press right after the list has opened would go to the text.
    page.locator(".cm-tooltip-autocomplete").get_by_text("depends_on:").click()
    page.keyboard.type(" [wb]")
    error = page.locator(".jp-FileEditor .cm-lintRange-error")
    until(lambda: error.all_inner_texts() == ["wb"])
    # Its .env was read: NAME has a value.
    assert page.locator(".jp-FileEditor .cm-lintRange-warning").count() == 0


def test_an_application_is_brought_up_drawn_and_grouped(
    lab: Lab, page: Any, engine: Engine
) -> None:
    panel = Panel(page, lab, "compose_up", *APPLICATION.split("\n---\n"))
    page.set_viewport_size({"width": 1500, "height": 900})
    panel.start("notebook:run-all-cells")
    picture = page.locator(".jc-application-picture svg")
    page.wait_for_timeout(12000)
    picture.wait_for(timeout=10_000)
    page.get_by_text("42").first.wait_for()  # the cell ended, Run All went on
    web = picture.locator('[data-service="web"]')
    assert "running" in web.text_content()
    assert web.locator("a").get_attribute("href").startswith("/proxy/")
    until(lambda: "%" in web.text_content())
    assert "exited (0)" in picture.locator('[data-service="seed"]').text_content()
    for theme in (LIGHT, DARK):
        panel.command("apputils:change-theme", theme=theme)
        page.wait_for_timeout(600)
        assert panel.violations(".jc-frame") == [], theme
    page.get_by_role("button", name="Logs").click()
    page.locator(".xterm").get_by_text("db-1 |").first.wait_for()
    page.get_by_role("button", name="Table").click()
    row = page.locator(".jc-application-table tr", has_text="web")
    assert "8000" in row.inner_text()

    panel.choose("shop", "Stop", "project/")
    until(lambda: "0 of 3 containers running" in panel.row("shop", "project/").inner_text())
    until(lambda: "exited" in row.inner_text())
    panel.choose("shop", "Start", "project/")
    until(lambda: "running" in row.inner_text())
    panel.choose("shop", "Down…", "project/")
    page.locator(".jp-Dialog").get_by_role("button", name="Down").click()
    until(lambda: engine.containers(all=True) == [])
    until(lambda: "no container" in row.inner_text())
