"""Calls over one connection, with other sides that are slow, gone or hostile."""

from __future__ import annotations

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Iterator

import h2.config
import h2.connection
import pytest

from jupyter_containers.api.buildkit.connection import Connection, Stream
from jupyter_containers.api.buildkit.messages import Bytes, Detail
from jupyter_containers.api.buildkit.rpc import RpcError
from jupyter_containers.errors import OperationCancelledError
from jupyter_containers.events import CancelToken
from tests.unit.api.buildkit.peers import SECONDS, connected


def _echo(stream: Stream) -> None:
    for message in stream.each(Bytes):
        stream.send(message)


def test_messages_of_any_size_go_both_ways() -> None:
    sizes = (0, 1, 16_384, 3_000_000)  # the last is larger than a window
    with connected(_echo) as (asking, _), asking.open("/s/m") as stream:
        for size in sizes:
            stream.send(Bytes(data=b"x" * size))
            found = stream.receive(Bytes)
            assert found is not None
            assert len(found.data) == size
        stream.half_close()
        assert stream.receive(Bytes) is None


def test_an_error_has_code_text_and_details() -> None:
    def fail(stream: Stream) -> None:
        raise RpcError(5, "no such thing: 50 % of Ω", [Detail(type_url="t", value=b"v")])

    with connected(fail) as (asking, _), asking.open("/s/m") as stream:
        stream.half_close()
        with pytest.raises(RpcError) as caught:
            stream.receive(Bytes)
        assert (caught.value.code, caught.value.message) == (5, "no such thing: 50 % of Ω")
        assert caught.value.more == (Detail(type_url="t", value=b"v"),)


def test_an_error_of_the_program_is_told() -> None:
    def fail(stream: Stream) -> None:
        raise ZeroDivisionError("oops")

    with (
        connected(fail) as (asking, _),
        asking.open("/s/m") as stream,
        pytest.raises(RpcError, match="internal error: ZeroDivisionError: oops"),
    ):
        stream.receive(Bytes)


def test_a_call_that_is_given_up_is_cancelled() -> None:
    cancelled = threading.Event()

    def wait(stream: Stream) -> None:
        if stream.cancel.wait(SECONDS):
            cancelled.set()

    with connected(wait) as (asking, _):
        asking.open("/s/m").reset()
        assert cancelled.wait(SECONDS)


def test_a_client_that_is_gone_cancels_its_calls() -> None:
    begun, cancelled = threading.Event(), threading.Event()

    def wait(stream: Stream) -> None:
        begun.set()
        if stream.cancel.wait(SECONDS):
            cancelled.set()

    with connected(wait) as (asking, _):
        with asking.open("/s/m"):
            assert begun.wait(SECONDS)
            asking.close()
        assert cancelled.wait(SECONDS)


def test_work_that_is_cancelled_waits_for_no_answer() -> None:
    """A client that stays and does not answer held the cancelled build's thread for ever."""

    def wait(stream: Stream) -> None:
        stream.cancel.wait(SECONDS)

    with connected(wait) as (asking, _):
        watched = CancelToken()
        threading.Timer(0.1, watched.cancel).start()
        with asking.open("/s/m", watched=watched) as stream, pytest.raises(OperationCancelledError):
            stream.receive(Bytes)


def test_a_reader_that_does_not_read_stops_the_sender_and_not_the_connection() -> None:
    """One call's unread answer must not hold the others up, nor be held in memory."""
    sent = [0]

    def pour(stream: Stream) -> None:
        if stream.path == "/s/echo":
            _echo(stream)
            return
        while True:
            stream.send(Bytes(data=b"x" * 65536))
            sent[0] += 65536

    with connected(pour) as (asking, _), asking.open("/s/pour"):
        deadline, before = time.monotonic() + SECONDS, -1
        while sent[0] != before and time.monotonic() < deadline:
            before = sent[0]
            time.sleep(0.2)
        assert 0 < sent[0] <= 2 << 20
        with asking.open("/s/echo") as other:
            other.send(Bytes(data=b"hello"))
            assert other.receive(Bytes) == Bytes(data=b"hello")


