"""Decoding of JSON from outside, and the errors it can raise."""

from __future__ import annotations

import threading
from typing import Any, TypeVar

import msgspec

from jupyter_containers.errors import InvalidArgumentError

# Malformed, of another shape, not UTF-8, nested too deeply, a number out of range.
DECODE_ERRORS = (msgspec.MsgspecError, ValueError, RecursionError, OverflowError)
# An empty one takes 20 times as much memory as it does in the document.
_MOST_CONTAINERS = 200_000
_PREPARING = threading.Lock()
_PREPARED: set[type] = set()

T = TypeVar("T")


def decode_json(data: bytes) -> Any:
    """Return the decoded document; raise one of :data:`DECODE_ERRORS`.

    A document with more than 200,000 lists and objects is refused before it takes memory.
    """
    if data.count(b"[") + data.count(b"{") > _MOST_CONTAINERS:
        raise ValueError(f"more than {_MOST_CONTAINERS} lists and objects")
    return msgspec.json.decode(data)


def converted(value: object, kind: type[T]) -> T:
    """Return a decoded document as a value; raise one of :data:`DECODE_ERRORS`.

    msgspec (0.22) crashes the process where two threads use a class for the first time at once.
    """
    if kind not in _PREPARED:
        with _PREPARING:
            msgspec.json.Decoder(kind)
            _PREPARED.add(kind)
    return msgspec.convert(value, kind)


def convert_message(data: object, kind: Any) -> Any:
    """Convert a page's message to a value; raise :class:`InvalidArgumentError` if invalid.

    A lone surrogate is text in a browser, but neither UTF-8 nor JSON.
    """
    try:
        value = msgspec.convert(data, kind)
        msgspec.json.encode(value)
    except (*DECODE_ERRORS, TypeError) as error:
        raise InvalidArgumentError(str(error)) from error
    return value
