"""Compressed streams."""

from __future__ import annotations

import gzip
import random

import pytest

from jupyter_containers.store.compression import compressed


@pytest.mark.parametrize("level", [None, 6])
def test_the_same_input_gives_the_same_bytes_in_whatever_pieces(level: int | None) -> None:
    source = random.Random(1)
    words = [source.randbytes(source.randint(1, 8)) for _ in range(3_000)]
    data = b"".join(source.choices(words, k=500_000))

    def packed(*sizes: int) -> bytes:
        found: list[bytes] = []
        begin = 0
        with compressed(found.append, "gzip", level) as write:
            while begin < len(data):
                size = source.choice(sizes)
                write(data[begin : begin + size])
                begin += size
        return b"".join(found)

    whole = packed(len(data))
    assert gzip.decompress(whole) == data
    for sizes in [(65_536,), (262_144,), (1_048_576,), (1, 700, 262_143, 900_000)]:
        assert packed(*sizes) == whole
