"""Streams of a cluster: lines of a response, and the channels of exec, attach and port-forward.

A *channel* is a WebSocket (``v4.channel.k8s.io``); the first byte of a message is the number of its
stream.  Version 4 cannot end standard input, which :mod:`.foreground` works around; version 5
(Kubernetes 1.30) can.  Reading happens in the caller's thread; any thread ends a stream by its
method ``end``, which shuts the socket down.
"""

from __future__ import annotations

import json
import select
import socket
import threading
from collections.abc import Iterator, Mapping
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_containers.errors import ClusterError

if TYPE_CHECKING:
    from jupyter_containers.kubernetes.client import Cluster

STDIN, STDOUT, STDERR, ERROR, RESIZE = range(5)
_CLOSE = 255  # of version 5
_PROTOCOLS = ["v5.channel.k8s.io", "v4.channel.k8s.io"]
_CHUNK = 32768


class Lines:
    """The lines of a response, without line feeds, as they come.

    The response of a container's log or of a watch.
    """

    def __init__(self, cluster: Cluster, path: str, query: Mapping[str, Any]) -> None:
        import httpx2
        from lightkube.core.generic_client import GenericClient

        self._cluster = cluster
        http = cluster.client._client._client  # noqa: SLF001  # lightkube hides its responses, and a stream must be ended
        request = http.build_request(
            "GET", cluster.address(path, query), timeout=httpx2.Timeout(10.0, read=None)
        )
        self._response = http.send(request, stream=True)
        self._socket: socket.socket = self._response.extensions["network_stream"].get_extra_info(
            "socket"
        )
        if self._response.status_code != 200:
            self._response.read()
            check: Any = GenericClient.raise_for_status
            check(self._response)

    def __iter__(self) -> Iterator[bytes]:
        rest = b""
        for data in self.pieces():
            *lines, rest = (rest + data).split(b"\n")
            yield from lines
        if rest:
            yield rest

    def pieces(self) -> Iterator[bytes]:
        """Yield the bytes as they come."""
        import httpx2

        try:
            yield from self._response.iter_raw()
        except (httpx2.StreamError, httpx2.RemoteProtocolError):
            return  # ended from another thread, or by the server's end
        except (httpx2.HTTPError, OSError) as error:
            raise self._cluster.unreachable(error) from error

    def __enter__(self) -> Lines:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def end(self) -> None:
        """End the stream, from any thread."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Release the connection."""
        self.end()
        with suppress(Exception):
            self._response.close()


