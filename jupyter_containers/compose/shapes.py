"""The types of values in Compose files, and their conversion.

A *shape* checks a value as written, also in its short forms. Once the value is in long form, it
*shapes* it as Docker Compose prints it: typed, with fields in order, and without empty ones. Both
raise :class:`ModelError`.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Mapping, Sequence
from typing import Any

from jupyter_containers.compose import quantities
from jupyter_containers.compose.nodes import Timestamp
from jupyter_containers.compose.problems import ModelError, Path, dotted, near

LEFT_OUT: Any = object()


def kind_of(value: Any) -> str:
    """Return the JSON type of a value."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int):
        return "integer"
    if isinstance(value, float):
        return "number"
    if isinstance(value, Timestamp):
        return "date"
    if isinstance(value, str):
        return "string"
    return "object" if isinstance(value, Mapping) else "array"


class Shape:
    """Accepts values of some JSON types."""

    types: tuple[str, ...] = ()

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        kind = kind_of(value)
        if kind in self.types or (kind == "integer" and "number" in self.types):
            return
        hint = (
            "put it in quotes" if "string" in self.types and kind not in ("array", "object") else ""
        )
        raise ModelError(path, f"{dotted(path)} must be a {' or '.join(self.types)}", hint=hint)

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        raise NotImplementedError


class Anything(Shape):
    """Any value, unchanged."""

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        del value, path

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        del path
        return value


class Text(Shape):
    """A string, optionally one of a few words."""

    def __init__(
        self,
        *,
        one_of: Sequence[str] = (),
        pattern: str = "",
        null: bool = False,
        keep: bool = False,
    ) -> None:
        self.types = ("string", "null") if null else ("string",)
        self.one_of, self._keep = tuple(one_of), keep
        self._pattern = re.compile(pattern) if pattern else None

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if self.one_of and value not in self.one_of:
            words = ", ".join(f"'{word}'" for word in self.one_of)
            raise ModelError(
                path, f"{dotted(path)} value must be one of {words}", hint=near(value, self.one_of)
            )
        if self._pattern and value is not None and not self._pattern.search(value):
            raise ModelError(
                path, f"{dotted(path)} {value!r} does not match pattern '{self._pattern.pattern}'"
            )

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        del path
        text = "" if value is None else quantities.text_of(value)
        return text if text or self._keep else LEFT_OUT


class Boolean(Shape):
    """True or false, or a word of YAML 1.1 for it."""

    def __init__(self, *, keep: bool = False, text: bool = True) -> None:
        self.types = ("boolean", "string") if text else ("boolean",)
        self._keep = keep

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        found = value if isinstance(value, bool) else quantities.boolean(str(value))
        if found is None:
            raise ModelError(
                path, f"{dotted(path)}: invalid boolean {value!r}", hint="true or false"
            )
        return found if found or self._keep else LEFT_OUT


class Integer(Shape):
    """A whole number, or a string of one."""

    def __init__(
        self,
        *types: str,
        keep: bool = False,
        least: int | None = None,
        most: int | None = None,
        as_text: bool = False,
    ) -> None:
        self.types = types or ("integer", "string")
        self._keep, self._least, self._most, self._as_text = keep, least, most, as_text

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if isinstance(value, (int, float)):
            self._bounds(value, path)

    def _bounds(self, number: float, path: Path) -> None:
        if self._least is not None and number < self._least:
            raise ModelError(path, f"{dotted(path)} must be greater than or equal to {self._least}")
        if self._most is not None and number > self._most:
            raise ModelError(path, f"{dotted(path)} must be less than or equal to {self._most}")

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        try:
            number = int(value, 10) if isinstance(value, str) else int(value)
        except (ValueError, OverflowError):
            raise ModelError(path, f"{dotted(path)}: {value!r} is not a whole number") from None
        self._bounds(number, path)
        if not number and not self._keep:
            return LEFT_OUT
        return str(number) if self._as_text else number


class Number(Shape):
    """A number with a fraction, or a string of one."""

    types = ("number", "string")

    def __init__(self, *, single: bool = True) -> None:
        self._single = single

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        number = quantities.decimal(value) if isinstance(value, str) else float(value)
        if number is None:
            raise ModelError(path, f"{dotted(path)}: {value!r} is not a number")
        if number == int(number):
            return int(number) or LEFT_OUT
        return single(number) if self._single else number


