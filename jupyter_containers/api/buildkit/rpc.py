"""gRPC basics: status codes, errors with details, and the frames of messages.

A frame is a byte (1: compressed, which is never requested and is refused), the length in four
bytes, and the message.
"""

from __future__ import annotations

import base64
import binascii
import struct
from collections.abc import Mapping, Sequence
from urllib.parse import quote, unquote

from jupyter_containers.api.buildkit.messages import Detail, Status
from jupyter_containers.api.buildkit.wire import MessageError, decode, encode
from jupyter_containers.errors import ContainersError

OK, CANCELLED, UNKNOWN, INVALID_ARGUMENT, NOT_FOUND = 0, 1, 2, 3, 5
RESOURCE_EXHAUSTED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE = 8, 12, 13, 14
MOST_MESSAGE_BYTES = 16 << 20
_HEAD = struct.Struct(">BI")
_FRAME_HEAD, _MOST_FRAME = 9, 1 << 14
_MOST_TEXT = 4096  # for an error in a header


class RpcError(ContainersError):
    """A call that ended with a code other than 0."""

    def __init__(self, code: int, message: str, details: Sequence[Detail] = ()) -> None:
        super().__init__(message)
        self.code, self.more = code, tuple(details)


class GoneError(RpcError):
    """The peer has disconnected or cancelled the call."""

    def __init__(self, message: str = "the client is gone") -> None:
        super().__init__(CANCELLED, message)


def framed(message: bytes) -> bytes:
    """Return a message in its frame."""
    return _HEAD.pack(0, len(message)) + message


class FrameSizes:
    """Checks the sizes of HTTP/2 frames (RFC 9113, section 4.1) in a stream of bytes.

    The library reads a whole frame before it refuses it: up to 16 MiB on each connection.
    """

    def __init__(self, before: int) -> None:
        self._left = before
        self._head = bytearray()

    def check(self, data: bytes) -> None:
        """Raise :class:`RpcError` for a frame above the limit."""
        at = 0
        while at < len(data):
            if self._left:
                step = min(self._left, len(data) - at)
                self._left -= step
                at += step
                continue
            missing = _FRAME_HEAD - len(self._head)
            self._head += data[at : at + missing]
            at += missing
            if len(self._head) == _FRAME_HEAD:
                self._left = int.from_bytes(self._head[:3], "big")
                self._head.clear()
                if self._left > _MOST_FRAME:
                    raise RpcError(RESOURCE_EXHAUSTED, "a frame is too large")


class Frames:
    """The messages in a stream of bytes."""

    def __init__(self) -> None:
        self._held = bytearray()

    def feed(self, data: bytes) -> None:
        """Add bytes that were received."""
        self._held += data

    def pop(self) -> bytes | None:
        """Return the next complete message; raise :class:`RpcError` for an invalid one."""
        if len(self._held) < _HEAD.size:
            return None
        compressed, length = _HEAD.unpack_from(self._held)
        if compressed:
            raise RpcError(UNIMPLEMENTED, "compressed messages are not read here")
        if length > MOST_MESSAGE_BYTES:
            raise RpcError(
                RESOURCE_EXHAUSTED, f"a message of {length} bytes is over {MOST_MESSAGE_BYTES}"
            )
        end = _HEAD.size + length
        if len(self._held) < end:
            return None
        message = bytes(memoryview(self._held)[_HEAD.size : end])
        del self._held[:end]
        return message

    @property
    def whole(self) -> bool:
        """True if no partial message is left."""
        return not self._held


def trailers(error: RpcError | None) -> list[tuple[str, str]]:
    """Return the headers that end a call."""
    if error is None:
        return [("grpc-status", "0")]
    text = error.message[:_MOST_TEXT]
    found = [
        ("grpc-status", str(error.code)),
        ("grpc-message", quote(text, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")),
    ]
    if error.more:
        status = Status(code=error.code, message=text, details=list(error.more))
        data = base64.b64encode(encode(status)).decode().rstrip("=")
        found.append(("grpc-status-details-bin", data))
    return found


def check_trailers(headers: Mapping[str, str]) -> None:
    """Raise the error in the headers that end a call."""
    text = headers.get("grpc-status", "")
    code = int(text) if text.isascii() and text.isdigit() and len(text) < 4 else UNKNOWN
    if code == OK:
        return
    details: list[Detail] = []
    data = headers.get("grpc-status-details-bin", "")
    try:
        status = decode(Status, base64.b64decode(data + "=" * (-len(data) % 4)))
        details = status.details
    except (MessageError, binascii.Error):
        pass  # the code and the text remain
    message = unquote(headers.get("grpc-message", ""), errors="replace")
    raise RpcError(code, message or f"gRPC status {code}", details)
