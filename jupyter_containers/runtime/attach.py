"""A container's live standard streams, through its monitor's socket.

Vocabulary: an *attachment* is one client of the monitor's ``attach`` socket (SOCK_SEQPACKET: one
packet is one byte naming the stream, 2 stdout or 3 stderr, and the data).  With a terminal all
output is stdout.

Lifecycle: connect after ``create`` and before ``start``, and no byte is lost;
:meth:`Attachment.pump` delivers until the container's streams end.  The log also holds every byte.
"""

from __future__ import annotations

import os
import select
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from jupyter_containers.errors import OCIRuntimeError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import socket
from jupyter_containers.runtime.keys import DetachedError, DetachKeys
from jupyter_containers.runtime.process import POLL_SECONDS
from jupyter_containers.runtime.pump import OutputSink, StreamName

_PACKET = 65536
_STDIN_CHUNK = 8192
_CONNECTED = select.POLLIN | select.POLLHUP


class Attachment:
    """One client of a monitor; close it, or use it in a ``with`` block."""

    def __init__(self, bundle: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        # A socket's path is limited to 107 bytes; through a descriptor any bundle's path fits.
        folder = os.open(bundle, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._socket.connect(f"/proc/self/fd/{folder}/attach")
        except OSError as error:
            self._socket.close()
            raise OCIRuntimeError(
                f"cannot attach: the container's monitor does not answer ({error.strerror})",
                hint="has the container ended? its log is kept",
            ) from error
        finally:
            os.close(folder)

    def __enter__(self) -> Attachment:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Detach; the container keeps running."""
        self._socket.close()

    def send(self, data: bytes, *, cancel: CancelToken | None = None) -> bool:
        """Write to the container's standard input; return False if it is closed."""
        for start in range(0, len(data), _STDIN_CHUNK):
            while not self._poll(select.POLLOUT):
                if cancel is not None:
                    cancel.check()
            try:
                self._socket.send(data[start : start + _STDIN_CHUNK], socket.MSG_NOSIGNAL)
            except OSError:
                return False
        return True

    def close_stdin(self) -> None:
        """Close the container's standard input."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)

    @property
    def descriptor(self) -> int:
        """A descriptor that is readable when there is output or the streams have ended."""
        return self._socket.fileno()

    def receive(self) -> tuple[StreamName, bytes] | None:
        """Return the next piece of output, waiting for it; None at the end of the streams."""
        while True:
            try:
                packet = self._socket.recv(_PACKET)
            except (ConnectionResetError, BrokenPipeError):
                return None
            if not packet:
                return None
            if len(packet) > 1:
                return "stderr" if packet[0] == 3 else "stdout", packet[1:]

    def pump(
        self,
        on_output: OutputSink,
        *,
        stdin: int | bytes | None = None,
        keys: DetachKeys | None = None,
        cancel: CancelToken | None = None,
        on_tick: Callable[[], None] | None = None,
    ) -> None:
        """Deliver output until the container's streams end.

        ``stdin`` is data, or a descriptor to copy from until its end; None leaves the container's
        input alone (for :meth:`send`).  ``on_tick`` is called at least every 50 ms.  Raises
        ``OperationCancelledError`` within 50 ms of a cancellation, and
        :class:`~jupyter_containers.runtime.keys.DetachedError` when ``keys`` are typed, with the
        container still running.
        """
        pending = memoryview(stdin if isinstance(stdin, bytes) else b"")
        source = stdin if isinstance(stdin, int) else None
        feeding = stdin is not None
        while True:
            if cancel is not None:
                cancel.check()
            if on_tick is not None:
                on_tick()
            if feeding and source is None and not pending:
                self.close_stdin()
                feeding = False
            poller = select.poll()
            poller.register(self._socket, select.POLLIN | (select.POLLOUT if pending else 0))
            if source is not None and not pending:
                poller.register(source, select.POLLIN)
            events = dict(poller.poll(POLL_SECONDS * 1000))
            ready = events.pop(self._socket.fileno(), 0)
            if ready & _CONNECTED and not self._receive(on_output):
                return
            if pending and ready & select.POLLOUT:
                pending = self._feed(pending)
            if source is not None and source in events:
                data = _read(source)
                source = source if data else None
                if keys is not None:
                    data = self._watched(keys, data)
                pending = memoryview(data)

    def _poll(self, event: int) -> bool:
        poller = select.poll()
        poller.register(self._socket, event)
        return bool(poller.poll(POLL_SECONDS * 1000))

    def _receive(self, on_output: OutputSink) -> bool:
        piece = self.receive()
        if piece is not None:
            on_output(*piece)
        return piece is not None

    def _watched(self, keys: DetachKeys, data: bytes) -> bytes:
        try:
            return keys.feed(data)
        except DetachedError as detached:
            self.send(detached.typed)
            raise

    def _feed(self, pending: memoryview) -> memoryview:
        try:
            sent = self._socket.send(
                pending[:_STDIN_CHUNK], socket.MSG_NOSIGNAL | socket.MSG_DONTWAIT
            )
        except BlockingIOError:
            return pending
        except OSError:
            # The container closed its input; drop the rest.
            return pending[:0]
        return pending[sent:]


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, _STDIN_CHUNK)
    except BlockingIOError:
        return b""
    except OSError:
        # A terminal whose other side was closed raises an error on reading.
        return b""
