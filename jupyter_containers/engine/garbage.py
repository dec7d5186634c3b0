"""Garbage collection of unreferenced layers and blobs."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store import Garbage, Roots, Store


@dataclass(frozen=True, slots=True)
class GarbageCollection:
    """Deletes layers and blobs that neither a record of the store nor ``holders`` refer to."""

    store: Store
    holders: Sequence[Callable[[], Roots]]

    def collect(self) -> Garbage:
        """Delete the layers and blobs that no image, container or cache entry needs."""
        return self.store.collector.prune(self._roots)

    def _roots(self) -> Roots:
        digests, chain_ids = frozenset[str](), frozenset[str]()
        for roots in (self.store.collector.recorded_roots(), *(hold() for hold in self.holders)):
            digests |= roots.digests
            chain_ids |= roots.chain_ids
        return Roots(digests, chain_ids)
