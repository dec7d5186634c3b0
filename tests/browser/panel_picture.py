"""Make docs/panel.png, a picture of the panel: ``scripts/pictures panel``.

It uses a separate store, with almost empty images.
"""

from __future__ import annotations

import sys
from pathlib import Path

from jupyter_containers import Engine
from tests.browser.panel import LOAD, Panel
from tests.browser.studio import studio
from tests.ports import free_port

BUILD = """%%dockerfile -t shop/web:2
FROM busybox
MAINTAINER shop@example.org
WORKDIR /srv
RUN echo "<h1>Welcome to the shop</h1>" > index.html
EXPOSE 8000
CMD ["httpd", "-f", "-v", "-p", "8000"]"""


def main(target: Path) -> None:
    """Fill a store, run a notebook beside the panel, and photograph the page."""
    with studio(1180, 800, 1.15) as (page, lab, engine):
        _fill(engine)
        run = f"%container run -d --name web -p {free_port()}:8000 shop/web:2"
        panel = Panel(page, lab, "shop", LOAD, BUILD, run, "%container ps")
        panel.start("notebook:run-all-cells")
        panel.row("web", "containers/").wait_for(timeout=60_000)
        page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
        page.locator(".cm-lintRange-warning").wait_for()
        page.mouse.move(1100, 700)
        page.wait_for_timeout(3000)
        page.screenshot(path=target)


def _fill(engine: Engine) -> None:
    engine.networks.create("backend")
    engine.volumes.create("orders")
    text = "FROM busybox\nRUN echo version 1 > /version\n"
    engine.build({}, dockerfile=text, tag="shop/db:1")
    engine.run(
        *("shop/db:1", ["sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.2; done"]),
        detach=True,
        name="db",
        network="backend",
        volume=["orders:/data"],
        health_cmd="true",
        health_interval="1s",
    )
    engine.run("busybox", ["sh", "-c", "exit 2"], name="migrate", check=False)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
