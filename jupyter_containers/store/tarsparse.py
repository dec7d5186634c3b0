"""Sparse files in tar archives: GNU's old header form and the PAX forms 0.0, 0.1 and 1.0.

A map is a list of offset and length pairs, in order; the archive stores only those bytes. See the
GNU tar manual, "Storing Sparse Files".
"""

from __future__ import annotations

from typing import Protocol

from jupyter_containers.errors import ArchiveError

_BLOCK = 512
_MAX_PAIRS = 100_000
Map = tuple[tuple[int, int], ...]


class _Stream(Protocol):
    def take(self, size: int) -> bytes: ...


def read_map(
    header: bytes, pax: dict[bytes, bytes], pairs: list[bytes], stream: _Stream
) -> tuple[Map, int, int]:
    """Return the map, the file's real size, and the stored bytes used by the map itself."""
    used = 0
    if header[156] == 0x53:
        numbers = _old_form(header, stream)
        size = _octal(header[483:495])
    elif pax.get(b"GNU.sparse.major") == b"1":
        numbers, used = _form_1_0(stream)
        size = _decimal(pax.get(b"GNU.sparse.realsize", b""))
    else:
        listed = pairs or pax.get(b"GNU.sparse.map", b"").split(b",")
        numbers = [_decimal(text) for text in listed if text]
        size = _decimal(pax.get(b"GNU.sparse.size", b""))
    return _checked(numbers, size), size, used


def _checked(numbers: list[int], size: int) -> Map:
    if len(numbers) % 2 or len(numbers) > 2 * _MAX_PAIRS:
        raise ArchiveError("a sparse map is malformed")
    pairs = tuple(zip(numbers[::2], numbers[1::2], strict=True))
    end = 0
    for offset, length in pairs:
        if offset < end or length < 0 or offset + length > size:
            raise ArchiveError("a sparse map is out of order or out of range")
        end = offset + length
    return pairs


def _old_form(header: bytes, stream: _Stream) -> list[int]:
    numbers = _old_pairs(header[386:482])
    more = header[482]
    while more:
        block = stream.take(_BLOCK)
        if len(block) < _BLOCK or len(numbers) > 2 * _MAX_PAIRS:
            raise ArchiveError("a sparse map is malformed")
        numbers += _old_pairs(block[:504])
        more = block[504]
    return numbers


def _old_pairs(data: bytes) -> list[int]:
    fields = [data[at : at + 12] for at in range(0, len(data), 12)]
    numbers: list[int] = []
    for offset, length in zip(fields[::2], fields[1::2], strict=True):
        if not offset.strip(b"\0 "):
            break
        numbers += [_octal(offset), _octal(length)]
    return numbers


def _form_1_0(stream: _Stream) -> tuple[list[int], int]:
    data, used = b"", 0
    numbers: list[int] = []
    wanted = 1
    while len(numbers) < wanted:
        while b"\n" not in data:
            block = stream.take(_BLOCK)
            used += len(block)
            data += block
            if not block or len(data) > 2 * _BLOCK:
                raise ArchiveError("a sparse map is malformed")
        text, _, data = data.partition(b"\n")
        numbers.append(_decimal(text))
        if len(numbers) == 1:
            wanted = 1 + 2 * numbers[0]
            if numbers[0] > _MAX_PAIRS:
                raise ArchiveError("a sparse map is over the limit")
    return numbers[1:], used


def _decimal(text: bytes) -> int:
    if not text.isdigit() or len(text) > 19:
        raise ArchiveError("a sparse map holds something that is not a number")
    return int(text)


def _octal(field: bytes) -> int:
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    text = field.strip(b"\0 ")
    try:
        return int(text, 8) if text else 0
    except ValueError as error:
        raise ArchiveError("a sparse map holds something that is not a number") from error
