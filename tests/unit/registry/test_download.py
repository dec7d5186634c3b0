from __future__ import annotations

from collections.abc import Callable

import pytest

from jupyter_containers.errors import OperationCancelledError, SizeMismatchError
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import LAYER_TAR, Descriptor, digest_of
from jupyter_containers.registry.download import BlobReader
from jupyter_containers.registry.transport import ConnectionFailedError
from tests.unit.registry.fakes import FakeResponse, broken

DATA = bytes(1000) + bytes(range(250)) * 8
BLOB = Descriptor(LAYER_TAR, digest_of(DATA), len(DATA))


def reader(
    open_at: Callable[[int], FakeResponse], offset: int = 0, blob: Descriptor = BLOB
) -> BlobReader:
    return BlobReader(blob, offset, open_at, cancel=CancelToken(), pause=0.0)


def part(start: int, *pieces: bytes | ConnectionFailedError) -> FakeResponse:
    told = {"Content-Range": f"bytes {start}-{len(DATA) - 1}/{len(DATA)}"}
    return FakeResponse(206 if start else 200, told if start else {}, *pieces)


def test_small_reads_are_gathered_into_large_pieces() -> None:
    data = bytes(1_000_000)
    blob = Descriptor(LAYER_TAR, digest_of(data), len(data))
    pieces = [data[i : i + 10_000] for i in range(0, len(data), 10_000)]
    with reader(lambda start: FakeResponse(200, {}, *pieces), blob=blob) as opened:
        got = list(opened)
    assert b"".join(got) == data
    assert all(len(piece) >= 256 * 1024 for piece in got[:-1])


def test_what_arrived_before_a_break_is_not_lost() -> None:
    starts: list[int] = []

    def open_at(start: int) -> FakeResponse:
        starts.append(start)
        return part(start, DATA[start : start + 700], broken())

    with reader(open_at) as opened:
        assert b"".join(opened) == DATA
    assert starts == [0, 700, 1400, 2100, 2800]


def test_a_break_while_skipping_is_not_the_end() -> None:
    answers = [
        FakeResponse(200, {}, DATA[:2000], broken()),
        FakeResponse(200, {}, DATA[:100], broken()),
        FakeResponse(200, {}, DATA),
    ]
    with reader(lambda start: answers.pop(0)) as opened:
        assert b"".join(opened) == DATA


def test_a_complete_offset_needs_no_request() -> None:
    def open_at(start: int) -> FakeResponse:
        raise AssertionError("asked for nothing")

    with reader(open_at, len(DATA)) as opened:
        assert opened.offset == len(DATA)
        assert list(opened) == []


@pytest.mark.parametrize("offset", [-1, len(DATA) + 1])
def test_an_impossible_offset_starts_over(offset: int) -> None:
    with reader(lambda start: part(start, DATA[start:]), offset) as opened:
        assert opened.offset == 0
        assert b"".join(opened) == DATA


def test_no_more_than_one_byte_too_many() -> None:
    with reader(lambda start: part(start, DATA[start:] + bytes(5000)), 1000) as opened:
        assert b"".join(opened) == DATA[1000:] + b"\0"


def test_a_silent_end_is_tried_once_more_only() -> None:
    starts: list[int] = []

    def open_at(start: int) -> FakeResponse:
        starts.append(start)
        return part(start, b"" if start else DATA[:9])

    with pytest.raises(SizeMismatchError), reader(open_at) as opened:
        list(opened)
    assert starts == [0, 9]


def test_responses_are_closed() -> None:
    made: list[FakeResponse] = []

    def open_at(start: int) -> FakeResponse:
        made.append(part(start, DATA[start : start + 2000], broken()))
        return made[-1]

    with reader(open_at) as opened:
        list(opened)
    assert [response.closed for response in made] == [True, True]
    other = FakeResponse(206, {"Content-Range": "bytes 1-8/9"})
    with pytest.raises(SizeMismatchError):
        reader(lambda start: other, 1)
    assert other.closed


def test_cancelling_stops_between_reads() -> None:
    cancel = CancelToken()
    with BlobReader(
        BLOB, 0, lambda start: part(start, DATA[:10], DATA[10:]), cancel=cancel
    ) as opened:
        cancel.cancel()
        with pytest.raises(OperationCancelledError):
            list(opened)