def single(number: float) -> float:
    """Return the shortest number with the same 32-bit value."""
    exact = struct.unpack("f", struct.pack("f", number))[0]
    for digits in range(1, 10):
        short = float(f"{exact:.{digits}g}")
        if struct.unpack("f", struct.pack("f", short))[0] == exact:
            return short
    return number


class Size(Shape):
    """Bytes: a number, or a string with a unit."""

    def __init__(self, *types: str) -> None:
        self.types = types or ("number", "string")

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        found = quantities.size(quantities.text_of(value))
        if found is None:
            raise ModelError(path, f"{dotted(path)}: invalid size: '{value}'", hint="50m, 1.5g")
        return str(found) if found else LEFT_OUT


class Duration(Shape):
    """A duration like ``1m30s``."""

    types = ("string",)

    def __init__(self, *, keep: bool = False) -> None:
        self._keep = keep

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        found = quantities.nanoseconds(value) if isinstance(value, str) else int(value)
        if found is None:
            raise ModelError(path, f"{dotted(path)}: invalid duration {value!r}", hint="1m30s")
        return quantities.duration_text(found) if found or self._keep else LEFT_OUT


class Words(Shape):
    """A list of strings, or of strings and numbers; ``single`` also allows one string."""

    types: tuple[str, ...] = ("array",)

    def __init__(
        self,
        *,
        single: bool = False,
        unique: bool = False,
        numbers: bool = False,
    ) -> None:
        if single:
            self.types = ("string", "array")
        self.item = Integer("string", "number") if numbers else Text()
        self._unique = unique

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if isinstance(value, list):
            for index, item in enumerate(value):
                self.item.check(item, (*path, index))
            if self._unique:
                _refuse_repeated(value, path)

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        del path
        items = [value] if isinstance(value, str) else value or []
        return [quantities.text_of(item) for item in items] or LEFT_OUT


def _refuse_repeated(value: list[Any], path: Path) -> None:
    seen: dict[str, int] = {}
    for index, item in enumerate(value):
        first = seen.setdefault(repr(item), index)
        if first != index:
            raise ModelError(
                (*path, index), f"{dotted(path)} items at {first} and {index} are equal"
            )


class Command(Shape):
    """A command: a list, or a line that is split as in a shell; null means the image's command."""

    types: tuple[str, ...] = ("null", "string", "array")

    def __init__(self, *, health: bool = False, null: bool = True) -> None:
        self._health = health
        if not null:
            self.types = ("string", "array")

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        for index, item in enumerate(value if isinstance(value, list) else ()):
            Text().check(item, (*path, index))

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        if value is None:
            return None
        if isinstance(value, list):
            return LEFT_OUT if self._health and not value else list(value)
        if self._health:
            return ["CMD-SHELL", value]
        found = quantities.words(value)
        if found is None:
            raise ModelError(
                path, f"{dotted(path)}: invalid command line string", hint="close the quote"
            )
        return found


class Pairs(Shape):
    """A mapping of scalars or a list of ``NAME=value``; ``null`` keeps names without a value."""

    types: tuple[str, ...] = ("object", "array")

    def __init__(self, *, null: bool = False, text_null: str = "") -> None:
        self._null, self._text_null = null, text_null

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if isinstance(value, list):
            for index, item in enumerate(value):
                Text().check(item, (*path, index))
            return
        for key, item in value.items():
            if kind_of(item) in ("object", "array", "date"):
                raise ModelError(
                    (*path, key),
                    f"{dotted((*path, key))} must be a string, number, boolean or null",
                )

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        del path
        return pairs(value, null=self._null, text_null=self._text_null) or LEFT_OUT


def pairs(value: Any, *, null: bool = False, text_null: str = "") -> dict[str, Any]:
    """Return names and texts, by name."""
    if isinstance(value, list):
        found: dict[str, Any] = {}
        for item in value:
            name, equals, text = quantities.text_of(item).partition("=")
            found[name] = text if equals else (None if null else "")
    else:
        empty = None if null else text_null
        found = {
            name: empty if item is None else quantities.text_of(item)
            for name, item in (value or {}).items()
        }
    return dict(sorted(found.items()))


