"""Streams with a worker thread: decompression ahead of a reader, compression behind a writer.

Chunks are about 1 MiB and queues hold a few of them, so memory use stays small for any size of
layer.  Hashing, inflating and deflating release the interpreter lock: the stages run in parallel.
An error in a thread is raised in the caller at its next step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import BinaryIO

from jupyter_containers.errors import ArchiveError, ContainersError, VerificationError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import hashlib, queue
from jupyter_containers.store.compression import CountingReader, Limits, decompressed
from jupyter_containers.store.faults import storage_error

CHUNK = 1024 * 1024
_DEPTH = 4
_POLL_SECONDS = 0.05
_JOIN_SECONDS = 2.0


class TarSource:
    """The uncompressed bytes of an archive, inflated and hashed by a thread that reads ahead.

    Use as a context manager; ``diff_id`` is valid after :meth:`next_chunk` returned ``b""``.
    """

    def __init__(
        self, raw: BinaryIO, limits: Limits, cancel: CancelToken, *, label: str = "layer"
    ) -> None:
        self._raw = CountingReader(raw)
        self._limits = limits
        self._cancel = cancel
        self._label = label
        self._queue: queue.Queue[bytes | BaseException] = queue.Queue(_DEPTH)
        self._stop = threading.Event()
        self._hash = hashlib.sha256()
        self._ended = False
        self._thread = threading.Thread(target=self._run, name="inflate", daemon=True)
        self.size = 0

    @property
    def consumed(self) -> int:
        """The number of compressed bytes read so far."""
        return self._raw.count

    @property
    def diff_id(self) -> str:
        """The digest of all uncompressed bytes."""
        return "sha256:" + self._hash.hexdigest()

    def __enter__(self) -> TarSource:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        # A read from a pipe cannot be interrupted; the daemon thread then ends with its source.
        self._thread.join(_JOIN_SECONDS)

    def next_chunk(self) -> bytes:
        """Return the next bytes, ``b""`` at the end.

        Raises :class:`ArchiveError`, or :class:`OperationCancelledError` within 50 ms.
        """
        while not self._ended:
            self._cancel.check()
            try:
                item = self._queue.get(timeout=_POLL_SECONDS)
            except queue.Empty:
                continue
            if isinstance(item, BaseException):
                self._ended = True
                raise item
            self._ended = not item
            return item
        return b""

    def _run(self) -> None:
        try:
            self._inflate()
        except ContainersError as error:
            self._put(error)
        except OSError as error:
            self._put(storage_error(f"read {self._label}", error))
        except BaseException as error:  # noqa: BLE001  # carried over to the reading thread
            self._put(error)

    def _inflate(self) -> None:
        with decompressed(self._raw, self._label) as stream:
            while not self._stop.is_set():
                chunk = stream.read(CHUNK)
                self.size += len(chunk)
                self._check_limits()
                self._hash.update(chunk)
                self._put(chunk)
                if not chunk:
                    return

    def _check_limits(self) -> None:
        limits = self._limits
        if self.size > limits.bytes:
            raise ArchiveError(f"{self._label}: more than {limits.bytes} bytes when uncompressed")
        if self.size > limits.ratio_floor and self.size > limits.ratio * max(self._raw.count, 1):
            raise ArchiveError(
                f"{self._label}: expands more than {limits.ratio} times",
                hint="this looks like a decompression bomb",
            )

    def _put(self, item: bytes | BaseException) -> None:
        while not self._stop.is_set():
            try:
                self._queue.put(item, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return


class Stage:
    """A thread that passes each chunk to ``consume``, in order."""

    def __init__(self, name: str, consume: Callable[[bytes], object]) -> None:
        self._consume = consume
        self._queue: queue.Queue[bytes | None] = queue.Queue(_DEPTH)
        self._error: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def put(self, chunk: bytes) -> None:
        """Queue a chunk; raise the error of an earlier chunk."""
        while True:
            if self._error is not None:
                raise self._error
            try:
                self._queue.put(chunk, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            return

    def finish(self) -> None:
        """Wait until all chunks are consumed; raise the error of any of them."""
        self._end()
        if self._error is not None:
            raise self._error

    def abandon(self) -> None:
        """End the thread and drop unconsumed chunks; safe to call twice."""
        self._error = self._error or VerificationError("abandoned")
        self._end()

    def _end(self) -> None:
        while self._thread.is_alive():
            try:
                self._queue.put(None, timeout=_POLL_SECONDS)
            except queue.Full:
                continue
            break
        self._thread.join()

    def _run(self) -> None:
        while (chunk := self._queue.get()) is not None:
            if self._error is None:
                try:
                    self._consume(chunk)
                except BaseException as error:  # noqa: BLE001  # raised again by put and finish
                    self._error = error
