"""The rendering of the engine's own values."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from jupyter_containers.commands.render import objects
from jupyter_containers.commands.render.objects import container_html, image_html


def container(**values: Any) -> Any:
    usual = {
        "name": "web",
        "short_id": "0123456789ab",
        "image": "nginx <1>",
        "status_text": "Up 2 seconds",
        "ports": ["127.0.0.1:8000->80/tcp", "443/tcp"],
    }
    return SimpleNamespace(**{**usual, **values})


def test_a_container_is_a_line_with_its_ports(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "proxy_base", lambda: "")
    shown = container_html(container())
    assert "<b>web</b>" in shown
    assert "nginx &lt;1&gt;" in shown
    assert "127.0.0.1:8000-&gt;80/tcp" in shown
    assert "<a " not in shown


def test_ports_are_links_where_the_server_has_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(objects, "proxy_base", lambda: "/user/me/")
    shown = container_html(container())
    assert shown.count("<a ") == 1
    assert 'href="/user/me/proxy/8000/"' in shown


def test_an_image_is_a_line_with_all_its_names() -> None:
    image: Any = SimpleNamespace(
        name="app:1",
        names=("app:1", "app:<b>"),
        short_id="0123456789ab",
        size=5_000_000,
        os="linux",
        architecture="amd64",
    )
    shown = image_html(image)
    for text in ("<b>app:1</b>", "app:&lt;b&gt;", "5MB", "linux/amd64"):
        assert text in shown
