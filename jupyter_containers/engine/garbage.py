"""Garbage collection: layers and blobs that nothing in the store needs any more."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from jupyter_containers.store import Garbage, Roots, Store


@dataclass(frozen=True, slots=True)
class GarbageCollection:
    """Deletes what neither a record of the store nor one of ``holders`` keeps."""

    store: Store
    holders: Sequence[Callable[[], Roots]]

    def collect(self) -> Garbage:
        """Delete layers and blobs that no image, container or cache entry needs."""
        return self.store.collector.prune(self._roots)

    def _roots(self) -> Roots:
        digests, chain_ids = frozenset[str](), frozenset[str]()
        for roots in (self.store.collector.recorded_roots(), *(hold() for hold in self.holders)):
            digests |= roots.digests
            chain_ids |= roots.chain_ids
        return Roots(digests, chain_ids)
