"""What becomes of foreign JSON, and what may go wrong with it."""

from __future__ import annotations

from typing import Any

import msgspec

# Malformed, of another form, not UTF-8, nested too deeply, a number that does not fit.
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
# Empty ones take 20 times as much memory as they do in the document.
_MOST_CONTAINERS = 200_000


def decode_json(data: bytes) -> Any:
    """Return the value of a document; raise one of :data:`DECODE_ERRORS`.

    More than 200,000 lists and objects are refused before they take memory.
    """
    if data.count(b"[") + data.count(b"{") > _MOST_CONTAINERS:
        raise ValueError(f"more than {_MOST_CONTAINERS} lists and objects")
    return msgspec.json.decode(data)
