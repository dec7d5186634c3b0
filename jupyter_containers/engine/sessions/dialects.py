"""How the engine and the process of a session write to each other (docs: "Session protocol").

*Framed*: both directions are frames, as in :mod:`.frames`; the process reads while a cell runs, so
an interrupt is a frame.  *Marked*: the process writes its streams directly, and messages between
them after a mark that no other text has; it cannot read while a cell runs, so an interrupt is a
signal.  What the engine writes is in the syntax of the language.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Protocol

from jupyter_containers.engine.containers.streams import StreamName
from jupyter_containers.engine.sessions.frames import (
    MOST_TEXT_BYTES,
    Frame,
    FrameReader,
    encoded,
)
from jupyter_containers.errors import SessionProtocolError

Write = Callable[[str, bytes, Mapping[str, Any]], bytes]
"""Encodes a request (its type, body and fields) in the syntax of a language."""

WORDS = "words"
"""The type of a frame with text that belongs to no cell."""
_START = b"\x1e"
_REQUESTS = ("run", "push", "pull", "complete", "inspect")
# The fields that the body of a message stands for, where a language cannot write JSON.
_TEXT_OF_BODY = {"input_request": "prompt", "inspection": "text"}


class Dialect(Protocol):
    """The form of the messages of one process."""

    def encode(self, kind: str, body: bytes, fields: Mapping[str, Any]) -> bytes:
        """Return a message to the process."""

    def feed(self, stream: StreamName, data: bytes) -> Iterator[Frame]:
        """Yield the messages in what the process wrote; raise :class:`SessionProtocolError`."""

    @property
    def interrupt(self) -> tuple[str, ...]:
        """The command that interrupts the cell; empty if that is a message, or nothing runs."""


class Framed:
    """Frames in both directions."""

    interrupt = ()

    def __init__(self, limit: int) -> None:
        self._reader = FrameReader(limit)

    def encode(self, kind: str, body: bytes, fields: Mapping[str, Any]) -> bytes:
        """Return a frame."""
        return encoded(kind, body, fields)

    def feed(self, stream: StreamName, data: bytes) -> Iterator[Frame]:
        """Yield the frames on standard output; standard error explains the end of the process."""
        return self._reader.feed(data) if stream == "stdout" else iter((Frame(WORDS, {}, data),))


class Marked:
    """Streams with messages between them; ``mark`` is in the program that was sent.

    A message is the mark, a JSON object and a newline.  With ``"body": true`` its body is
    everything up to the next mark.  ``done`` counts once ``sync`` came on standard error too.
    """

    def __init__(self, limit: int, write: Write) -> None:
        self.mark = secrets.token_hex(12)
        self._limit, self._encode = limit, write
        self._streams = {
            "stdout": _MarkedStream(_START + self.mark.encode(), limit),
            "stderr": _MarkedStream(_START + self.mark.encode(), limit),
        }
        self._number = self._cells = self._process = 0
        self._done: Frame | None = None
        self._synced = 0
        self._ready = self._busy = False

    def encode(self, kind: str, body: bytes, fields: Mapping[str, Any]) -> bytes:
        """Return a message in the language's syntax; requests are numbered."""
        if kind in _REQUESTS:
            self._number += 1
            self._busy, self._done = True, None
        self._cells += kind == "run"
        numbers = {"number": self._number, "count": self._cells}
        return self._encode(kind, body, {**fields, **numbers})

    @property
    def interrupt(self) -> tuple[str, ...]:
        """The command that interrupts the cell, its children included."""
        if not self._busy or self._process < 2:  # the first process is not the agent
            return ()
        both = f"kill -INT -{self._process} 2>/dev/null || kill -INT {self._process}"
        return ("/bin/sh", "-c", both)

    def feed(self, stream: StreamName, data: bytes) -> Iterator[Frame]:
        """Yield text as frames of the type ``stream``, and the messages."""
        for item in self._streams[stream].feed(data):
            if isinstance(item, bytes):
                yield Frame("stream" if self._ready else WORDS, {"name": stream}, item)
                continue
            yield from self._message(item)

    def _message(self, frame: Frame) -> Iterator[Frame]:
        if frame.type == "ready":
            self._ready, self._process = True, frame.get("pid", 0)
            yield frame
        elif frame.type in ("sync", "done"):
            if frame.get("number", 0) != self._number:
                return  # of a request that was interrupted
            if frame.type == "done":
                self._done = frame
            else:
                self._synced = self._number
            if self._done is not None and self._synced == self._number and self._busy:
                self._busy = False
                yield from _ended(self._done)
        elif frame.type == "value" and frame.get("file", "").endswith(".list"):
            items = frame.body.decode("utf-8", "replace").split("\0")[:-1]
            yield Frame("value", {"file": "value.json"}, json.dumps(items).encode())
        elif frame.type == "completions" and frame.body:
            matches = frame.body.decode("utf-8", "replace").split("\n")
            yield Frame(frame.type, {**frame.fields, "matches": sorted({*matches} - {""})})
        elif (name := _TEXT_OF_BODY.get(frame.type)) and frame.body:
            text = frame.body.decode("utf-8", "replace")
            yield Frame(frame.type, {**frame.fields, name: text})
        elif frame.type != "end":
            yield frame