class Scalars(Shape):
    """A mapping of arbitrary names to scalars, such as driver options."""

    types = ("object",)

    def __init__(self, *types: str, null: bool = False) -> None:
        self._types = types or ("string", "number")
        if null:
            self._types = (*self._types, "null")

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        for key, item in value.items():
            kind = kind_of(item)
            if kind not in self._types and not (kind == "integer" and "number" in self._types):
                raise ModelError(
                    (*path, key), f"{dotted((*path, key))} must be a {' or '.join(self._types)}"
                )

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        del path
        return pairs(value) or LEFT_OUT


class Object(Shape):
    """A mapping with known fields, in the order of their output.

    ``keep`` keeps an empty mapping; ``always`` are fields that are always included; ``null`` allows
    a null; ``short`` is the shape of a short form.
    """

    def __init__(
        self,
        fields: Mapping[str, Shape],
        *,
        required: Sequence[str] = (),
        keep: bool = True,
        null: bool = False,
        short: Shape | None = None,
        extensions: bool = True,
        open_: bool = False,
        names: Mapping[str, str] | None = None,
        always: Mapping[str, Any] | None = None,
    ) -> None:
        self._always = always or {}
        self.fields = fields
        self.types = ("object", "null") if null else ("object",)
        self._required, self._keep, self._short, self._open = required, keep, short, open_
        self._extensions, self._names = extensions, names or {}
        if short is not None:
            self.types = tuple(dict.fromkeys((*short.types, *self.types)))

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if not isinstance(value, Mapping):
            if value is not None and self._short is not None:
                self._short.check(value, path)
            return
        for key, item in value.items():
            shape = self.fields.get(key)
            if shape is not None:
                shape.check(item, (*path, key))
            elif not self._open and not (self._extensions and key.startswith("x-")):
                raise ModelError(
                    (*path, key),
                    f"{dotted(path) or 'the file'} additional properties {key!r} not allowed",
                    hint=near(key, self.fields),
                    at_key=True,
                )
        for key in self._required:
            if key not in value:
                raise ModelError(path, f"{dotted(path)} missing property '{key}'")

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        if value is None:
            return None if self._keep else LEFT_OUT
        found: dict[str, Any] = {}
        for key, shape in self.fields.items():
            if key in self._always and value.get(key) is None:
                found[key] = self._always[key]
            elif key in value and value[key] is not None:
                item = shape.shaped(value[key], (*path, key))
                if item is not LEFT_OUT:
                    found[self._names.get(key, key)] = item
        return found if found or self._keep else LEFT_OUT


class ListOf(Shape):
    """A list of values of one shape; ``short`` is the shape of a short form of the list."""

    def __init__(self, item: Shape, *, short: Shape | None = None, unique: bool = False) -> None:
        self.types = ("array", *short.types) if short is not None else ("array",)
        self.item, self._short, self._unique = item, short, unique

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if not isinstance(value, list):
            if self._short is not None:
                self._short.check(value, path)
            return
        for index, item in enumerate(value):
            self.item.check(item, (*path, index))
        if self._unique:
            _refuse_repeated(value, path)

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        found = [self.item.shaped(item, (*path, index)) for index, item in enumerate(value)]
        return found or LEFT_OUT


class MapOf(Shape):
    """A mapping of names to values of one shape; ``short`` is the shape of a short form of it."""

    def __init__(
        self, item: Shape, *, pattern: str = "", short: Shape | None = None, closed: bool = True
    ) -> None:
        self.types = ("object", *short.types) if short is not None else ("object",)
        self.item, self._short, self._closed = item, short, closed
        self._pattern = re.compile(pattern) if pattern else None

    def check(self, value: Any, path: Path) -> None:
        """Raise if the value is not allowed here."""
        super().check(value, path)
        if not isinstance(value, Mapping):
            if self._short is not None:
                self._short.check(value, path)
            return
        for key, item in value.items():
            if self._closed and self._pattern and not self._pattern.search(key):
                raise ModelError(
                    (*path, key),
                    f"{dotted(path)} additional properties {key!r} not allowed",
                    hint="letters, digits, dots, dashes and underscores",
                    at_key=True,
                )
            self.item.check(item, (*path, key))

    def shaped(self, value: Any, path: Path) -> Any:
        """Return the typed value, or :data:`LEFT_OUT`."""
        found = {key: self.item.shaped(item, (*path, key)) for key, item in sorted(value.items())}
        kept = {key: item for key, item in found.items() if item is not LEFT_OUT}
        return kept or LEFT_OUT
