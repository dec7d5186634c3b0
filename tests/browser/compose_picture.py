"""Make docs/compose.png, a picture of an application in a cell: ``scripts/pictures compose``.

It uses a separate store, with almost empty images.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jupyter_containers import Engine
from tests.browser.panel import LOAD, Panel
from tests.browser.studio import studio
from tests.ports import free_port

_FOREVER = """["sh", "-c", "trap 'exit 0' TERM; while :; do echo $$SAYS; sleep 0.7; done"]"""
_CELL = """%%compose -p shop
services:
  web:
    image: shop/web:2
    ports: ["{port}:8000"]
    depends_on: [api]
  api:
    image: shop/api:2
    command: {forever}
    environment: {{SAYS: "GET /orders 200"}}
    depends_on:
      db: {{condition: service_healthy}}
  db:
    image: shop/db:1
    command: {forever}
    environment: {{SAYS: "checkpoint complete"}}
    healthcheck: {{test: "true", interval: 1s}}
    volumes: [orders:/data]
volumes:
  orders:"""


def main(target: Path) -> None:
    """Fill a store, bring an application up beside the panel, and photograph the page."""
    with studio(1180, 860, 1.15) as (page, lab, engine):
        _fill(engine)
        cell = _CELL.format(port=free_port(), forever=_FOREVER)
        panel = Panel(page, lab, "shop", LOAD, cell)
        panel.start("notebook:run-all-cells")
        page.locator(".jc-application-picture svg").wait_for(timeout=60_000)
        page.get_by_role("button", name="Logs").click()
        page.locator(".xterm").get_by_text("api-1 |").first.wait_for(timeout=30_000)
        page.mouse.move(1100, 700)
        page.wait_for_timeout(4000)
        page.evaluate(
            "() => document.querySelector('.jc-frame')"
            ".closest('.jp-Cell').scrollIntoView({block: 'end'})"
        )
        page.wait_for_timeout(500)
        page.screenshot(path=target)


def _fill(engine: Engine) -> None:
    web = 'FROM busybox\nCMD ["httpd", "-f", "-v", "-p", "8000"]\nSTOPSIGNAL KILL\n'
    engine.build({}, dockerfile=web, tag="shop/web:2")
    for tag in ("shop/api:2", "shop/db:1"):
        engine.build({}, dockerfile=f"FROM busybox\nRUN echo {tag} > /name\n", tag=tag)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
