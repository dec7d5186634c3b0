"""SVG drawings of networks and applications: colours of the page's theme, and text."""

from __future__ import annotations

from jupyter_containers.lazy_modules import html
from jupyter_containers.printable import printable

TEXT = "var(--jp-content-font-color1,currentColor)"
DIM = "var(--jp-content-font-color2,currentColor)"
LINE = "var(--jp-border-color1,#8888)"
FILL = "var(--jp-layout-color2,#8881)"
CODE = "var(--jp-code-font-family,monospace)"


def words(
    x: float,
    y: float,
    text: str,
    *,
    size: float = 13,
    bold: bool = False,
    code: bool = False,
    colour: str = TEXT,
    anchor: str = "start",
) -> str:
    """Return text at a position as an element; ``text`` may come from anywhere."""
    if not text:
        return ""
    font = f";font-family:{CODE}" if code else ""
    weight = ";font-weight:600" if bold else ""
    return (
        f'<text x="{x:g}" y="{y:g}" text-anchor="{anchor}" xml:space="preserve" '
        f'style="font-size:{size:g}px;fill:{colour}{weight}{font}">{safe(text)}</text>'
    )


def safe(text: str) -> str:
    """Return a text for an element or an attribute."""
    return html.escape(printable(text), quote=True)


def short(text: str, most: int) -> str:
    """Return a text of at most ``most`` characters."""
    return text if len(text) <= most else text[: most - 1] + "…"
