"""Connects Tornado with the calls: requests are read in the event loop and answered in threads.

An idle connection costs no thread.  A request gets one thread: after its head if its body is
streamed, otherwise after its end.
"""

from __future__ import annotations

import asyncio
import http.client
import io
import logging
import resource
import socket
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from tornado import httputil, iostream
from tornado.http1connection import HTTP1Connection

from jupyter_containers.api.call import Answer, Call, VanishedError, Wire
from jupyter_containers.api.errors import StatusError, answer_of
from jupyter_containers.api.query import Query
from jupyter_containers.api.routes import CURRENT_TEXT, Route, find, split_version
from jupyter_containers.api.state import ServiceState
from jupyter_containers.api.uploads import UploadBody, UploadWire
from jupyter_containers.engine import Engine
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.version import __version__

_log = logging.getLogger(__name__)
MOST_CALLS = 512  # concurrent calls, each with its own thread
MOST_IDLE = 1024  # connections without a request
_MOST_JSON = 4 << 20
_MOST_STREAMED = 1 << 50
_HEADERS = {
    "Api-Version": CURRENT_TEXT,
    "Docker-Experimental": "false",
    "Ostype": "linux",
    "Server": f"jupyter-containers/{__version__} (linux)",
}


class Calls:
    """The calls in progress; ``last`` is the loop's time at the end of the latest one."""

    def __init__(self, engine: Engine, state: ServiceState) -> None:
        self.engine, self.state = engine, state
        self.loop = asyncio.get_running_loop()
        self.active: set[CancelToken] = set()
        self.last = self.loop.time()
        # Descriptors: a call has its connection, and what it reads and writes.
        descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self._most = min(MOST_CALLS, max(descriptors // 4, 16))
        self._most_idle = min(MOST_IDLE, max(descriptors // 4, 16))
        self._idle: dict[HTTP1Connection, None] = {}

    def rest(self, connection: HTTP1Connection) -> None:
        """Note a connection that has no request as yet; close the one idle for longest of many."""
        self._idle[connection] = None
        if len(self._idle) > self._most_idle:
            oldest = next(iter(self._idle))
            self.wake(oldest)
            oldest.close()

    def wake(self, connection: HTTP1Connection) -> None:
        """Note that a connection has a request, or is closed."""
        self._idle.pop(connection, None)

    def begin(self, cancel: CancelToken) -> None:
        """Count a call; raise :class:`StatusError` if there are too many."""
        if len(self.active) >= self._most:
            raise StatusError(503, f"more than {self._most} requests at a time")
        self.active.add(cancel)

    def end(self, cancel: CancelToken) -> None:
        """Forget a call that has ended."""
        self.active.discard(cancel)
        self.last = self.loop.time()


class Front(httputil.HTTPServerConnectionDelegate):
    """Makes the reader of each request."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls

    def start_request(
        self,
        server_conn: object,  # noqa: ARG002  # Tornado's signature
        request_conn: httputil.HTTPConnection,
    ) -> httputil.HTTPMessageDelegate:
        """Return a reader for the next request of a connection."""
        assert isinstance(request_conn, HTTP1Connection)
        self._calls.rest(request_conn)
        return _Reader(self._calls, request_conn)


class _Reader(httputil.HTTPMessageDelegate):
    """Reads one request and starts its call."""

    def __init__(self, calls: Calls, connection: HTTP1Connection) -> None:
        self._calls, self._connection = calls, connection
        self._cancel = CancelToken()
        self._refusal: ContainersError | None = None
        self._refused = False
        self._call: Call | None = None
        self._route: Route | None = None
        self._method = ""
        self._parts: list[bytes] = []
        self._running = False

    def headers_received(
        self,
        start_line: httputil.RequestStartLine | httputil.ResponseStartLine,
        headers: httputil.HTTPHeaders,
    ) -> Awaitable[None] | None:
        """Find the route; start the call if its body is streamed."""
        assert isinstance(start_line, httputil.RequestStartLine)
        self._method = start_line.method
        self._calls.wake(self._connection)
        path, _, query = start_line.path.partition("?")
        wire = _LoopWire(self._calls.loop, self._connection)
        # The body is read in any case, so that the connection can be used after a refusal.
        self._connection.set_max_body_size(_MOST_JSON)
        try:
            version, rest = split_version(path)
            self._route, names = find(start_line.method, rest)
            self._check_length(headers)
            self._calls.begin(self._cancel)
            self._call = Call(
                self._calls.engine,
                self._calls.state,
                wire,
                start_line.method,
                version,
                names,
                Query(query),
                headers,
                io.BytesIO(),
                self._cancel,
            )
        except ContainersError as error:
            self._calls.end(self._cancel)
            self._refusal = error
            if not _is_short(headers):
                self._refuse(close=True)
            return None
        if self._route.streams:
            self._start_upload(self._call, self._route)
        return None

    def _check_length(self, headers: httputil.HTTPHeaders) -> None:
        assert self._route is not None
        text = headers.get("Content-Length", "")
        if text and not (text.isascii() and text.isdigit() and len(text) < 16):
            raise StatusError(400, "invalid Content-Length")
        if text and not self._route.streams and int(text) > _MOST_JSON:
            raise StatusError(413, f"the request's body is larger than {_MOST_JSON} bytes")

    def _refuse(self, *, close: bool) -> None:
        """Answer a request that has no call; close the connection where its body is not read."""
        assert self._refusal is not None
        self._refused = True
        _send(self._connection, answer_of(self._refusal), self._method, close=close)

    def data_received(self, chunk: bytes) -> None:
        """Keep a piece of the body until its end."""
        if self._refusal is None:
            self._parts.append(chunk)

    def finish(self) -> None:
        """Start the call of a request that has been read."""
        if self._refusal is not None:
            if not self._refused:
                self._refuse(close=False)
            return
        if self._call is not None:
            self._call.body = io.BytesIO(b"".join(self._parts))
            self._parts.clear()
            self._start()

    def _start_upload(self, call: Call, route: Route) -> None:
        """Take the connection out of the loop, with the received part of the body."""
        bare, early = _take(self._connection)
        threading.Thread(
            target=self._run_upload,
            args=(call, route, bare, early),
            name=route.handler,
            daemon=True,
        ).start()

    def _run_upload(self, call: Call, route: Route, bare: socket.socket, early: bytes) -> None:
        """Read and answer one request, in its thread."""
        wire = UploadWire(bare, _head, self._cancel)
        try:
            call.wire, call.body = wire, UploadBody(bare, early, call.headers)
            answer = _answered(call, route)
            if answer is None:
                wire.end()
            else:
                wire.answer(*_parts_of(answer))
        except ContainersError as error:
            wire.answer(*_parts_of(answer_of(error)))
        except VanishedError:
            pass
        finally:
            wire.close()
            self._calls.loop.call_soon_threadsafe(self._calls.end, self._cancel)

    def _start(self) -> None:
        assert self._route is not None
        call, route = self._call, self._route
        assert call is not None
        self._running = True
        self._connection.set_close_callback(self._cancel.cancel)
        threading.Thread(
            target=self._run, args=(call, route), name=route.handler, daemon=True
        ).start()

    def on_connection_close(self) -> None:
        """Cancel the call of a client that has disconnected."""
        self._calls.wake(self._connection)
        self._cancel.cancel()
        if not self._running:
            self._calls.end(self._cancel)

    def _run(self, call: Call, route: Route) -> None:
        """Answer one request, in its thread."""
        answer, whole = None, False
        try:
            answer = _answered(call, route)
            whole = True
        except VanishedError:
            pass
        self._calls.loop.call_soon_threadsafe(self._finish, answer, whole)

    def _finish(self, answer: Answer | None, whole: bool) -> None:
        """Send the rest; close the connection if the answer is incomplete."""
        self._calls.end(self._cancel)
        if self._connection.stream is None or self._connection.stream.closed():
            return
        if answer is not None:
            _send(self._connection, answer, self._method, close=False)
        elif whole:
            self._connection.finish()
        else:
            self._connection.close()


def _is_short(headers: httputil.HTTPHeaders) -> bool:
    """Return whether a refused body is read to its end, which many clients require."""
    text = headers.get("Content-Length", "0")
    length = int(text) if text.isascii() and text.isdigit() and len(text) < 16 else _MOST_STREAMED
    return length <= _MOST_JSON and "Transfer-Encoding" not in headers


def _answered(call: Call, route: Route) -> Answer | None:
    """Return a handler's answer; None if the handler has sent it all itself."""
    try:
        result = _whole(route.function(call))
    except ContainersError as error:
        if call.begun:
            raise VanishedError from error  # the answer that was sent is incomplete
        return answer_of(error)
    except VanishedError:
        raise
    except Exception as error:  # reported to the client; the service continues
        _log.exception("%s %s", route.method, route.path)
        if call.begun:
            raise VanishedError from error
        return Answer(500, {"message": f"internal error: {type(error).__name__}: {error}"})
    return None if call.begun else result


def _whole(result: Any) -> Answer:
    """Return a handler's result as an answer whose content is bytes."""
    if result is None:
        return Answer(204)
    answer = result if isinstance(result, Answer) else Answer(200, result)
    content, kind = answer.encoded()
    return Answer(answer.status, content, {"Content-Type": kind, **answer.headers})


def _parts_of(answer: Answer) -> tuple[int, Mapping[str, str], bytes]:
    """Return status, headers and content."""
    content, kind = answer.encoded() if answer.status not in (204, 304) else (b"", "")
    headers = {"Content-Type": kind} if kind else {}
    return answer.status, {**headers, **answer.headers}, content


def _send(connection: HTTP1Connection, answer: Answer, method: str, *, close: bool) -> None:
    headers = httputil.HTTPHeaders({**_HEADERS, "Date": _now(), **answer.headers})
    content = b""
    if answer.status not in (204, 304):
        content, kind = answer.encoded()
        headers.setdefault("Content-Type", kind)
        headers.setdefault("Content-Length", str(len(content)))
    if close:
        headers["Connection"] = "close"
    line = httputil.ResponseStartLine("HTTP/1.1", answer.status, _reason(answer.status))
    body = content if method != "HEAD" else b""
    written = connection.write_headers(line, headers, body)
    written.add_done_callback(_seen)
    connection.finish()


def _now() -> str:
    return httputil.format_timestamp(time.time())


def _reason(status: int) -> str:
    return http.client.responses.get(status, "Unknown")


def _seen(future: asyncio.Future[Any]) -> None:
    """Retrieve the error of a client that disconnected, so that it is not logged."""
    if not future.cancelled():
        future.exception()


def _take(connection: HTTP1Connection) -> tuple[socket.socket, bytes]:
    """Take a connection out of the loop; return it with the bytes already received."""
    # Without a pause, a half-closed client would count as disconnected.
    stream = connection.detach()
    try:
        bare = stream.socket.dup()
        reading = asyncio.ensure_future(stream.read_bytes(1 << 20, partial=True))
        early = reading.result() if reading.done() else b""
        reading.add_done_callback(_seen)
    except iostream.StreamClosedError:
        early = b""
    finally:
        stream.close()
    bare.setblocking(True)
    return bare, early


def _head(status: int, headers: Mapping[str, str]) -> bytes:
    """Return the head of an answer whose connection is closed after it."""
    whole = {**_HEADERS, "Date": _now(), **headers, "Connection": "close"}
    lines = "".join(f"{name}: {text}\r\n" for name, text in whole.items())
    return f"HTTP/1.1 {status} {_reason(status)}\r\n{lines}\r\n".encode()


class _LoopWire(Wire):
    """A connection of the loop, for the thread of a call."""

    def __init__(self, loop: asyncio.AbstractEventLoop, connection: HTTP1Connection) -> None:
        self._loop, self._connection = loop, connection

    def _call(self, work: Callable[[], Awaitable[Any]]) -> Any:
        async def run() -> Any:
            stream = self._connection.stream
            if stream is None or stream.closed():
                raise iostream.StreamClosedError
            return await work()

        try:
            return asyncio.run_coroutine_threadsafe(run(), self._loop).result()
        except (iostream.StreamClosedError, asyncio.CancelledError) as error:
            raise VanishedError from error

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Send the head of an answer whose content follows in pieces."""
        line = httputil.ResponseStartLine("HTTP/1.1", status, _reason(status))
        whole = httputil.HTTPHeaders({**_HEADERS, "Date": _now(), **headers})
        self._call(lambda: self._connection.write_headers(line, whole))

    def write(self, data: bytes | memoryview) -> None:
        """Send a piece of content, waiting while the client does not read."""
        self._call(lambda: self._connection.write(bytes(data)))

    def hijack(self, head: bytes) -> tuple[socket.socket, bytes]:
        """Send a head; return the bare connection and the bytes that were already received."""

        async def take() -> tuple[socket.socket, bytes]:
            return _take(self._connection)

        bare, early = self._call(take)
        try:
            bare.sendall(head)
        except OSError as error:
            bare.close()
            raise VanishedError from error
        return bare, early
