"""Garbage collection: finds and removes layers and blobs that no root reaches.

*Roots* are the objects that the caller knows to be alive.  From there: an index reaches its
manifests, a manifest its configuration and layer blobs, an image record its layers, a layer the
layers below it and its blob, a build cache entry its layers.  Live leases protect more.

The decision and the removal from the records are one write transaction (one for the layers, then
one for the blobs); see :mod:`.leases` for why concurrent work loses nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

from jupyter_containers.errors import BlobNotFoundError, ContainersError, StorageError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import (
    MANIFEST,
    MAX_MANIFEST_BYTES,
    RawDocument,
    chain_id,
    is_digest,
)
from jupyter_containers.oci.image import Index, Manifest, parse_image_config, parse_manifest
from jupyter_containers.store.content import ContentStore
from jupyter_containers.store.layers import LayerRecord
from jupyter_containers.store.leases import Leases
from jupyter_containers.store.records import Records
from jupyter_containers.store.snapshots import SnapshotStore

_ATTEMPTS = 10


@dataclass(frozen=True, slots=True)
class Roots:
    """The live objects: digests of manifests, indexes and other blobs; chain IDs of layers."""

    digests: frozenset[str] = frozenset()
    chain_ids: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Garbage:
    """The layers and blobs that no root reaches and no live lease names."""

    layers: tuple[LayerRecord, ...] = ()
    blobs: tuple[str, ...] = ()
    bytes: int = 0


class Collector:
    """Garbage collection over one store."""

    def __init__(
        self, content: ContentStore, records: Records, snapshots: SnapshotStore, leases: Leases
    ) -> None:
        self._content = content
        self._records = records
        self._snapshots = snapshots
        self._leases = leases

    def recorded_roots(self, *, cache: bool = True) -> Roots:
        """Return the roots in the records: all images and, if ``cache``, the build cache.

        The caller adds the chain ids of its containers.
        """
        digests: set[str] = set()
        chains: set[str] = set()
        for image in self._records.images():
            digests |= {image.manifest.digest, image.config_digest, image.index_digest} - {""}
            chains.update(image.chain_ids)
        digests.update(name.target_digest for name in self._records.names())
        for manifest, config in self._records.damaged_images():
            digests |= {manifest, config}
            chains |= self._chains_of(config)
        if cache:
            chains.update(entry.chain_id for entry in self._records.cache_entries())
        return Roots(frozenset(digests), frozenset(chains - {""}))

    def _chains_of(self, config_digest: str) -> set[str]:
        """Return the layers of an image of which only the configuration can be read, if any."""
        try:
            diff_ids = parse_image_config(self._content.read(config_digest)).rootfs.diff_ids
        except ContainersError:
            return set()
        return {chain_id(diff_ids[: depth + 1]) for depth in range(len(diff_ids))}

    def unreferenced(self, roots: Roots) -> Garbage:
        """Return what could be removed now."""
        layers = {layer.chain_id: layer for layer in self._snapshots.layers.all()}
        protected = self._leases.protected()
        live = with_parents(roots.chain_ids | protected, layers)
        keep = self.reachable_blobs(roots.digests | protected)
        keep |= {layers[chain].blob.digest for chain in live if chain in layers}
        dead = tuple(layer for chain, layer in layers.items() if chain not in live)
        blobs = tuple(digest for digest in self._content.digests() if digest not in keep)
        size = sum(layer.size for layer in dead) + self.size_of(blobs)
        return Garbage(dead, blobs, size)

    def size_of(self, digests: Iterable[str]) -> int:
        """Return the bytes of the blobs that exist here."""
        return sum(self._size(digest) for digest in digests)

    def prune(self, find_roots: Callable[[], Roots]) -> Garbage:
        """Remove what is unreferenced and return it.

        ``find_roots`` is called again if a lease ended while the garbage was being found.
        """
        removed = Garbage()
        for _ in range(_ATTEMPTS):
            epoch = self._leases.epoch()
            garbage = self.unreferenced(find_roots())
            layers = self._retire(garbage.layers, epoch)
            # Only after the layers' records are gone: a kill in between leaves blobs that the next
            # prune finds, and no layer without its blob.
            blobs, freed = self._delete(garbage.blobs, epoch) if layers is not None else (None, 0)
            for layer in layers or ():
                self._snapshots.finish_removal(layer.chain_id, layer.directory)
            removed = Garbage(
                (*removed.layers, *(layers or ())),
                (*removed.blobs, *(blobs or ())),
                removed.bytes + freed + sum(layer.size for layer in layers or ()),
            )
            if blobs is not None:
                return removed
        raise StorageError("cannot prune: the store is too busy", hint="try again in a moment")

    def _retire(
        self, layers: tuple[LayerRecord, ...], epoch: int
    ) -> tuple[LayerRecord, ...] | None:
        """Take unprotected layers out of use; return None if a lease ended since ``epoch``."""
        with self._snapshots.layers.deletion():
            if self._leases.epoch() != epoch:
                return None
            protected = self._leases.protected()
            chosen = tuple(layer for layer in layers if layer.chain_id not in protected)
            for layer in chosen:
                self._snapshots.layers.mark_incomplete(layer.chain_id)
            return chosen

    def _delete(
        self, digests: tuple[str, ...], epoch: int
    ) -> tuple[tuple[str, ...], int] | tuple[None, int]:
        """Delete unprotected blobs; return them and their bytes, or None as :meth:`_retire`."""
        with self._snapshots.layers.deletion():
            if self._leases.epoch() != epoch:
                return None, 0
            protected = self._leases.protected()
            chosen = tuple(digest for digest in digests if digest not in protected)
            freed = self.size_of(chosen)
            for digest in chosen:
                self._content.delete(digest)
            return chosen, freed

    def reachable_blobs(self, digests: frozenset[str]) -> set[str]:
        """Return the digests and those of all blobs reachable from them, in the store or not."""
        seen: set[str] = set()
        todo = [digest for digest in digests if is_digest(digest)]
        while todo:
            digest = todo.pop()
            if digest in seen:
                continue
            seen.add(digest)
            document = self._document(digest)
            if isinstance(document, Index):
                todo.extend(entry.digest for entry in document.manifests)
            elif document is not None:
                seen.add(document.config.digest)
                seen.update(layer.digest for layer in document.layers)
        return seen

    def _document(self, digest: str) -> Index | Manifest | None:
        """Return the manifest or index in a blob, None for any other blob."""
        if not 0 < self._size(digest) <= MAX_MANIFEST_BYTES:
            return None
        try:
            data = self._content.read(digest)
            if b"schemaVersion" not in data:
                return None
            return parse_manifest(RawDocument(data, MANIFEST if b'"layers"' in data else ""))
        except ContainersError:
            return None  # a layer or configuration, or damaged: it reaches nothing

    def _size(self, digest: str) -> int:
        try:
            return self._content.size(digest)
        except BlobNotFoundError:
            return 0


def with_parents(chains: Iterable[str], layers: dict[str, LayerRecord]) -> set[str]:
    """Return the chain IDs and those of all layers below them."""
    live: set[str] = set()
    for chain in chains:
        while chain and chain not in live:
            live.add(chain)
            layer = layers.get(chain)
            chain = layer.parent_chain_id if layer else ""
    return live