class Hostile:
    """A client that writes hand-made frames."""

    def __init__(self) -> None:
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(SECONDS)
        self.connection = Connection(theirs, b"", CancelToken(), _echo)
        self.thread = threading.Thread(target=self.connection.run, daemon=True)
        self.thread.start()
        self.h2 = h2.connection.H2Connection(
            h2.config.H2Configuration(client_side=True, header_encoding=None)
        )
        self.h2.initiate_connection()

    def call(self) -> int:
        number = self.h2.get_next_available_stream_id()
        head = {":method": "POST", ":scheme": "http", ":path": "/s/m", ":authority": "x"}
        self.h2.send_headers(number, list(head.items()))
        return number

    def flush(self) -> None:
        self.socket.sendall(self.h2.data_to_send())

    def ended(self) -> bool:
        """Return whether the service has closed the connection and its thread has ended."""
        try:
            while self.socket.recv(65536):
                pass
        except ConnectionError:
            pass
        self.thread.join(SECONDS)
        return not self.thread.is_alive()

    def status(self) -> str:
        """Return the code with which the service ends a call."""
        while True:
            for event in self.h2.receive_data(self.socket.recv(65536)):
                headers = dict(getattr(event, "headers", None) or [])
                if b"grpc-status" in headers:
                    return str(headers[b"grpc-status"], "ascii")


def test_a_last_word_to_a_closed_socket_is_no_error() -> None:
    """Seen to fail when only an OSError was expected: the thread ended with a GoneError."""
    ours, theirs = socket.socketpair()
    connection = Connection(theirs, b"", CancelToken(), _echo)
    connection._h2.ping(b"12345678")
    ours.close()
    theirs.close()
    connection.run()
    assert connection.closed


@pytest.fixture
def client() -> Iterator[Hostile]:
    made = Hostile()
    yield made
    made.connection.close()
    made.socket.close()


@pytest.mark.parametrize(
    "data",
    [
        b"GET / HTTP/1.1\r\n\r\n",
        b"\x00" * 100,
        b"\xff" * 100,
        # A frame of 16 MB, a header frame of stream 0, settings of a wrong length.
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\xff\xff\xff\x00\x00\x00\x00\x00\x01",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x01\x01\x04\x00\x00\x00\x00\x00",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x05\x04\x00\x00\x00\x00\x00" + b"x" * 5,
    ],
)
def test_what_is_no_http2_ends_the_connection(client: Hostile, data: bytes) -> None:
    client.socket.sendall(data)
    assert client.ended()


def test_a_message_that_is_too_large_ends_its_call_before_it_is_sent(client: Hostile) -> None:
    number = client.call()
    client.h2.send_data(number, struct.pack(">BI", 0, 1 << 31))
    client.flush()
    assert client.status() == "8"


def test_a_compressed_message_ends_its_call(client: Hostile) -> None:
    number = client.call()
    client.h2.send_data(number, struct.pack(">BI", 1, 3) + b"abc")
    client.flush()
    assert client.status() == "12"


def test_streams_that_are_reset_at_once_cost_no_thread_each(client: Hostile) -> None:
    """CVE-2023-44487: 5,596 threads were seen here without the limit."""
    before = threading.active_count()
    most = 0
    try:
        for _ in range(200):
            for _ in range(100):
                client.h2.reset_stream(client.call())
            client.flush()
            most = max(most, threading.active_count() - before)
    except ConnectionError:
        pass
    assert most <= 140


def test_headers_without_an_end_are_refused(client: Hostile) -> None:
    number = client.h2.get_next_available_stream_id()
    head = [(":method", "POST"), (":scheme", "http"), (":path", "/s/m"), (":authority", "x")]
    client.h2.send_headers(number, [*head, *((f"x-{n}", "y" * 1000) for n in range(200))])
    with contextlib.suppress(ConnectionError):
        client.flush()
    assert client.ended()
