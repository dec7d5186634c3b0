"""One HTTP/2 connection with gRPC calls, over a socket hijacked from HTTP/1.1.

A :class:`Connection` is read by one thread (:meth:`Connection.run`).  Each call is a
:class:`Stream`: on the server it has its own thread, on the client it belongs to the caller.  Flow
control limits buffering: bytes are acknowledged only when they are read, and a sending thread waits
while the peer does not read.
"""

from __future__ import annotations

import contextlib
import select
import socket
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings
import msgspec

from jupyter_containers.api.buildkit.rpc import (
    INTERNAL,
    Frames,
    FrameSizes,
    GoneError,
    RpcError,
    check_trailers,
    framed,
    trailers,
)
from jupyter_containers.api.buildkit.wire import decode, encode
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken

T = TypeVar("T", bound=msgspec.Struct)
_PREFACE_BYTES = 24
_READ_BYTES = 256 << 10
_STREAM_WINDOW = 1 << 20
_CONNECTION_WINDOW = 4 << 20
_MOST_STREAMS = 128
_MOST_HEADERS = 64 << 10
_MOST_UNSENT = 1 << 20
_POLL_MS = 500
_WATCH_SECONDS = 0.2
_REPLY = [(":status", "200"), ("content-type", "application/grpc")]


class Stream:
    """One call; ``path`` names the method, ``headers`` are the peer's initial headers."""

    def __init__(
        self, connection: Connection, number: int, path: str, watched: CancelToken | None = None
    ) -> None:
        self.number, self.path = number, path
        self._watched = watched
        self.headers: Mapping[str, str] = {}
        self.cancel = CancelToken()
        self._connection = connection
        self._frames = Frames()
        self._parts: deque[tuple[bytes, int]] = deque()
        self._changed = connection.changed
        self._ended = self._replied = self._finished = False
        self._trailers: Mapping[str, str] | None = None
        self._lost: RpcError | None = None

    # -- for the connection's thread, which holds the lock -------------------------------------

    def feed(self, data: bytes, held: int) -> None:
        """Add bytes; ``held`` counts against the window until they are read."""
        self._parts.append((data, held))

    def end(self, headers: Mapping[str, str] | None = None) -> None:
        """Record that the peer sends no more."""
        self._ended = True
        if headers is not None:
            self._trailers = headers

    def lose(self, error: RpcError) -> None:
        """Record that the peer has cancelled the call."""
        self._lost = self._lost or error
        self.cancel.cancel()

    def drop(self) -> int:
        """Drop the unread bytes; return their number."""
        held = sum(count for _, count in self._parts)
        self._parts.clear()
        return held

    def ending(self) -> RpcError:
        """Return the reason why nothing more can be sent: the peer's error, if it sent one."""
        if self._trailers is not None:
            try:
                check_trailers(self._trailers)
            except RpcError as error:
                return error
        return self._lost or GoneError()

    @property
    def lost(self) -> RpcError | None:
        """The error that ended the call."""
        return self._lost

    # -- for the thread of the call -------------------------------------------------------------

    def receive(self, declared: type[T]) -> T | None:
        """Return the next message, None after the last; raise :class:`RpcError`."""
        while True:
            data = self._frames.pop()
            if data is not None:
                return decode(declared, data)
            part, held = self._next_part()
            if part is None:
                break
            self._frames.feed(part)
            self._connection.acknowledge(self, held)
        if not self._frames.whole:
            raise RpcError(INTERNAL, "a call ended within a message")
        if self._trailers is not None:
            check_trailers(self._trailers)
        return None

    def _next_part(self) -> tuple[bytes | None, int]:
        with self._changed:
            while not self._parts:
                if self._ended:
                    return None, 0
                if self._lost is not None:
                    raise self._lost
                self.wait()
            return self._parts.popleft()

    def wait(self) -> None:
        """Wait for a change, with the connection's lock held; raise if the work is cancelled."""
        if self._watched is None:
            self._changed.wait()
            return
        self._watched.check()
        self._changed.wait(_WATCH_SECONDS)

    def single(self, declared: type[T]) -> T:
        """Return the only message of a call; raise :class:`RpcError` if there is none."""
        message = self.receive(declared)
        if message is None:
            raise RpcError(INTERNAL, "a call ended without a message")
        return message

    def each(self, declared: type[T]) -> Iterator[T]:
        """Yield all messages."""
        while (message := self.receive(declared)) is not None:
            yield message

    def send(self, message: msgspec.Struct) -> None:
        """Send a message, waiting while the peer does not read."""
        self.send_bytes(framed(encode(message)))

    def send_last(self, message: msgspec.Struct) -> None:
        """Send the last message, as the client."""
        self._connection.send_data(self, framed(encode(message)), last=True)

    def send_bytes(self, data: bytes) -> None:
        """Send framed messages."""
        self.begin()
        self._connection.send_data(self, data)

    def begin(self) -> None:
        """Send the initial headers of an answer, once."""
        if not self._replied:
            self._replied = True
            self._connection.send_headers(self, _REPLY, end=False)

    def half_close(self) -> None:
        """Close the sending side, as the client."""
        self._connection.end_data(self)

    def asked(self) -> None:
        """Mark this side as the client: it has sent its headers."""
        self._replied = True

    def finish(self, error: RpcError | None = None) -> None:
        """End the call as the server."""
        if self._finished:
            return
        self._finished = True
        headers = trailers(error)
        if not self._replied:
            self._replied = True
            headers = [*_REPLY, *headers]
        self._connection.send_headers(self, headers, end=True)

    def reset(self) -> None:
        """Cancel the call."""
        self._finished = True
        self._connection.reset(self)

    def __enter__(self) -> Stream:
        return self

    def __exit__(self, *_: object) -> None:
        self._connection.forget(self)


