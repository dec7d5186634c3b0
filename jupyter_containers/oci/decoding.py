"""What becomes of foreign JSON, and what may go wrong with it."""

from __future__ import annotations

from typing import Any

import msgspec

from jupyter_containers.errors import InvalidArgumentError

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


def convert_message(data: object, kind: Any) -> Any:
    """Return what a page sent as a value; raise :class:`InvalidArgumentError` for anything else.

    Half of a UTF-16 pair is text in a browser, but neither UTF-8 nor JSON's.
    """
    try:
        value = msgspec.convert(data, kind)
        msgspec.json.encode(value)
    except (*DECODE_ERRORS, TypeError) as error:
        raise InvalidArgumentError(str(error)) from error
    return value
