"""Published ports are links through jupyter-server-proxy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.browser.conftest import Lab
from tests.ports import free_port

_SERVE = (
    "sh -c 'mkdir /www; echo served by the container > /www/index.html; httpd -f -p 80 -h /www'"
)


def test_a_published_port_is_a_link_through_the_server(
    notebook: Any, lab: Lab, tmp_path: Path
) -> None:
    port = free_port()
    run = f"run -d --name site -p {port}:80 busybox {_SERVE}"
    opened = notebook(
        "%load_ext jupyter_containers",
        f"%container {run}",
        "%container ps",
        "%container ps --watch",
    )
    opened.run_all()
    page = opened.page
    try:
        for source, text in (
            ("%container run", f"127.0.0.1:{port}->80/tcp"),
            ("%container ps", f"127.0.0.1:{port}->80/tcp"),
            ("--watch", f"{port}→80"),
        ):
            link = opened.outputs(source).get_by_role("link", name=text)
            link.wait_for(timeout=10_000)
            assert link.get_attribute("href").endswith(f"/proxy/{port}/")
            with page.context.expect_page() as answered:
                link.click()
            site = answered.value
            site.wait_for_load_state()
            assert site.inner_text("body").strip() == "served by the container"
            assert site.url.endswith(f"/proxy/{port}/")
            site.close()
        opened.photograph(tmp_path / "ports.png")
    finally:
        with lab.place.engine() as engine:
            engine.containers.remove("site", force=True)