class Channel:
    """The streams of a process in a pod (``exec``, ``attach``) or of a port."""

    def __init__(self, cluster: Cluster, pod: str, verb: str, **query: Any) -> None:
        import websocket

        url = cluster.address(cluster.pods_path(pod, verb), query)
        options = {} if url.startswith("http:") else {"context": cluster.tls}
        kind: Any = websocket.WebSocket  # its methods have no types
        self._socket = kind(sslopt=options, skip_utf8_validation=True)
        try:
            self._socket.connect(
                "ws" + url.removeprefix("http"),
                header=cluster.authorization(url),
                subprotocols=_PROTOCOLS if verb != "portforward" else _PROTOCOLS[1:],
                timeout=10,
            )
        except websocket.WebSocketBadStatusException as error:
            self._socket.shutdown()
            raise _refused(error.status_code, error.resp_body, f"{verb} {pod}") from error
        except (websocket.WebSocketException, OSError) as error:
            self._socket.shutdown()
            raise cluster.unreachable(error) from error
        self._socket.settimeout(None)
        self._ended = False

    @property
    def can_end_input(self) -> bool:
        """True if the protocol can end standard input."""
        return str(self._socket.subprotocol) == _PROTOCOLS[0]

    @property
    def descriptor(self) -> int:
        """A descriptor that is readable when a message comes; see :meth:`wait` for kept ones."""
        return -1 if self._ended else int(self._socket.sock.fileno())

    @property
    def kept(self) -> bool:
        """True if bytes were read from the socket that :meth:`receive` has not returned."""
        pending = getattr(self._socket.sock, "pending", None)
        return not self._ended and pending is not None and pending() > 0

    def wait(self, timeout: float | None) -> bool:
        """Return whether a message, or the end, is there within ``timeout`` seconds."""
        if self._ended or self.kept:
            return True
        poller = select.poll()
        poller.register(self.descriptor, select.POLLIN)
        return bool(poller.poll(None if timeout is None else max(0, timeout * 1000)))

    def receive(self, *, empty: bool = False) -> tuple[int, bytes] | None:
        """Return the next message as stream and data, waiting for it; None at the end.

        Servers also send messages without data, which are skipped unless ``empty`` is true.
        """
        import websocket

        while not self._ended:
            try:
                message = self._socket.recv()
            except (websocket.WebSocketException, OSError, ValueError):
                self._ended = True
                return None
            if isinstance(message, str):
                message = message.encode()
            if not message:
                self._ended = True
                return None
            if len(message) > 1 or empty:
                return message[0], message[1:]
        return None

    def send(self, stream: int, data: bytes) -> bool:
        """Send data to a stream; return False if the channel has ended."""
        import websocket

        for start in range(0, len(data), _CHUNK):
            try:
                self._socket.send_binary(bytes((stream,)) + data[start : start + _CHUNK])
            except (websocket.WebSocketException, OSError):
                return False
        return True

    def end_input(self) -> None:
        """End standard input; only if :attr:`can_end_input`."""
        self.send_raw(bytes((_CLOSE, STDIN)))

    def send_raw(self, message: bytes) -> None:
        """Send a whole message; after the end it is dropped."""
        import websocket

        with suppress(websocket.WebSocketException, OSError):
            self._socket.send_binary(message)

    def resize(self, rows: int, columns: int) -> None:
        """Set the size of the terminal."""
        self.send(RESIZE, json.dumps({"Width": columns, "Height": rows}).encode())

    def end(self) -> None:
        """End the channel, from any thread."""
        with suppress(OSError, AttributeError):
            self._socket.sock.shutdown(socket.SHUT_RDWR)

    def finish(self) -> None:
        """Close the channel after the server has taken all that was sent; do not wait for that.

        A connection that is closed with unread data is reset, and loses data on its way.
        """
        with suppress(Exception):
            self._socket.send_close()
        threading.Thread(target=self._drain, name="cluster-drain", daemon=True).start()

    def _drain(self) -> None:
        with suppress(Exception):
            while self._socket.sock.recv(_CHUNK):
                continue
        with suppress(Exception):
            self._socket.shutdown()

    def close(self) -> None:
        """Close the channel at once."""
        self._ended = True
        with suppress(Exception):
            self._socket.send_close()
        with suppress(Exception):
            self._socket.shutdown()

    def __enter__(self) -> Channel:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def exit_status(document: bytes) -> tuple[int, str]:
    """Return the exit code in a Status (the last message of ``exec``), and the text of a failure.

    The code is 0 for success; -1 if the command could not be run.
    """
    try:
        status = json.loads(document)
    except ValueError:
        return -1, document.decode("utf-8", "replace")
    if status.get("status") == "Success":
        return 0, ""
    for cause in (status.get("details") or {}).get("causes") or ():
        if cause.get("reason") == "ExitCode":
            return int(cause["message"]), ""
    return -1, str(status.get("message", ""))


def _refused(status: int, body: bytes | str | None, subject: str) -> Exception:
    from jupyter_containers.kubernetes.client import refusal

    try:
        found = json.loads(body or b"")
        return refusal(status, found.get("reason", ""), found.get("message", ""), subject)
    except (ValueError, AttributeError):
        text = body.decode("utf-8", "replace") if isinstance(body, bytes) else str(body or "")
        return ClusterError(f"{subject}: {text.strip() or status}", status=status)
