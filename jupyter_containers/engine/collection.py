"""All things of one kind: what the services of containers, images, networks and volumes share.

A collection looks at the store at every use.  Calling it lists, as the command of that name does
(``engine.containers(all=True)``); iterating goes over everything of its kind; ``get`` (or square
brackets) finds one by name, ID or unique ID prefix.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Generic, TypeAlias, TypeVar

from jupyter_containers.errors import NotFoundError

T = TypeVar("T")
# A list, for classes in which a method has that name.
Items: TypeAlias = list[T]


class Collection(ABC, Generic[T]):
    """All of one kind that an engine holds."""

    @abstractmethod
    def get(self, name: str) -> T:
        """Return one; raise :class:`NotFoundError`."""

    @abstractmethod
    def everything(self) -> Items[T]:
        """Return all of them, whatever their state."""

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
