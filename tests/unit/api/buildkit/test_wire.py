"""Messages of Protocol Buffers: the reader understands the writer, and nothing breaks it."""

from __future__ import annotations

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jupyter_containers.api.buildkit import messages
from jupyter_containers.api.buildkit.messages import (
    Bytes,
    CachePlaces,
    Exporter,
    Packet,
    SolveRequest,
    Stat,
    StatusResponse,
    Timestamp,
    Vertex,
    VertexLog,
)
from jupyter_containers.api.buildkit.wire import MessageError, decode, encode

ALL = [
    kind
    for kind in vars(messages).values()
    if isinstance(kind, type) and issubclass(kind, messages.Message)
]


def test_a_message_is_the_bytes_that_buildkit_reads() -> None:
    """The bytes are those of a stat packet that buildx 0.29 was recorded to send."""
    sent = Packet(stat=Stat(path="sub/a", mode=0o644, size=2, modified=1795977780080866152))
    data = bytes.fromhex("12160a057375622f6110a403280230e8e6dbb1e888a6f618")
    assert encode(sent) == data
    assert decode(Packet, data) == sent


def test_every_kind_of_field_comes_back() -> None:
    request = SolveRequest(
        ref="a",
        frontend_attrs={"build-arg:É": "b", "no-cache": ""},
        cache=CachePlaces(exports=[Exporter(type="inline")]),
        entitlements=["x", ""],
        frontend_inputs={"c": b"\x00\xff"},
    )
    assert decode(SolveRequest, encode(request)) == request
    news = StatusResponse(
        vertexes=[Vertex(digest="d", cached=True, started=Timestamp.of(1_500_000_000))],
        logs=[VertexLog(msg=b"x" * 300, stream=2)],
    )
    assert decode(StatusResponse, encode(news)) == news
    assert decode(Stat, encode(Stat(size=-1))).size == -1
    assert (
        decode(Stat, encode(Stat(path=b"\xff".decode("utf-8", "surrogateescape")))).path == "\udcff"
    )


def test_unknown_fields_are_skipped() -> None:
    # Fields 90 (varint), 91 (bytes), 92 (8 bytes), 93 (4 bytes), then the data.
    data = b"\xd0\x05\x01" + b"\xda\x05\x01x" + b"\xe1\x05" + b"8" * 8 + b"\xed\x05" + b"4" * 4
    assert decode(Bytes, data + encode(Bytes(data=b"d"))) == Bytes(data=b"d")


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (Bytes, b"\x0a\x05abc"),  # shorter than it says
        (Bytes, b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff\x7f"),  # longer than anything
        (Bytes, b"\x08\x01"),  # a number in place of bytes
        (Packet, b"\x0a\x01x"),  # bytes in place of a number
        (Packet, b"\x10\x01"),  # a number in place of a message
        (Bytes, b"\x00\x01"),  # no field has the number 0
        (Bytes, b"\x0b"),  # a group
        (Bytes, b"\x0a" + b"\x80" * 11),  # a number without an end
        (Bytes, b"\x80"),
        (SolveRequest, b"\x38\x01"),  # a number in place of an entry of a mapping
    ],
)
def test_what_is_no_message_is_refused(kind: type[msgspec.Struct], data: bytes) -> None:
    with pytest.raises(MessageError):
        decode(kind, data)


@given(st.sampled_from(ALL), st.binary(max_size=200))
def test_any_bytes_are_a_message_or_an_error(kind: type[msgspec.Struct], data: bytes) -> None:
    try:
        found = decode(kind, data)
    except MessageError:
        return
    assert decode(kind, encode(found)) == found
