"""R's side of the protocol: requests as R source, data as R literals."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any

_INTEGERS = 2**31


def write(kind: str, body: bytes, fields: Mapping[str, Any]) -> bytes:
    """Return a request: a line with two lengths, R source that makes a list, and the body."""
    if kind == "interrupt":
        return b""
    message = {**fields, "type": kind}
    if kind == "push":
        file = str(message.pop("file"))
        message["series"] = message.pop("kind") == "series"
        message["form"] = {"csv": "table", "json": "value", "txt": "text"}.get(
            file.rpartition(".")[2], "bytes"
        )
        if message["form"] == "value":
            message["value"], body = json.loads(body), b""
    source = literal(message).encode("utf-8", "replace")
    return b"%d %d\n" % (len(source), len(body)) + source + body


def literal(value: Any) -> str:
    """Return a JSON value as R source: lists of one kind of scalar are vectors, null there NA."""
    if isinstance(value, Mapping):
        names = ", ".join(_text(str(name)) for name in value)
        items = ", ".join(map(literal, value.values()))
        return (
            f"structure(list({items}), names = c({names}))"
            if value
            else "structure(list(), names = character())"
        )
    if isinstance(value, (list, tuple)):
        kinds = {bool if item is True or item is False else type(item) for item in value}
        kinds.discard(type(None))
        one_kind = kinds in ({bool}, {str}) or kinds <= {int, float}
        if value and kinds and one_kind:
            return f"c({', '.join('NA' if item is None else _scalar(item) for item in value)})"
        return f"list({', '.join(map(literal, value))})"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, int):
        return f"{value}L" if abs(value) < _INTEGERS else f"{value:.0f}."
    if isinstance(value, float):
        if math.isnan(value):
            return "NaN"
        return repr(value) if math.isfinite(value) else ("Inf" if value > 0 else "-Inf")
    return _text(str(value))


def _text(value: str) -> str:
    """Return an R string; NUL has no place in one."""
    value = value.replace("\0", "").replace("\\", "\\\\").replace('"', '\\"')
    return f'"{value}"'
