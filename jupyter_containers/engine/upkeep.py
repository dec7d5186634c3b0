"""Housekeeping: what dead processes left, what nothing needs, what the disk holds."""

from __future__ import annotations

import shutil

from jupyter_containers.engine.cachemounts import CacheMounts
from jupyter_containers.engine.images import Images
from jupyter_containers.engine.lifecycle import Lifecycle, builder_alive
from jupyter_containers.engine.results import DiskUsage, PruneResult
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.oci.descriptor import short_id
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store import Garbage, Roots


class Upkeep:
    """Keeps one store tidy."""

    def __init__(self, rooms: Rooms, images: Images, lifecycle: Lifecycle) -> None:
        self._rooms, self._images, self._lifecycle = rooms, images, lifecycle

    def sweep(self) -> None:
        """Finish or remove what dead processes left; done at every start of an engine."""
        self._rooms.store.sweep()
        self._lifecycle.sweep()
        workbench = self._rooms.workbench
        for folder in workbench.iterdir() if workbench.is_dir() else ():
            if not builder_alive(folder.name):
                shutil.rmtree(folder, ignore_errors=True)

    def collect(self) -> Garbage:
        """Delete layers and blobs that no image, container or cache entry needs."""
        return self._rooms.store.collector.prune(self._roots)

    def _roots(self) -> Roots:
        recorded = self._rooms.store.collector.recorded_roots()
        records = self._rooms.containers.all()
        chains = {record.chain_id for record in records if record.chain_id}
        manifests = {record.manifest_digest for record in records}
        return Roots(recorded.digests | manifests, recorded.chain_ids | chains)

    def prune_containers(self) -> PruneResult:
        """Remove all containers that do not run."""
        removed, freed = [], 0
        for record in self._rooms.containers.all():
            looked = self._lifecycle.look(record)
            if looked is None or looked.state.status.alive or looked.phase != "ready":
                continue
            freed += self._rooms.store.snapshots.size_rw(looked.id)
            self._lifecycle.remove(looked, force=False, volumes=False)
            removed.append(looked.id)
        return PruneResult(tuple(removed), freed)

    def prune_images(self, *, all: bool = False) -> PruneResult:  # Docker's flag
        """Remove images without a name; with ``all``, all that no container uses."""
        used = {record.manifest_digest for record in self._rooms.containers.all()}
        removed: list[str] = []
        for record, names in self._images.all():
            if record.manifest.digest in used or (names and not all):
                continue
            removed += [f"untagged: {Reference.parse(name).familiar}" for name in names]
            self._rooms.store.delete_image(record.manifest.digest)
            removed.append(f"deleted: {record.config_digest}")
        return PruneResult(tuple(removed), self.collect().bytes)

    def prune_volumes(self, *, all: bool = False) -> PruneResult:  # Docker's flag
        """Remove anonymous volumes (with ``all`` also named ones) that no container has."""
        from jupyter_containers.store.uppers import tree_size

        used = {mount.name for record in self._rooms.containers.all() for mount in record.mounts}
        removed, freed = [], 0
        for volume in self._rooms.volumes.all():
            if volume.name in used or not (volume.anonymous or all):
                continue
            folder = self._rooms.settings.root / "volumes" / volume.name
            freed += tree_size(folder)
            self._rooms.volumes.delete(volume.id)
            shutil.rmtree(folder, ignore_errors=True)
            removed.append(volume.name)
        return PruneResult(tuple(removed), freed)

    def prune_builder(self) -> PruneResult:
        """Forget all build steps and what only they held."""
        records = self._rooms.store.records
        entries = records.cache_entries()
        for entry in entries:
            records.cache_delete(entry.key)
        freed = CacheMounts(self._rooms).prune()
        garbage = self.collect()
        removed = tuple(short_id(layer.chain_id) for layer in garbage.layers)
        return PruneResult(removed, garbage.bytes + freed)

    def disk_usage(self) -> list[DiskUsage]:
        """Return the lines of ``system df``; sizes are bytes on this disk, shared ones once."""
        from jupyter_containers.store.uppers import tree_size

        rooms = self._rooms
        layers = {layer.chain_id: layer for layer in rooms.store.snapshots.layers.all()}
        images, containers = self._images.all(), rooms.containers.all()
        by_images = {chain for record, _ in images for chain in record.chain_ids}
        used = {item.manifest_digest for item in containers}
        in_use = {
            chain
            for record, _ in images
            if record.manifest.digest in used
            for chain in record.chain_ids
        }

        def weight(chains: set[str]) -> int:
            return sum(
                layers[chain].size + layers[chain].blob.size for chain in chains if chain in layers
            )

        sizes = {item.id: rooms.store.snapshots.size_rw(item.id) for item in containers}
        alive = [item for item in containers if item.state.status.alive]
        mounted = {mount.name for item in containers for mount in item.mounts}
        volumes = {
            item.name: tree_size(rooms.settings.root / "volumes" / item.name)
            for item in rooms.volumes.all()
        }
        cached = set(layers) - by_images
        mounts = CacheMounts(rooms)
        mounts_size, mounts_unused = mounts.size()
        return [
            DiskUsage(
                "Images",
                len(images),
                sum(record.manifest.digest in used for record, _ in images),
                weight(by_images),
                weight(by_images - in_use),
            ),
            DiskUsage(
                "Containers",
                len(containers),
                len(alive),
                sum(sizes.values()),
                sum(sizes.values()) - sum(sizes[item.id] for item in alive),
            ),
            DiskUsage(
                "Local Volumes",
                len(volumes),
                sum(name in mounted for name in volumes),
                sum(volumes.values()),
                sum(size for name, size in volumes.items() if name not in mounted),
            ),
            DiskUsage(
                "Build Cache",
                len(cached) + len(mounts.all()),
                sum(used for _, used in mounts.all()),
                weight(cached) + mounts_size,
                weight(cached) + mounts_unused,
            ),
        ]
