"""The base class of the services of containers, images, networks and volumes.

A collection reads the store at every use.  Calling it lists its objects, as the command of that
name does (``engine.containers(all=True)``); iterating yields all of them; ``get`` (or square
brackets) returns one by name, ID or unique ID prefix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeAlias, TypeVar

from jupyter_containers.errors import NotFoundError

T = TypeVar("T")
# ``list`` under another name, for classes that have a method ``list``.
Items: TypeAlias = list[T]


class Collection(ABC, Generic[T]):
    """All objects of one kind in an engine's store."""

    @abstractmethod
    def get(self, name: str) -> T:
        """Return the object with this name; raise :class:`NotFoundError`."""

    @abstractmethod
    def everything(self) -> Items[T]:
        """Return all objects, in any state."""

    def __iter__(self) -> Iterator[T]:
        return iter(self.everything())

    def __len__(self) -> int:
        return len(self.everything())

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, name: str) -> T:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return name in self.everything()
        try:
            self.get(name)
        except NotFoundError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"
