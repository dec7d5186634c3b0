"""The messages between a build's client and its builder pod, over the streams of an ``exec``.

A frame is 4 bytes of length, one of its kind (``J`` for a JSON message, ``D`` for data), and the
rest.  In order: :class:`Begin` → :class:`Wanted` → the data of each wanted file, ended by an empty
frame → :class:`Happened`, any number of them → :class:`Done` or :class:`Failed`.

What a Dockerfile runs has the rights of root in the builder pod: the client takes nothing from
there but values of these types.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from typing import Any, BinaryIO, TypeVar

import msgspec

from jupyter_containers import errors, events
from jupyter_containers.errors import (
    BuildError,
    ContainersError,
    DockerfileSyntaxError,
    SourceLocation,
    StepFailedError,
)
from jupyter_containers.events import Event

T = TypeVar("T", bound=msgspec.Struct)
JSON, DATA = b"J", b"D"
MOST = 64 << 20
CHUNK = 1 << 18
_EVENTS: dict[str, type[Event]] = {
    kind.__name__: kind
    for kind in (events.TaskStarted, events.TaskProgress, events.TaskOutput, events.TaskFinished)
}


class SentFile(msgspec.Struct, frozen=True, array_like=True):
    """An entry of the context; ``digest`` covers what a copy keeps, except its times."""

    path: str
    mode: int
    mtime_ns: int
    digest: str
    target: str = ""


class Begin(msgspec.Struct, frozen=True, tag=True):
    """A build: ``name`` is the context's, ``push`` are the names of the image in a registry."""

    name: str
    entries: tuple[SentFile, ...]
    flags: dict[str, Any]
    push: tuple[str, ...]
    secrets: dict[str, bytes] = {}
    files: dict[str, bytes] = {}
    credentials: dict[str, tuple[str, str, str]] = {}


class Wanted(msgspec.Struct, frozen=True, tag=True):
    """The numbers of the files whose contents the builder lacks."""

    numbers: tuple[int, ...]


class Happened(msgspec.Struct, frozen=True, tag=True):
    """An event: the name of its class, and its fields."""

    kind: str
    fields: dict[str, Any]

    @classmethod
    def of(cls, event: Event) -> Happened:
        """Return the message for an event."""
        return cls(type(event).__name__, msgspec.to_builtins(event))

    def event(self) -> Event:
        """Return the event; raise :class:`msgspec.ValidationError` for another value."""
        kind = _EVENTS.get(self.kind)
        if kind is None:
            raise msgspec.ValidationError(f"no such event: {self.kind[:40]}")
        found: Event = msgspec.convert(self.fields, type=kind)
        return found


class Done(msgspec.Struct, frozen=True, tag=True):
    """The image: the record of the builder's store, and its digest in the registry."""

    record: dict[str, Any]
    digest: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """An error of the build."""

    kind: str
    message: str
    hint: str = ""
    location: dict[str, Any] | None = None
    instruction: str = ""
    exit_code: int = 0
    log_tail: tuple[str, ...] = ()
    command: tuple[str, ...] = ()

    @classmethod
    def of(cls, error: ContainersError) -> Failed:
        """Return the message for an error."""
        location = getattr(error, "location", None)
        return cls(
            type(error).__name__,
            error.message,
            error.hint,
            dataclasses.asdict(location) if location is not None else None,
            getattr(error, "instruction", ""),
            getattr(error, "exit_code", 0),
            tuple(getattr(error, "log_tail", ())),
            tuple(getattr(error, "command", ())),
        )

    def error(self) -> ContainersError:
        """Return the error; one of an unknown class becomes a :class:`BuildError`."""
        location = (
            None if self.location is None else msgspec.convert(self.location, type=SourceLocation)
        )
        if self.kind == "StepFailedError":
            return StepFailedError(
                self.message,
                exit_code=self.exit_code,
                log_tail=self.log_tail,
                command=self.command,
                location=location,
                instruction=self.instruction,
                hint=self.hint,
            )
        if self.kind == "DockerfileSyntaxError" and location is not None:
            return DockerfileSyntaxError(self.message, location=location, hint=self.hint)
        kind: Any = getattr(errors, self.kind, None)
        if isinstance(kind, type) and issubclass(kind, ContainersError):
            with suppress(TypeError):  # it needs more than a message
                found: ContainersError = kind(self.message, hint=self.hint)
                return found
        return BuildError(
            self.message, location=location, instruction=self.instruction, hint=self.hint
        )


_encoder = msgspec.json.Encoder()


def message(value: msgspec.Struct) -> bytes:
    """Return the frame of a message."""
    return frame(JSON, _encoder.encode(value))


def frame(kind: bytes, data: bytes) -> bytes:
    """Return a frame."""
    return len(data).to_bytes(4) + kind + data


class Frames:
    """The frames of a stream; ``read(size)`` returns at most that many bytes, none at its end."""

    def __init__(self, read: Callable[[int], bytes]) -> None:
        self._read = read

    def _exactly(self, size: int) -> bytes:
        found = bytearray()
        while len(found) < size:
            piece = self._read(size - len(found))
            if not piece:
                raise EOFError("the other end is gone")
            found += piece
        return bytes(found)

    def next(self) -> tuple[bytes, bytes]:
        """Return the next frame; raise :class:`EOFError` at the end of the stream."""
        head = self._exactly(5)
        size = int.from_bytes(head[:4])
        if size > MOST:
            raise EOFError("a frame is too large")
        return head[4:], self._exactly(size)

    def message(self, kind: Any) -> Any:
        """Return the next message, of one of the classes of ``kind``."""
        mark, data = self.next()
        if mark != JSON:
            raise EOFError("data instead of a message")
        return msgspec.json.decode(data, type=kind)

    def data_into(self, file: BinaryIO) -> None:
        """Write data to a file, up to the empty frame that ends it."""
        while True:
            mark, data = self.next()
            if mark != DATA:
                raise EOFError("a message instead of data")
            if not data:
                return
            file.write(data)
