"""The parameters of a request's address, parsed as Docker's daemon parses them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from urllib.parse import parse_qs

import msgspec

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.options.values import natural

_FALSE = ("", "0", "no", "false", "none")
_MOMENT = pattern(r"([0-9]{1,12})(?:\.([0-9]{1,9}))?")
_MOST_FIELDS = 1000


class Query:
    """The parameters by name; the first of several counts, except for :meth:`texts`."""

    def __init__(self, text: str) -> None:
        try:
            self._values = parse_qs(
                text, keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS
            )
        except ValueError as error:
            raise InvalidArgumentError("the parameters of the address cannot be read") from error

    def __contains__(self, name: str) -> bool:
        return name in self._values

    def text(self, name: str, default: str = "") -> str:
        """Return a parameter as it stands in the address."""
        return self._values.get(name, [default])[0]

    def texts(self, name: str) -> list[str]:
        """Return all values of a parameter."""
        return self._values.get(name, [])

    def flag(self, name: str, *, default: bool = False) -> bool:
        """Return a boolean: anything but 0, no, false and none means true, as in Docker."""
        if name not in self._values:
            return default
        return self.text(name).strip().lower() not in _FALSE

    def whole(self, name: str, default: int | None = None) -> int | None:
        """Return a whole number; raise :class:`InvalidArgumentError` for anything else."""
        text = self.text(name)
        if not text:
            return default
        number = natural(text.removeprefix("-"))
        if number is None or number > 2**62:
            raise InvalidArgumentError(f"invalid {name}: {text[:40]!r} is not a whole number")
        return -number if text.startswith("-") else number

    def moment(self, name: str) -> datetime | None:
        """Return a time: seconds since the epoch, with a fraction; or RFC 3339; None for 0."""
        text = self.text(name)
        if text in ("", "0"):
            return None
        match = _MOMENT.fullmatch(text)
        try:
            if match is None:
                moment = datetime.fromisoformat(text)
                return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
            fraction = int((match[2] or "").ljust(6, "0")[:6])
            return datetime.fromtimestamp(int(match[1]), UTC).replace(microsecond=fraction)
        except (ValueError, OverflowError, OSError) as error:
            raise InvalidArgumentError(f"invalid {name}: {text[:40]!r} is not a time") from error

    def document(self, name: str, kind: type[msgspec.Struct] | object) -> object:
        """Return a parameter that is JSON; None if it is missing."""
        text = self.text(name)
        if text in ("", "null"):  # the client of 20.10 sends null for an option without a value
            return None
        try:
            return msgspec.json.decode(text, type=kind)
        except (msgspec.MsgspecError, RecursionError) as error:
            raise InvalidArgumentError(f"invalid {name}: {error}") from error

    def filters(self) -> dict[str, tuple[str, ...]]:
        """Return ``filters`` by name, from lists or Docker's older form (value to boolean)."""
        found = self.document("filters", dict[str, list[str] | dict[str, bool]])
        assert found is None or isinstance(found, Mapping)
        return {
            key: tuple(values)
            if isinstance(values, list)
            else tuple(value for value, on in values.items() if on)
            for key, values in (found or {}).items()
        }
