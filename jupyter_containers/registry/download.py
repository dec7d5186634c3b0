"""Downloads a blob in pieces, and resumes after a broken connection.

The reader counts bytes but does not verify them: the content store hashes the bytes it writes, and
must do so in any case.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import TracebackType

from jupyter_containers.errors import RegistryError, SizeMismatchError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import Descriptor
from jupyter_containers.registry.transport import ConnectionFailedError, Response

PIECE_BYTES = 1024 * 1024
_LEAST_BYTES = 256 * 1024
# Attempts that bring nothing at all; each piece that arrives resets the count.
FRUITLESS_ATTEMPTS = 4


class BlobReader:
    """The bytes of a blob from ``offset`` on, to be iterated once, in a ``with`` block.

    ``offset`` is the actual start: 0 if the registry ignored the requested range. Pieces are 256
    KiB or more, except the last.  At most ``size - offset + 1`` bytes are yielded, so that a blob
    that is too long is noticed.
    """

    def __init__(
        self,
        descriptor: Descriptor,
        offset: int,
        open_at: Callable[[int], Response],
        *,
        cancel: CancelToken,
        pause: float = 0.3,
    ) -> None:
        self._descriptor = descriptor
        self._open_at = open_at
        self._cancel = cancel
        self._pause = pause
        self._response: Response | None = None
        if not 0 <= offset <= descriptor.size:
            offset = 0
        self.offset = offset
        if offset == 0 or offset < descriptor.size:
            self._response = open_at(offset)
            self.offset = start_of(self._response, descriptor)
            if self.offset not in (0, offset):
                self.close()
                raise _misplaced(descriptor)

    def __enter__(self) -> BlobReader:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Release the connection; the rest stays unread."""
        response, self._response = self._response, None
        if response is not None:
            response.close()

    def __iter__(self) -> Iterator[bytes]:
        position, fruitless = self.offset, 0
        total = self._descriptor.size
        finished = self._response is None
        while not finished:
            failure: RegistryError | None = None
            try:
                if self._response is None:
                    self._resume(position, fruitless)
                for piece in self._pieces(total + 1 - position):
                    position += len(piece)
                    fruitless = 0
                    yield piece
            except ConnectionFailedError as error:
                failure = error
            finished = position >= total
            if finished:
                return
            self.close()
            fruitless += 1
            if failure is None and fruitless > 1:
                raise self._ended_early(position)
            if failure is not None and fruitless >= FRUITLESS_ATTEMPTS:
                raise failure

    def _pieces(self, limit: int) -> Iterator[bytes]:
        """Yield the rest of the present response, up to ``limit`` bytes, then end or raise."""
        assert self._response is not None
        gathered: list[bytes] = []
        size = 0
        try:
            while limit > 0:
                self._cancel.check()
                data = self._response.read(min(PIECE_BYTES, limit))
                if not data:
                    break
                limit -= len(data)
                size += len(data)
                gathered.append(data)
                if size >= _LEAST_BYTES:
                    piece = gathered[0] if len(gathered) == 1 else b"".join(gathered)
                    gathered, size = [], 0
                    yield piece
        except ConnectionFailedError:
            if gathered:
                yield b"".join(gathered)
            raise
        if gathered:
            yield b"".join(gathered)

    def _resume(self, position: int, attempt: int) -> None:
        if self._cancel.wait(self._pause * (attempt - 1)):
            self._cancel.check()
        self._response = self._open_at(position)
        start = start_of(self._response, self._descriptor)
        if start == position:
            return
        if start != 0:
            raise _misplaced(self._descriptor)
        # The registry started over: skip the bytes already received.
        while start < position:
            self._cancel.check()
            data = self._response.read(min(PIECE_BYTES, position - start))
            if not data:
                raise self._ended_early(start)
            start += len(data)

    def _ended_early(self, position: int) -> SizeMismatchError:
        return SizeMismatchError(
            f"blob {self._descriptor.digest} ended after {position} of "
            f"{self._descriptor.size} bytes"
        )


def start_of(response: Response, descriptor: Descriptor) -> int:
    """Return the position of the response's first byte; close the response if that is invalid.

    RFC 9110, section 14.4.  Raises :class:`SizeMismatchError` if the total size differs.
    """
    if response.status != 206:
        return 0
    found = re.fullmatch(
        r"\s*bytes\s+(\d{1,19})-(\d{1,19})/(\d{1,19}|\*)\s*",
        response.headers.get("Content-Range", "")[:200],
    )
    if not found:
        response.close()
        raise _misplaced(descriptor)
    if found[3] != "*" and int(found[3]) != descriptor.size:
        response.close()
        raise SizeMismatchError(
            f"blob {descriptor.digest} has {int(found[3])} bytes in the registry, "
            f"not {descriptor.size}"
        )
    return int(found[1])


def _misplaced(descriptor: Descriptor) -> RegistryError:
    return RegistryError(f"the registry sent another part of {descriptor.digest} than requested")