Serve = Callable[[Stream], None]


class Connection:
    """One connection; ``serve`` answers the calls of the other side, None for a client."""

    def __init__(
        self, bare: socket.socket, early: bytes, cancel: CancelToken, serve: Serve | None
    ) -> None:
        self._socket, self._early, self._cancel, self._serve = bare, early, cancel, serve
        self._lock = threading.RLock()
        self.changed = threading.Condition(self._lock)
        self._sending = threading.Lock()
        self._unsent: deque[bytes] = deque()
        self._unsent_bytes = 0
        self._streams: dict[int, Stream] = {}
        self._sizes = FrameSizes(before=0 if serve is None else _PREFACE_BYTES)
        self._threads = 0
        self.closed = False
        config = h2.config.H2Configuration(
            client_side=serve is None, header_encoding=None, validate_outbound_headers=False
        )
        self._h2 = h2.connection.H2Connection(config)
        self._h2.local_settings = h2.settings.Settings(
            client=serve is None,
            initial_values={
                h2.settings.SettingCodes.ENABLE_PUSH: 0,
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: _MOST_STREAMS,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: _MOST_HEADERS,
            },
        )
        with self._lock:
            self._h2.initiate_connection()
            self._h2.increment_flow_control_window(_CONNECTION_WINDOW)
            self._take()

    # -- the connection's thread ------------------------------------------------------------

    def run(self) -> None:
        """Read until the peer disconnects, the call is cancelled, or :meth:`close`."""
        try:
            self._flush()
            if self._early:
                self._receive(self._early)
            poller = select.poll()
            poller.register(self._socket, select.POLLIN)
            while not self._cancel.cancelled and not self.closed:
                if not poller.poll(_POLL_MS):
                    continue
                data = self._socket.recv(_READ_BYTES)
                if not data:
                    break
                self._receive(data)
        except (OSError, h2.exceptions.ProtocolError, RpcError):
            self._say_goodbye()
        finally:
            self.close()

    def _receive(self, data: bytes) -> None:
        self._sizes.check(data)
        with self._lock:
            for event in self._h2.receive_data(data):
                self._handle(event)
            self._take()
            self.changed.notify_all()
        # Wait only if the peer has left far too much unread.
        self._flush(wait=self._unsent_bytes > _MOST_UNSENT)

    def _handle(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.DataReceived):
            stream = self._streams.get(event.stream_id or 0)
            if stream is None:
                self._h2.increment_flow_control_window(event.flow_controlled_length or 1)
            elif event.data is not None:
                stream.feed(event.data, event.flow_controlled_length or 0)
        elif isinstance(event, h2.events.RequestReceived):
            self._start_call(event)
        elif isinstance(event, (h2.events.ResponseReceived, h2.events.TrailersReceived)):
            self._take_headers(event)
        elif isinstance(event, h2.events.StreamEnded):
            if event.stream_id in self._streams:
                self._streams[event.stream_id].end()
        elif isinstance(event, h2.events.StreamReset):
            if event.stream_id in self._streams:
                self._streams[event.stream_id].lose(GoneError("the client has given up"))
        elif isinstance(event, h2.events.ConnectionTerminated) and not self._streams:
            self.closed = True

    def _take_headers(self, event: Any) -> None:
        stream = self._streams.get(event.stream_id or 0)
        if stream is None:
            return
        headers = _texts(event.headers)
        if isinstance(event, h2.events.ResponseReceived) and not stream.headers:
            stream.headers = headers
            if headers.get(":status") != "200":
                stream.lose(RpcError(INTERNAL, f"the client answers {headers.get(':status')}"))
        if "grpc-status" in headers:
            stream.end(headers)

    def _start_call(self, event: h2.events.RequestReceived) -> None:
        assert self._serve is not None
        headers = _texts(event.headers or [])
        number = event.stream_id or 0
        stream = Stream(self, number, headers.get(":path", ""))
        stream.headers = headers
        if self._threads >= _MOST_STREAMS:
            # Reset streams keep their threads until their handlers return.
            raise RpcError(INTERNAL, "too many calls at a time")
        self._streams[number] = stream
        self._threads += 1
        threading.Thread(
            target=self._answer, args=(stream,), name="grpc" + stream.path, daemon=True
        ).start()

    def _answer(self, stream: Stream) -> None:
        assert self._serve is not None
        error: RpcError | None = None
        try:
            self._serve(stream)
        except RpcError as raised:
            error = raised
        except ContainersError as raised:
            error = RpcError(INTERNAL, raised.message)
        except Exception as raised:  # noqa: BLE001  # reported to the client; the service continues
            error = RpcError(INTERNAL, f"internal error: {type(raised).__name__}: {raised}")
        finally:
            with contextlib.suppress(RpcError):
                stream.finish(error)
            with self._lock:
                self._threads -= 1
            self.forget(stream)

    def _say_goodbye(self) -> None:
        with self._lock, contextlib.suppress(h2.exceptions.ProtocolError):
            self._take()
        with contextlib.suppress(GoneError):
            self._flush()

    def close(self) -> None:
        """End the connection; calls under way are cancelled."""
        with self._lock:
            self.closed = True
            for stream in self._streams.values():
                stream.lose(GoneError())
            self.changed.notify_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        if self._sending.acquire(timeout=1):
            self._socket.close()
            self._sending.release()

    # -- calls ------------------------------------------------------------------------------

    def open(
        self,
        path: str,
        metadata: Mapping[str, list[str]] | None = None,
        watched: CancelToken | None = None,
    ) -> Stream:
        """Begin a call as the client; waiting on it ends when ``watched`` is set."""
        headers = [
            (":method", "POST"),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
            ("content-type", "application/grpc"),
            ("te", "trailers"),
            *((name, value) for name, values in (metadata or {}).items() for value in values),
        ]
        with self._lock:
            if self.closed:
                raise GoneError
            number = self._h2.get_next_available_stream_id()
            stream = Stream(self, number, path, watched)
            stream.asked()
            self._streams[number] = stream
            self._h2.send_headers(number, headers)
            self._take()
        self._flush(wait=True)
        return stream

    def send_headers(self, stream: Stream, headers: list[tuple[str, str]], *, end: bool) -> None:
        """Send headers of an answer."""
        with self._lock, self._errors(stream):
            self._h2.send_headers(stream.number, headers, end_stream=end)
            self._take()
        self._flush(wait=True)

    def send_data(self, stream: Stream, data: bytes, *, last: bool = False) -> None:
        """Send data as the window allows; ``last`` closes this side."""
        rest = memoryview(data)
        while rest:
            with self._lock:
                while not (room := self._room(stream)):
                    stream.wait()
                with self._errors(stream):
                    piece = rest[: min(room, self._h2.max_outbound_frame_size)]
                    ends = last and len(piece) == len(rest)
                    self._h2.send_data(stream.number, bytes(piece), end_stream=ends)
                rest = rest[len(piece) :]
                self._take()
            self._flush(wait=True)

    def _room(self, stream: Stream) -> int:
        if stream.lost is not None:
            raise stream.ending()
        if self.closed:
            raise GoneError
        with self._errors(stream):
            return max(self._h2.local_flow_control_window(stream.number), 0)

    def end_data(self, stream: Stream) -> None:
        """Close this side of a call."""
        with self._lock, self._errors(stream):
            self._h2.end_stream(stream.number)
            self._take()
        self._flush(wait=True)

    def acknowledge(self, stream: Stream, held: int) -> None:
        """Acknowledge bytes that were read, so that the peer may send more."""
        if not held:
            return
        with self._lock:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.acknowledge_received_data(held, stream.number)
            self._take()
        self._flush(wait=False)

    def reset(self, stream: Stream) -> None:
        """Reset a call."""
        with self._lock:
            with contextlib.suppress(h2.exceptions.ProtocolError):
                self._h2.reset_stream(stream.number, h2.errors.ErrorCodes.CANCEL)
            self._take()
        with contextlib.suppress(GoneError):
            self._flush(wait=False)

    def forget(self, stream: Stream) -> None:
        """Drop a call that has ended, and release its share of the window."""
        with self._lock:
            if self._streams.pop(stream.number, None) is None:
                return
            held = stream.drop()
            with contextlib.suppress(h2.exceptions.ProtocolError, ValueError):
                self._h2.reset_stream(stream.number, h2.errors.ErrorCodes.NO_ERROR)
            with contextlib.suppress(h2.exceptions.ProtocolError, ValueError):
                self._h2.increment_flow_control_window(held)
            self._take()
        with contextlib.suppress(GoneError):
            self._flush(wait=False)

    @contextlib.contextmanager
    def _errors(self, stream: Stream) -> Iterator[None]:
        try:
            yield
        except h2.exceptions.ProtocolError as error:
            raise stream.ending() from error

    # -- sending ------------------------------------------------------------------------------

    def _take(self) -> None:
        data = self._h2.data_to_send()
        if data:
            self._unsent.append(data)
            self._unsent_bytes += len(data)

    def _flush(self, *, wait: bool = True) -> None:
        """Send pending data; without ``wait``, leave it to a thread that is sending already."""
        while self._unsent:
            if not self._sending.acquire(blocking=wait):
                return
            try:
                self._send_all()
            except OSError as error:
                self._cancel_sending()
                raise GoneError from error
            finally:
                self._sending.release()

    def _send_all(self) -> None:
        while True:
            with self._lock:
                if not self._unsent:
                    return
                data = b"".join(self._unsent)
                self._unsent.clear()
                self._unsent_bytes = 0
            self._socket.sendall(data)

    def _cancel_sending(self) -> None:
        with self._lock:
            self.closed = True
            self._unsent.clear()
            self.changed.notify_all()
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)


def _texts(headers: Any) -> dict[str, str]:
    found: dict[str, str] = {}
    for name, value in headers:
        found[name.decode("latin-1")] = value.decode("latin-1")
    return found
