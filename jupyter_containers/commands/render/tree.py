"""A description in Docker's schema as folding HTML, so that long ones fit on one screen.

Built from ``details`` only, so it folds in every viewer and needs no script.
"""

from __future__ import annotations

from typing import Any

from jupyter_containers.commands.render.table import NO_MATH
from jupyter_containers.lazy_modules import html, json
from jupyter_containers.printable import printable

_OPEN_FIELDS = 15  # lines of a value below the first level; larger ones are initially folded
_BOX = (
    "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);"
    "line-height:1.5;color:var(--jp-content-font-color1,inherit);overflow-wrap:anywhere"
)
_INNER = "padding-left:1.4em"
_DIM = "opacity:.75"


def html_tree(value: Any) -> str:
    """Return a JSON value as folding HTML with its first levels open."""
    return f'<div {NO_MATH} style="{_BOX}">{_node("", value, 0)}</div>'


def _node(name: str, value: Any, depth: int) -> str:
    label = f"<b>{_text(name)}</b>: " if name else ""
    if not isinstance(value, (dict, list)) or not value:
        return f'<div style="{_INNER if depth else ""}">{label}{_leaf(value)}</div>'
    if isinstance(value, dict):
        children = "".join(_node(str(key), item, depth + 1) for key, item in value.items())
    else:
        children = "".join(_node("", item, depth + 1) for item in value)
    is_open = " open" if not depth or (depth == 1 and len(value) <= _OPEN_FIELDS) else ""
    summary = f'{label}<span style="{_DIM}">{_gist(value)}</span>'
    return (
        f'<details{is_open} style="{"margin-left:1.4em" if depth else ""}">'
        f'<summary style="cursor:pointer;margin-left:-1em">{summary}</summary>{children}</details>'
    )


def _gist(value: dict[str, Any] | list[Any]) -> str:
    """Return a short summary of a folded value."""
    if isinstance(value, list):
        if all(isinstance(item, (str, int, float)) for item in value) and len(value) <= 8:
            return _text(", ".join(str(item) for item in value))
        return f"{len(value)} item{'s' if len(value) != 1 else ''}"
    for key in ("Name", "Id", "ID"):
        if isinstance(value.get(key), str) and value[key]:
            return _text(value[key])
    return f"{len(value)} field{'s' if len(value) != 1 else ''}"


def _leaf(value: Any) -> str:
    if isinstance(value, str):
        return _text(value) if value else f'<span style="{_DIM}">""</span>'
    return _text(json.dumps(value, default=str))


def _text(text: str) -> str:
    return html.escape(printable(text))
