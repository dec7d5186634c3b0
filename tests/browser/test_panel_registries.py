"""Registries in the panel: logins in cells and in the panel, a refused push that is retried."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jupyter_containers.engine import Engine
from tests.browser.conftest import Lab
from tests.browser.panel import LOAD, Panel
from tests.browser.test_panel import engine as engine
from tests.integration.registry_server import DockerRegistry, missing_registry

pytestmark = pytest.mark.skipif(bool(missing_registry()), reason=missing_registry() or "is there")


_WATCH_TOASTS = """() => {
    window.toasts = [];
    new MutationObserver(() => {
        for (const toast of document.querySelectorAll('.Toastify__toast')) {
            if (!window.toasts.includes(toast.innerText)) window.toasts.push(toast.innerText);
        }
    }).observe(document.body, {subtree: true, childList: true, characterData: true});
}"""


@pytest.fixture
def registry(tmp_path: Path) -> Iterator[DockerRegistry]:
    with DockerRegistry(tmp_path / "registry", user=("ada", "s3cret")) as running:
        yield running


def test_push_asks_for_a_login_and_goes_on(
    lab: Lab, page: Any, engine: Engine, registry: DockerRegistry
) -> None:
    name = f"{registry.host}/given:1"
    engine.images.tag("busybox", name)
    panel = Panel(page, lab, "panel_push", LOAD)
    panel.load()
    panel.choose("given:1", "Push…", "images/")
    dialog = page.get_by_role("dialog")
    dialog.locator("select").select_option(name)
    dialog.get_by_role("button", name="OK").click()
    toast = page.locator(".Toastify__toast")
    toast.get_by_role("button", name="Log in…").click()
    assert dialog.get_by_label("Registry").input_value() == registry.host
    dialog.get_by_label("User").fill("ada")
    dialog.get_by_label("Password").fill("wrong")
    dialog.get_by_role("button", name="Log in").click()
    dialog.get_by_role("alert").get_by_text("refused the user name or password").wait_for(
        timeout=10_000
    )
    assert panel.violations(".jp-Dialog") == []
    assert dialog.get_by_label("User").input_value() == "ada"
    page.evaluate(_WATCH_TOASTS)
    dialog.get_by_label("Password").fill("s3cret")
    dialog.get_by_role("button", name="Log in").click()
    toast.get_by_text(f"Push {name}: done").wait_for(timeout=20_000)
    said = page.evaluate("() => window.toasts")
    assert [text for text in said if re.search("given:1: [0-9a-f]{12}", text)], said
    kept = registry.folder / "data/docker/registry/v2/repositories/given/_manifests/tags/1"
    assert kept.is_dir()
    page.get_by_label("Filter by").fill(registry.host)  # only rows that are in view are drawn
    panel.row(registry.host, "registries/").get_by_text("logged in").wait_for(timeout=20_000)


def test_a_login_of_a_cell_is_listed_at_once(
    lab: Lab, page: Any, engine: Engine, registry: DockerRegistry
) -> None:
    line = f"%container login -u ada -p s3cret {registry.host}"
    panel = Panel(page, lab, "panel_login", LOAD, line)
    panel.load()
    panel.start("notebook:run-all-cells")
    page.get_by_label("Filter by").fill(registry.host)  # only rows that are in view are drawn
    panel.row(registry.host, "registries/").get_by_text("logged in").wait_for(timeout=20_000)
    panel.choose(registry.host, "Log out", "registries/")
    panel.row(registry.host, "registries/").wait_for(state="detached")
    kept = json.loads((lab.notebooks.parent / "docker/config.json").read_text())
    assert registry.host not in kept["auths"]
