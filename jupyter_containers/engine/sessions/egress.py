"""An HTTP proxy that lets a container without a network reach the hosts of an allow list.

It accepts connections on a socket in the container's own network namespace, which has no other
route, and speaks the two forms of RFC 9110: ``CONNECT host:443``, and requests for
``http://host/…`` on port 80.  A name is resolved once for each connection, here; the connection
goes to that address if it is public.  What was refused is counted and kept by its sentence.

Lifecycle: :class:`Egress` accepts in one thread, serves each connection in another, and ends with
:meth:`Egress.close`.
"""

from __future__ import annotations

import selectors
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from urllib.parse import urlsplit

from jupyter_containers.engine.sessions.allowlist import AllowList, host_name, is_public

PORT = 3128  # inside the container, where nothing else listens before the first cell
_MOST_HEAD = 16 << 10
_MOST_CONNECTIONS = 32
_MOST_REFUSALS = 200
_HEAD_SECONDS = 15.0
_CONNECT_SECONDS = 15.0
_IDLE_SECONDS = 120.0
_BLOCK = 1 << 16
_HOP_BY_HOP = frozenset(
    {"connection", "proxy-connection", "keep-alive", "proxy-authorization", "te", "upgrade"}
)

Resolve = Callable[[str, int], Sequence[str]]
"""Returns the addresses of a host for a port; raises OSError."""
Connect = Callable[[str, int], socket.socket]
"""Returns a connection to an address; raises OSError."""


