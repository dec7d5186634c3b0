"""Values that are read once and recorded as they were written.

A record holds the text of ``--restart`` or ``--ulimit``, and so do records of before these values
had types: each reads the other's.  ``inspect`` shows the text where Docker does.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Self


class Written(str):
    """A text with the values that it means; :meth:`read` raises for one that means nothing."""

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Read ``text``; raise :class:`InvalidArgumentError`."""
        value = super().__new__(cls, text)
        for name, part in value.read().items():
            # Methods of str return the text itself where nothing is cut off.
            object.__setattr__(value, name, str(part) if isinstance(part, Written) else part)
        return value

    def read(self) -> dict[str, Any]:
        """Return the values of the slots."""
        raise NotImplementedError

    def __setattr__(self, name: str, value: object) -> None:
        """Refuse: the value is that of the text."""
        raise AttributeError(f"{type(self).__name__} cannot be changed")

    def __reduce__(self) -> tuple[type[Self], tuple[str]]:
        """Return how a copy is made in another process."""
        return type(self), (str(self),)


class WrittenPairs(Mapping[str, str]):
    """A mapping of texts with the values that they mean."""

    def __init__(self, pairs: Mapping[str, str]) -> None:
        self._pairs = dict(pairs)

    def __getitem__(self, name: str) -> str:
        """Return a value as it was written."""
        return self._pairs[name]

    def __iter__(self) -> Iterator[str]:
        """Return the names."""
        return iter(self._pairs)

    def __len__(self) -> int:
        """Return the number of pairs."""
        return len(self._pairs)


def to_json(value: Any) -> Any:
    """Return the JSON form of a value of another type, for a record (msgspec's ``enc_hook``)."""
    if isinstance(value, Written):
        return str(value)
    if isinstance(value, WrittenPairs):
        return dict(value)
    raise NotImplementedError(type(value).__name__)


def from_json(kind: type, value: Any) -> Any:
    """Return the value for its form in a record (``dec_hook``); raise :class:`ValueError`."""
    if issubclass(kind, Written) and isinstance(value, str):
        return kind(value)
    if issubclass(kind, WrittenPairs) and isinstance(value, dict):
        if not all(isinstance(item, str) for item in value.values()):
            raise ValueError(f"{kind.__name__} of other values than texts")
        return kind(value)
    raise ValueError(f"{type(value).__name__} is not a {kind.__name__}")
