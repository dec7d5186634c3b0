"""Widgets without a browser: their messages are kept, and a view's messages passed to them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from jupyter_containers.widgets.gallery import Gallery


class Page:
    """A view's side of a widget's messages."""

    def __init__(self, widget: Any, view: str = "v1") -> None:
        self.widget, self.view = widget, view
        self.got: list[tuple[dict[str, Any], list[bytes]]] = []
        widget.send = lambda content, buffers=None: self.got.append(
            (content, [bytes(item) for item in buffers or ()])
        )

    def say(self, kind: str, *buffers: bytes, **fields: Any) -> None:
        message = {"kind": kind, "view": self.view, **fields}
        self.widget._receive(self.widget, message, [memoryview(item) for item in buffers])

    def kinds(self) -> list[str]:
        return [content["kind"] for content, _ in self.got]

    def last(self, kind: str) -> dict[str, Any]:
        return [content for content, _ in self.got if content["kind"] == kind][-1]

    def data(self, kind: str) -> bytes:
        return b"".join(b"".join(bufs) for content, bufs in self.got if content["kind"] == kind)


@pytest.fixture
def gallery(monkeypatch: pytest.MonkeyPatch) -> Iterator[Gallery]:
    # The bundles are built by scripts/setup; their content does not matter here.
    monkeypatch.setattr("jupyter_containers.widgets.live.bundle", lambda name: f"// {name}")
    gallery = Gallery()
    yield gallery
    gallery.close()
