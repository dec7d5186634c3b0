"""Protocol Buffers: messages as structs, whose fields carry their numbers.

A *message* is a :class:`msgspec.Struct` whose fields are ``Annotated[type, number]``.  Types are
``str``, ``bytes``, ``int`` (a varint: int64, uint32, an enumeration), ``bool``, a message, lists of
these, and ``dict`` with texts as keys.  Unknown fields are skipped, as the format requires.

This is hand-written because the official runtime takes 25 ms and 6 MB to load, ten times as much as
all messages of a cached build take here, and the format fits on one page.
"""

from __future__ import annotations

import functools
import types
from collections.abc import Iterator
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin, get_type_hints

import msgspec

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass

T = TypeVar("T", bound=msgspec.Struct)
_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_MASK = (1 << 64) - 1
_MOST_DEPTH = 32


class MessageError(InvalidArgumentError):
    """Bytes that do not encode the expected message."""


@dataclass(frozen=True, slots=True)
class _Field:
    """A field: its name, the type of one value, and whether it holds several."""

    name: str
    kind: type
    repeated: bool = False
    mapping: bool = False


@functools.cache
def _fields(declared: type[msgspec.Struct]) -> dict[int, _Field]:
    hints = get_type_hints(declared, include_extras=True)
    found = {}
    for name, hint in hints.items():
        if get_origin(hint) is not Annotated:
            continue
        inner, number = get_args(hint)
        found[number] = _field(name, inner)
    return found


def _field(name: str, inner: Any) -> _Field:
    if get_origin(inner) in (Union, types.UnionType):  # for an optional message
        return _Field(name, get_args(inner)[0])
    if get_origin(inner) is list:
        return _Field(name, get_args(inner)[0], repeated=True)
    if get_origin(inner) is dict:
        return _Field(name, get_args(inner)[1], mapping=True)
    return _Field(name, inner)


def encode(message: msgspec.Struct) -> bytes:
    """Return a message's bytes; fields with the default value of their type are left out."""
    out = bytearray()
    for number, field in _fields(type(message)).items():
        value = getattr(message, field.name)
        if field.repeated:
            for one in value:
                _put(out, number, one)
        elif field.mapping:
            for key, one in value.items():
                entry = bytearray()
                _put(entry, 1, key)
                _put(entry, 2, one)
                _put(out, number, bytes(entry))
        elif value or isinstance(value, msgspec.Struct):
            _put(out, number, value)
    return bytes(out)


def _put(out: bytearray, number: int, value: Any) -> None:
    if isinstance(value, int):  # also a bool
        _put_varint(out, number << 3 | _VARINT)
        _put_varint(out, int(value) & _MASK)
        return
    if isinstance(value, msgspec.Struct):
        value = encode(value)
    elif isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    _put_varint(out, number << 3 | _BYTES)
    _put_varint(out, len(value))
    out += value


def _put_varint(out: bytearray, value: int) -> None:
    while value > 127:
        out.append(value & 127 | 128)
        value >>= 7
    out.append(value)


def decode(declared: type[T], data: bytes | memoryview) -> T:
    """Decode a message; raise :class:`MessageError`."""
    return _decode(declared, memoryview(data), 0)


def _decode(declared: type[T], data: memoryview, depth: int) -> T:
    if depth > _MOST_DEPTH:
        raise MessageError("a message is nested too deeply")
    fields, values = _fields(declared), dict[str, Any]()
    for number, raw in _pairs(data):
        field = fields.get(number)
        if field is None:
            continue
        if field.mapping:
            key, value = _entry(field, raw, depth)
            values.setdefault(field.name, {})[key] = value
        elif field.repeated:
            values.setdefault(field.name, []).append(_value(field, raw, depth))
        else:
            values[field.name] = _value(field, raw, depth)
    return declared(**values)


def _entry(field: _Field, raw: int | memoryview, depth: int) -> tuple[str, Any]:
    if isinstance(raw, int):
        raise MessageError(f"the field {field.name} has the wrong type")
    key: Any = ""
    value: Any = msgspec.UNSET
    for number, part in _pairs(raw):
        if number == 1:
            key = _value(_Field(field.name, str), part, depth)
        elif number == 2:
            value = _value(field, part, depth)
    return key, field.kind() if value is msgspec.UNSET else value


def _value(field: _Field, raw: int | memoryview, depth: int) -> Any:
    kind = field.kind
    if isinstance(raw, int):
        if kind is bool:
            return raw != 0
        if kind is int:
            return raw - (1 << 64) if raw >> 63 else raw
    elif kind is str:
        try:
            return str(raw, "utf-8")
        except UnicodeDecodeError:
            # File names may be any bytes.
            return str(raw, "utf-8", "surrogateescape")
    elif kind is bytes:
        return bytes(raw)
    elif issubclass(kind, msgspec.Struct):
        return _decode(kind, raw, depth + 1)
    raise MessageError(f"the field {field.name} has the wrong type")


def _pairs(data: memoryview) -> Iterator[tuple[int, int | memoryview]]:
    """Yield the number and the raw value of each field."""
    at, size = 0, len(data)
    while at < size:
        tag, at = (data[at], at + 1) if data[at] < 128 else _varint(data, at, size)
        number, kind = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise MessageError("a field of a message has no valid number")
        if kind == _VARINT:
            value, at = _varint(data, at, size)
            yield number, value
            continue
        length = {_FIXED64: 8, _FIXED32: 4}.get(kind, -1)
        if kind == _BYTES:
            length, at = _varint(data, at, size)
        if length < 0 or at + length > size:
            raise MessageError("a message ends within a field")
        yield number, data[at : at + length]
        at += length


def _varint(data: memoryview, at: int, size: int) -> tuple[int, int]:
    value = shift = 0
    while at < size:
        byte = data[at]
        at += 1
        value |= (byte & 127) << shift
        if byte < 128:
            return value & _MASK, at
        shift += 7
        if shift > 63:
            break
    raise MessageError("a message has a number without an end")
