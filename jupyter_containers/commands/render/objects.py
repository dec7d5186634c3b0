"""The HTML of the engine's own values: a container, an image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_containers.commands.render.links import Link, linked, proxy_base
from jupyter_containers.commands.render.quantities import human_size
from jupyter_containers.lazy_modules import html

if TYPE_CHECKING:
    from jupyter_containers.engine import Container, Image

_LINE = (
    "color:var(--jp-content-font-color1,inherit);font-size:var(--jp-content-font-size1,14px);"
    "overflow-wrap:anywhere"
)
_REST = "opacity:.75"
_CODE = "font-family:var(--jp-code-font-family,monospace);font-size:.93em;background:none"


def container_html(container: Container) -> str:
    """Return a container as one line; its ports are links if the notebook server has a proxy."""
    base = proxy_base() if container.ports else ""
    ports = [_port(text, base) for text in container.ports]
    rest = [html.escape(container.image), html.escape(container.status_text), *ports]
    return _line(container.name, container.short_id, rest)


def image_html(image: Image) -> str:
    """Return an image as one line: its names, ID, size and platform."""
    more = [html.escape(name) for name in image.names[1:]]
    platform = f"{image.os}/{image.architecture}"
    return _line(image.name, image.short_id, [*more, human_size(image.size), platform])


def _port(text: str, base: str) -> str:
    link = linked(text, base)
    return link._repr_html_() if isinstance(link, Link) else html.escape(text)


def _line(name: str, identity: str, rest: list[str]) -> str:
    words = "".join(f' <span style="{_REST}">·</span> {item}' for item in rest)
    code = f'<code style="{_CODE}">{identity}</code>'
    return f'<div style="{_LINE}"><b>{html.escape(name)}</b> {code}{words}</div>'