def _ended(done: Frame) -> Iterator[Frame]:
    """Yield the end of a request, before it the error of an exit status that is not 0."""
    status = done.get("status", 0)
    if status == 130:  # as the shells have it: 128 and the number of the signal
        yield Frame("error", {"name": "Interrupted", "value": "the cell was interrupted"})
    elif status:
        yield Frame("error", {"name": "ExitStatus", "value": f"the cell ended with {status}"})
    yield done


class _MarkedStream:
    """Splits one stream into text and messages."""

    def __init__(self, mark: bytes, limit: int) -> None:
        self._mark, self._limit = mark, limit
        self._buffer = bytearray()
        self._searched = 0  # no mark begins before it, but one whose message is incomplete
        self._open: dict[str, Any] | None = None  # the message whose body is being read

    def feed(self, data: bytes) -> Iterator[bytes | Frame]:
        """Yield the pieces of text and the messages that are complete."""
        self._buffer += data
        while True:
            start = self._buffer.find(self._mark, self._searched)
            if start < 0:
                yield from self._unmarked()
                return
            if self._open is not None:
                fields, self._open = self._open, None
                body = bytes(self._buffer[:start])
                del self._buffer[:start]
                yield Frame(fields.pop("type"), fields, body)
            else:
                yield from self._text(start)
            self._searched = 0
            end = self._buffer.find(b"\n", len(self._mark))
            if end < 0:
                if len(self._buffer) > MOST_TEXT_BYTES:
                    raise SessionProtocolError("the session sent a message without an end")
                return
            fields = _fields(bytes(self._buffer[len(self._mark) : end]))
            del self._buffer[: end + 1]
            if fields.pop("body", False):
                self._open = fields
            else:
                yield Frame(fields.pop("type"), fields)

    def _unmarked(self) -> Iterator[bytes]:
        """Yield the text before what may be the beginning of a mark; bound a body."""
        if self._open is None:
            yield from self._text(_safe(self._buffer, self._mark))
        elif len(self._buffer) > self._limit:
            raise SessionProtocolError(
                f"the session sent a value of more than {self._limit} bytes",
                hint="write large values to a mounted folder, or raise the setting "
                "result_max_bytes",
            )
        self._searched = max(0, len(self._buffer) - len(self._mark))

    def _text(self, size: int) -> Iterator[bytes]:
        if size:
            yield bytes(self._buffer[:size])
            del self._buffer[:size]


def _safe(buffer: bytearray, mark: bytes) -> int:
    """Return the length of the part that cannot be the beginning of a mark."""
    start = buffer.rfind(mark[:1], max(0, len(buffer) - len(mark) + 1))
    return start if start >= 0 and mark.startswith(buffer[start:]) else len(buffer)


def _fields(text: bytes) -> dict[str, Any]:
    try:
        fields = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise SessionProtocolError("the session sent a message that is no JSON") from error
    if not isinstance(fields, dict) or not isinstance(fields.get("type"), str):
        raise SessionProtocolError("the session sent a message without a type")
    return fields
