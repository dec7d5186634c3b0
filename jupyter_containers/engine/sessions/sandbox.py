"""Restrictive defaults for untrusted code, and displays that cannot act on the notebook."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_containers.lazy_modules import html

CLOSED: Mapping[str, Any] = {
    "network": "none",
    "read_only": True,
    "tmpfs": ["/tmp:size=256m,mode=1777"],
    "workdir": "/tmp",
    "env": ["HOME=/tmp"],
    "cap_drop": ["ALL"],
    "security_opt": ["no-new-privileges"],
    "memory": "512m",
    "memory_swap": "512m",
    "cpus": 1,
    "pids_limit": 128,
}

# Types that a notebook shows without running code.
_INERT = frozenset(
    {
        "text/plain",
        "text/markdown",
        "text/latex",
        "image/png",
        "image/jpeg",
        "image/gif",
        "image/svg+xml",
        "application/json",
    }
)
_FRAME_HEIGHT = 300


def contained(bundle: Mapping[str, Any]) -> dict[str, Any]:
    """Return a MIME bundle that cannot run in the page.

    Scripts and widget types are removed.  HTML becomes a frame with a separate origin and no
    scripts, forms or links to the page around it (HTML, "The iframe element", ``sandbox``).
    """
    shown = {mime: value for mime, value in bundle.items() if mime in _INERT}
    page = bundle.get("text/html")
    if isinstance(page, str):
        policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; font-src data:"
        head = f'<meta http-equiv="Content-Security-Policy" content="{policy}">'
        shown["text/html"] = (
            f'<iframe sandbox="" srcdoc="{html.escape(head + page)}" '
            f'style="width:100%;height:{_FRAME_HEIGHT}px;border:0;background:#fff"></iframe>'
        )
    return shown
