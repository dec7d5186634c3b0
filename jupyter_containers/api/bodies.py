"""Bodies in JSON as typed values.

A body is checked against the type that its handler expects: a value of the wrong type is refused.
``null`` counts as not given.  An unknown field with a value is refused by its name, unless the type
lists it as *harmless* (:attr:`__harmless__`); then it is ignored.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, TypeVar

import msgspec

from jupyter_containers.api.call import Call
from jupyter_containers.api.errors import StatusError
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.oci.decoding import converted

T = TypeVar("T", bound="Fields")
_DEEPEST = 64


class Fields(msgspec.Struct, kw_only=True):
    """The fields of a JSON object of Docker's API, under Docker's names."""

    __harmless__: ClassVar[frozenset[str]] = frozenset()


def read(call: Call, kind: type[T], default: T | None = None) -> T:
    """Return a request's body; an empty one is ``default``, or an error.

    Raises :class:`InvalidArgumentError` if the body does not fit the type.
    """
    data = call.content()
    if not data.strip():
        if default is not None:
            return default
        raise InvalidArgumentError("the request needs a body in JSON")
    kind_of_content = call.headers.get("Content-Type", "application/json")
    if kind_of_content.split(";")[0].strip().lower() != "application/json":
        raise StatusError(
            415, f"unsupported Content-Type header ({kind_of_content}): must be 'application/json'"
        )
    return decode(data, kind)


def decode(data: bytes | str, kind: type[T]) -> T:
    """Return the value of a JSON text; raise :class:`InvalidArgumentError` as :func:`read` does."""
    try:
        document = _without_nulls(msgspec.json.decode(data))
    except (msgspec.MsgspecError, RecursionError, UnicodeError) as error:
        raise InvalidArgumentError(f"the body cannot be read as JSON: {error}") from error
    return convert(document, kind)


def convert(document: Any, kind: type[T]) -> T:
    """Return the value of a decoded document."""
    try:
        value = converted(document, kind)
    except (msgspec.ValidationError, RecursionError) as error:
        raise InvalidArgumentError(f"invalid request: {error}") from error
    _check_unknown(document, value, "")
    return value


def _without_nulls(document: Any, depth: int = 0) -> Any:
    if depth > _DEEPEST:
        raise InvalidArgumentError(f"the body is nested deeper than {_DEEPEST} levels")
    if isinstance(document, dict):
        return {
            name: _without_nulls(value, depth + 1)
            for name, value in document.items()
            if value is not None
        }
    if isinstance(document, list):
        return [_without_nulls(value, depth + 1) for value in document if value is not None]
    return document


def _check_unknown(document: Any, value: Any, place: str) -> None:
    """Raise for an unknown field that has a value, at any depth."""
    if isinstance(value, Fields):
        known = dict(zip(value.__struct_encode_fields__, value.__struct_fields__, strict=True))
        for name, given in document.items():
            where = f"{place}.{name}" if place else name
            if name in known:
                _check_unknown(given, getattr(value, known[name]), where)
            elif given and name not in value.__harmless__:
                raise InvalidArgumentError(f"{where} is not supported here")
    elif isinstance(value, (list, tuple)) and isinstance(document, list):
        for number, (given, item) in enumerate(zip(document, value, strict=True)):
            _check_unknown(given, item, f"{place}[{number}]")
    elif isinstance(value, Mapping) and isinstance(document, dict):
        for name, item in value.items():
            _check_unknown(document.get(name), item, f"{place}[{name}]")
