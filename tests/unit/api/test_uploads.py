"""Bodies of any length, read from their connection."""

from __future__ import annotations

import socket
import threading
from collections.abc import Mapping

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jupyter_containers.api.call import VanishedError
from jupyter_containers.api.uploads import UploadBody
from jupyter_containers.errors import InvalidArgumentError

_CHUNKED = {"Transfer-Encoding": "chunked"}


def read(sent: bytes, headers: Mapping[str, str], early: bytes = b"") -> bytes:
    """Return the received part of a body; the client closes after sending ``sent``."""
    here, there = socket.socketpair()
    with here, there:
        worker = threading.Thread(target=_send, args=(there, sent))
        worker.start()
        try:
            return UploadBody(here, early, headers).read() or b""
        finally:
            here.close()
            worker.join()


def _send(connection: socket.socket, data: bytes) -> None:
    try:
        connection.sendall(data)
        connection.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # it was not read to its end


def chunks(pieces: list[bytes]) -> bytes:
    return b"".join(b"%X;a=b\r\n%b\r\n" % (len(one), one) for one in pieces) + b"0\r\nT: x\r\n\r\n"


@settings(max_examples=60)
@given(st.lists(st.binary(min_size=1, max_size=3000), max_size=8), st.integers(0, 4000))
def test_a_body_is_the_same_in_chunks_and_with_a_length(pieces: list[bytes], cut: int) -> None:
    whole, framed = b"".join(pieces), chunks(pieces)
    assert read(framed[cut:], _CHUNKED, framed[:cut]) == whole
    length = {"Content-Length": str(len(whole))}
    assert read(whole[cut:] + b"next", length, whole[:cut]) == whole


def test_large_pieces_are_read_whole() -> None:
    data = bytes(range(256)) * 8000
    assert read(chunks([data, data]), _CHUNKED) == data * 2


@pytest.mark.parametrize(
    "sent",
    [
        b"zz\r\n", b"-1\r\n", b"\r\n", b"1\nab\r\n", b"2\r\nabX\r\n", b"fffffffffffff\r\n",
        b"1;" + b"x" * 9000 + b"\r\n", b"0\r\n" + b"T: x\r\n" * 100, b"0x5\r\n",
    ],
)  # fmt: skip
def test_chunks_that_are_none_are_refused(sent: bytes) -> None:
    with pytest.raises(InvalidArgumentError):
        read(sent, _CHUNKED)


@pytest.mark.parametrize(
    ("sent", "headers"),
    [(b"5\r\nab", _CHUNKED), (b"", _CHUNKED), (b"ab", {"Content-Length": "3"})],
)
def test_a_client_that_goes_too_early_is_gone(sent: bytes, headers: dict[str, str]) -> None:
    with pytest.raises(VanishedError):
        read(sent, headers)


@pytest.mark.parametrize(
    "headers", [{**_CHUNKED, "Content-Length": "5"}, {"Transfer-Encoding": "gzip, chunked"}]
)
def test_two_lengths_are_refused(headers: dict[str, str]) -> None:
    with pytest.raises(InvalidArgumentError, match="no length"):
        read(b"", headers)


def test_a_client_that_waits_for_a_word_is_told_to_go_on() -> None:
    here, there = socket.socketpair()
    with here, there:
        body = UploadBody(here, b"", {"Content-Length": "2", "Expect": "100-continue"})
        there.sendall(b"ab")
        assert body.read() == b"ab"
        assert there.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
