"""Frames between the engine and the agent of a session, and their validation.

A frame is two big-endian 32-bit lengths, a JSON object with a ``type``, and a body of bytes.  The
code inside a container may forge any frame: lengths are bounded before anything is kept, and a
field of another type than expected is replaced by its default.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import Any, TypeVar

from jupyter_containers.errors import SessionProtocolError
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import json

_HEAD = struct.Struct(">II")
MOST_TEXT_BYTES = 64 << 20
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame: its type, its other fields, its body."""

    type: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    body: bytes = b""

    def get(self, name: str, default: T) -> T:
        """Return a field of the type of ``default``, or ``default``."""
        value = self.fields.get(name)
        return value if isinstance(value, type(default)) else default


def encoded(kind: str, body: bytes, fields: Mapping[str, Any]) -> bytes:
    """Return a frame as bytes."""
    text = json.dumps({**fields, "type": kind}).encode("utf-8", "surrogatepass")
    return _HEAD.pack(len(text), len(body)) + text + body


class FrameReader:
    """Parses the bytes of a pipe into frames; buffers one frame at most.

    ``limit`` is the largest body in bytes.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Frame]:
        """Yield the complete frames; raise :class:`SessionProtocolError`."""
        self._buffer += data
        while len(self._buffer) >= _HEAD.size:
            text, body = _HEAD.unpack_from(self._buffer)
            if text > MOST_TEXT_BYTES or body > self._limit:
                raise SessionProtocolError(
                    f"the session sent a frame of {text + body} bytes, and no more than "
                    f"{MOST_TEXT_BYTES + self._limit} are read",
                    hint="write large values to a mounted folder, or raise the setting "
                    "result_max_bytes",
                )
            end = _HEAD.size + text + body
            if len(self._buffer) < end:
                return
            frame = _frame(self._buffer, text, end)
            del self._buffer[:end]
            yield frame


def _frame(buffer: bytearray, text: int, end: int) -> Frame:
    middle = _HEAD.size + text
    try:
        fields = json.loads(bytes(buffer[_HEAD.size : middle]))
    except (ValueError, RecursionError) as error:
        raise SessionProtocolError("the session sent a frame that is no JSON") from error
    kind = fields.pop("type", None) if isinstance(fields, dict) else None
    if not isinstance(kind, str):
        raise SessionProtocolError("the session sent a frame without a type")
    return Frame(kind, fields, bytes(buffer[middle:end]))
