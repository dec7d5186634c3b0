"""The JavaScript of the widgets, bundled into this package when it is built."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from jupyter_containers.errors import UnsupportedError

_STATIC = Path(__file__).with_name("static")


@cache
def bundle(name: str) -> str:
    """Return the module of one widget; raise :class:`UnsupportedError` if it was not built."""
    try:
        return (_STATIC / f"{name}.js").read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise UnsupportedError(
            f"the widget {name!r} was not built into this installation",
            capability="widgets",
            provided_by="scripts/setup in a clone (it needs Node), or the package's wheel",
        ) from error