def resolve(host: str, port: int) -> Sequence[str]:
    """Return the addresses of a host."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(item[4][0]) for item in found))


def connect(address: str, port: int) -> socket.socket:
    """Return a connection to an address."""
    return socket.create_connection((address, port), timeout=_CONNECT_SECONDS)


@dataclass(frozen=True, slots=True)
class Refusal:
    """A connection that was not made: ``target`` is the host and port as requested."""

    target: str
    reason: str

    def __str__(self) -> str:
        return f"{self.target} was refused: {self.reason}"


class _RefusedError(Exception):
    def __init__(self, status: str, target: str, reason: str) -> None:
        super().__init__(reason)
        self.status, self.refusal = status, Refusal(target, reason)


class Egress:
    """The proxy of one container."""

    def __init__(
        self,
        listener: socket.socket,
        allow: AllowList,
        *,
        resolve: Resolve = resolve,
        connect: Connect = connect,
    ) -> None:
        self._listener, self._allow = listener, allow
        self._resolve, self._connect = resolve, connect
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._free = threading.BoundedSemaphore(_MOST_CONNECTIONS)
        self._refused: deque[Refusal] = deque(maxlen=_MOST_REFUSALS)
        self._count = 0
        self._closed = False
        listener.settimeout(None)
        self._thread = threading.Thread(target=self._accept, name="session-egress", daemon=True)
        self._thread.start()

    @property
    def count(self) -> int:
        """The number of refusals so far."""
        return self._count

    def refused_since(self, number: int) -> tuple[Refusal, ...]:
        """Return what was refused after so many refusals, each once; the last 200 are kept."""
        with self._lock:
            new = min(self._count - number, len(self._refused))
            kept = list(self._refused)
        return tuple(dict.fromkeys(kept[len(kept) - new :] if new > 0 else ()))

    def close(self) -> None:
        """Stop listening and end all connections."""
        with self._lock:
            self._closed = True
            ending = list(self._open)
        for connection in (self._listener, *ending):
            with suppress(OSError):  # it may be closed already
                connection.shutdown(socket.SHUT_RDWR)
        self._thread.join(1.0)
        self._listener.close()

    # -- connections -----------------------------------------------------------------------------

    def _accept(self) -> None:
        while True:
            self._free.acquire()
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(
                target=self._serve, args=(client,), name="session-egress-connection", daemon=True
            ).start()

    def _serve(self, client: socket.socket) -> None:
        try:
            with ExitStack() as stack:
                self._keep(stack, client)
                try:
                    self._exchange(stack, client)
                except _RefusedError as error:
                    self._note(error.refusal)
                    _answer(client, error.status, f"{error.refusal}\n")
        except OSError:
            return  # one of the two ends went away
        finally:
            self._free.release()

    def _keep(self, stack: ExitStack, connection: socket.socket) -> None:
        """Close a connection at the end of the block, or when the proxy ends."""
        stack.callback(connection.close)
        with self._lock:
            if self._closed:
                raise ConnectionAbortedError
            self._open.add(connection)
        stack.callback(self._forget, connection)

    def _forget(self, connection: socket.socket) -> None:
        with self._lock:
            self._open.discard(connection)

    def _note(self, refusal: Refusal) -> None:
        with self._lock:
            self._refused.append(refusal)
            self._count += 1

    def _exchange(self, stack: ExitStack, client: socket.socket) -> None:
        head, rest = _head(client)
        request = _Request.of(head)
        address = self._address(request)
        try:
            server = self._connect(address, request.port)
        except OSError as error:
            reason = f"no connection: {error.strerror or error}"
            raise _RefusedError("502 Bad Gateway", request.target, reason) from None
        self._keep(stack, server)
        if request.tunnel:
            client.sendall(b"HTTP/1.1 200 Connection established\r\n\r\n")
            server.sendall(rest)
            _relay(client, server)
            return
        server.sendall(request.forwarded())
        _forward_body(client, server, rest, request.length)
        _relay(client, server, one_way=True)

    def _address(self, request: _Request) -> str:
        """Return the address to connect to: public, and resolved once."""
        if not self._allow.permits(request.host):
            raise _RefusedError(
                "403 Forbidden", request.target, "the host is not on the allow list"
            )
        try:
            found = self._resolve(request.host, request.port)
        except (OSError, UnicodeError):
            raise _RefusedError(
                "502 Bad Gateway", request.target, "the name cannot be resolved"
            ) from None
        for address in found:
            if is_public(address):
                return address
        reason = "the name leads to no public address"
        raise _RefusedError("403 Forbidden", request.target, reason)


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    path: str
    host: str
    port: int
    headers: tuple[tuple[str, str], ...]
    length: int

    @property
    def tunnel(self) -> bool:
        return self.method == "CONNECT"

    @property
    def target(self) -> str:
        return f"{self.host}:{self.port}"

    @classmethod
    def of(cls, head: bytes) -> _Request:
        """Return a request that may be forwarded; raise :class:`_RefusedError`."""
        try:
            first, *lines = head.decode("ascii").split("\r\n")
            method, target, version = first.split(" ")
            headers = tuple(_header(line) for line in lines)
        except ValueError:
            raise _bad("a request", "it is not HTTP") from None
        if version not in ("HTTP/1.1", "HTTP/1.0") or not method.isalpha():
            raise _bad("a request", "it is not HTTP/1.1")
        if method == "CONNECT":
            host, _, port = target.rpartition(":")
            return cls(method, "", *_place(host, port, 443, target), headers, 0)
        return cls._plain(method, target, headers)

    @classmethod
    def _plain(cls, method: str, target: str, headers: tuple[tuple[str, str], ...]) -> _Request:
        try:
            url = urlsplit(target)
            port = "80" if url.port is None else str(url.port)
        except ValueError:
            raise _bad(target, "it is not a URL") from None
        if url.scheme != "http" or url.username is not None or not url.hostname:
            raise _bad(target, "a proxy takes http://host/… and CONNECT host:443")
        host, number = _place(url.hostname, port, 80, url.netloc)
        named = [value.lower() for name, value in headers if name.lower() == "host"]
        # A server with several sites would choose by this header.
        if len(named) > 1 or any(
            value.removesuffix(":80").removesuffix(".") != host for value in named
        ):
            raise _bad(f"{host}:{number}", "the Host header names another host")
        lengths = [value for name, value in headers if name.lower() == "content-length"]
        if any(name.lower() == "transfer-encoding" for name, _ in headers):
            raise _bad(f"{host}:{number}", "a body needs a Content-Length")
        if len(lengths) > 1 or any(not _is_number(value) for value in lengths):
            raise _bad(f"{host}:{number}", "the Content-Length is not one number")
        path = (url.path or "/") + (f"?{url.query}" if url.query else "")
        length = int(lengths[0]) if lengths else 0
        return cls(method, path, host, number, headers, length)

    def forwarded(self) -> bytes:
        """Return the head for the server; one request for each connection."""
        kept = [
            (name, value)
            for name, value in self.headers
            if name.lower() not in _HOP_BY_HOP and name.lower() != "host"
        ]
        headers = [("Host", self.host), *kept, ("Connection", "close")]
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers)
        return f"{self.method} {self.path} HTTP/1.1\r\n{lines}\r\n".encode("ascii")


def _header(line: str) -> tuple[str, str]:
    name, colon, value = line.partition(":")
    # No folded lines, no space before the colon, no bare CR or LF: parsers differ on them.
    if not colon or not name or name != name.strip() or set(line) & {"\r", "\n", "\0"}:
        raise ValueError(line)
    return name, value.strip()


def _place(host: str, port: str, wanted: int, target: str) -> tuple[str, int]:
    name = host_name(host)
    if name is None:
        raise _RefusedError("403 Forbidden", target[:300], "a host is given by its name")
    if port != str(wanted):
        words = "other ports than 443 (https) and 80 (http) are closed"
        raise _RefusedError("403 Forbidden", target[:300], words)
    return name, wanted


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= 15


def _bad(target: str, reason: str) -> _RefusedError:
    return _RefusedError("400 Bad Request", target[:300], reason)


def _head(client: socket.socket) -> tuple[bytes, bytes]:
    """Return the head of a request, and the bytes after it."""
    deadline = time.monotonic() + _HEAD_SECONDS
    data = bytearray()
    while (end := data.find(b"\r\n\r\n")) < 0:
        if len(data) > _MOST_HEAD:
            raise _RefusedError(
                "431 Request Header Fields Too Large",
                "a request",
                f"its head is longer than {_MOST_HEAD} bytes",
            )
        client.settimeout(max(0.01, deadline - time.monotonic()))
        block = client.recv(4096)
        if not block:
            raise ConnectionAbortedError
        data += block
    return bytes(data[:end]), bytes(data[end + 4 :])


def _answer(client: socket.socket, status: str, text: str) -> None:
    body = text.encode("ascii", "replace")
    head = f"HTTP/1.1 {status}\r\nContent-Type: text/plain\r\nContent-Length: {len(body)}\r\n"
    client.settimeout(_HEAD_SECONDS)
    client.sendall(head.encode("ascii") + b"Connection: close\r\n\r\n" + body)
    # Unread bytes at the close would reset the connection before the answer is read.
    client.shutdown(socket.SHUT_WR)
    client.settimeout(1.0)
    left = _MOST_HEAD * 64
    while left > 0 and (block := client.recv(_BLOCK)):
        left -= len(block)


def _forward_body(client: socket.socket, server: socket.socket, first: bytes, length: int) -> None:
    """Send exactly the body: what follows would be a request that nobody has checked."""
    server.sendall(first[:length])
    left = length - len(first)
    client.settimeout(_IDLE_SECONDS)
    while left > 0:
        block = client.recv(min(left, _BLOCK))
        if not block:
            raise ConnectionAbortedError
        server.sendall(block)
        left -= len(block)


def _relay(client: socket.socket, server: socket.socket, *, one_way: bool = False) -> None:
    """Copy bytes until both ends, or the server alone (``one_way``), have finished."""
    for connection in (client, server):
        connection.settimeout(_IDLE_SECONDS)
    others = {server: client} if one_way else {server: client, client: server}
    with selectors.DefaultSelector() as selector:
        for connection in others:
            selector.register(connection, selectors.EVENT_READ)
        while others:
            ready = selector.select(_IDLE_SECONDS)
            if not ready:
                return
            for key, _ in ready:
                source = key.fileobj
                assert isinstance(source, socket.socket)
                block = source.recv(_BLOCK)
                if block:
                    others[source].sendall(block)
                    continue
                selector.unregister(source)
                with suppress(OSError):  # the other end may be gone
                    others.pop(source).shutdown(socket.SHUT_WR)
