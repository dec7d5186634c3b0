"""``system df``: the disk usage of images, containers, volumes and build cache."""

from __future__ import annotations

from collections.abc import Iterable

from jupyter_containers.engine.builds.cache_mounts import CacheMounts
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.results import DiskUsage
from jupyter_containers.store import ImageRecord
from jupyter_containers.store.gc import with_parents


class DiskUsageReport:
    """Measures one store."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def kept_parts(self) -> set[str]:
        """Return the layers and blobs of containers and the build cache.

        The names are those of :func:`~jupyter_containers.engine.system.disk_details.image_parts`.
        """
        store = self._context.store
        chains, blobs = self._parts_of_containers()
        layers = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
        cached = (entry.chain_id for entry in store.records.cache_entries() if entry.chain_id)
        chains |= with_parents(cached, layers)
        blobs |= {layers[chain].blob.digest for chain in chains if chain in layers}
        return {f"layer {chain}" for chain in chains} | blobs

    def lines(self) -> list[DiskUsage]:
        """Return the lines of ``system df``; sizes in bytes, shared ones counted once."""
        return [
            self._images_usage(),
            self._containers_usage(),
            self._volumes_usage(),
            self._cache_usage(),
        ]

    def _weight(self, chains: set[str], digests: set[str]) -> int:
        """Return the bytes of unpacked layers and of blobs, including the layers' own blobs."""
        store = self._context.store
        layers = [layer for layer in store.snapshots.layers.all() if layer.chain_id in chains]
        blobs = digests | {layer.blob.digest for layer in layers}
        return sum(layer.size for layer in layers) + store.collector.size_of(blobs)

    def _parts_of_images(self, images: Iterable[ImageRecord]) -> tuple[set[str], set[str]]:
        """Return the layers (chain IDs) and blobs of images."""
        records = list(images)
        documents = {
            digest
            for record in records
            for digest in (record.manifest.digest, record.config_digest, record.index_digest)
            if digest
        }
        chains = {chain for record in records for chain in record.chain_ids}
        return chains, self._context.store.collector.reachable_blobs(frozenset(documents))

    def _parts_of_containers(self) -> tuple[set[str], set[str]]:
        """Return the layers and blobs of containers, including those of removed images."""
        store, containers = self._context.store, self._context.containers.all()
        layers = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
        chains = with_parents((item.chain_id for item in containers), layers)
        manifests = frozenset(item.manifest_digest for item in containers if item.manifest_digest)
        return chains, store.collector.reachable_blobs(manifests)

    def _images_usage(self) -> DiskUsage:
        images = self._context.store.records.images()
        used = {item.manifest_digest for item in self._context.containers.all()}
        in_use = [record for record in images if record.manifest.digest in used]
        held_chains, held_blobs = self._parts_of_containers()
        chains, blobs = self._parts_of_images(images)
        active_chains, active_blobs = self._parts_of_images(in_use)
        size = self._weight(chains | held_chains, blobs | held_blobs)
        active = self._weight(active_chains | held_chains, active_blobs | held_blobs)
        return DiskUsage("Images", len(images), len(in_use), size, size - active)

    def _containers_usage(self) -> DiskUsage:
        containers = self._context.containers.all()
        sizes = {item.id: self._context.store.snapshots.size_rw(item.id) for item in containers}
        alive = [item for item in containers if item.state.status.alive]
        total = sum(sizes.values())
        busy = sum(sizes[item.id] for item in alive)
        return DiskUsage("Containers", len(containers), len(alive), total, total - busy)

    def _volumes_usage(self) -> DiskUsage:
        from jupyter_containers.store.uppers import tree_size

        containers = self._context.containers.all()
        mounted = {mount.name for item in containers for mount in item.mounts}
        sizes = {
            item.name: tree_size(self._context.settings.layout.volumes / item.name)
            for item in self._context.volumes.all()
        }
        return DiskUsage(
            "Local Volumes",
            len(sizes),
            sum(name in mounted for name in sizes),
            sum(sizes.values()),
            sum(size for name, size in sizes.items() if name not in mounted),
        )

    def _cache_usage(self) -> DiskUsage:
        """Measure everything that neither images nor containers need: build steps, cache mounts."""
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        store, caches = self._context.store, CacheMounts(self._context)
        chains, blobs = self._parts_of_images(store.records.images())
        held_chains, held_blobs = self._parts_of_containers()
        every = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
        held_blobs |= blobs | {
            every[chain].blob.digest for chain in chains | held_chains if chain in every
        }
        rest = set(every) - chains - held_chains
        blobs = set(store.content.digests()) - held_blobs
        size = sum(every[chain].size for chain in rest) + store.collector.size_of(blobs)
        size += sum(store.snapshots.size_rw(step.key) for step in FailedSteps(self._context).all())
        size += store.content.partial_bytes()
        folders = caches.all()
        total, unused = caches.size()
        return DiskUsage(
            "Build Cache",
            len(rest) + len(folders),
            sum(used for _, used in folders),
            size + total,
            size + unused,
        )
