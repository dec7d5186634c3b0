"""Make docs/panel.png, a picture of the panel: ``scripts/pictures panel``.

It works on a store of its own, with images that have next to nothing in them.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from jupyter_containers import Engine
from tests.browser.conftest import Lab
from tests.browser.lab import browser_page, free_port, lab_server
from tests.browser.panel import LOAD, Panel
from tests.integration.engine_fixtures import Place, demolish

BUILD = """%%dockerfile -t shop/web:2
FROM busybox
MAINTAINER shop@example.org
WORKDIR /srv
RUN echo "<h1>Welcome to the shop</h1>" > index.html
EXPOSE 8000
CMD ["httpd", "-f", "-v", "-p", "8000"]"""


def main(target: Path) -> None:
    """Fill a store, run a notebook beside the panel, and photograph the page."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        work = Path(folder)
        place = Place.under(work)
        notebooks = work / "notebooks"
        notebooks.mkdir()
        environ = place.variables
        with place.engine() as engine:
            try:
                _fill(engine)
                with (
                    lab_server(work, notebooks, environ) as address,
                    browser_page(1180, 800, 1.15) as page,
                ):
                    run = f"%container run -d --name web -p {free_port()}:8000 shop/web:2"
                    lab = Lab(address, notebooks, place)
                    panel = Panel(page, lab, "shop", LOAD, BUILD, run, "%container ps")
                    panel.start("notebook:run-all-cells")
                    panel.row("web", "containers/").wait_for(timeout=60_000)
                    page.locator(".jp-CodeCell").nth(1).locator(".cm-content").click()
                    page.locator(".cm-lintRange-warning").wait_for()
                    page.mouse.move(1100, 700)
                    page.wait_for_timeout(3000)
                    page.screenshot(path=target)
            finally:
                demolish(engine)


def _fill(engine: Engine) -> None:
    engine.bootstrap("busybox")
    engine.create_network("backend")
    engine.create_volume("orders")
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
