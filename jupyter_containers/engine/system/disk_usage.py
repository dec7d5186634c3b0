"""Housekeeping: what dead processes left, what nothing needs, what the disk holds."""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from jupyter_containers.engine.builds.cache_mounts import CacheMounts
from jupyter_containers.engine.containers.sweep import SweptLifecycle, builder_alive
from jupyter_containers.engine.context import Rooms
from jupyter_containers.engine.filters import Filters, PruneFilter
from jupyter_containers.engine.images.catalog import Images, Names, companions
from jupyter_containers.engine.images.selection import PRUNING, Selection
from jupyter_containers.engine.results import DiskUsage, PruneResult
from jupyter_containers.engine.volumes.catalog import Volumes
from jupyter_containers.store import Garbage, ImageRecord, Roots
from jupyter_containers.store.faults import tolerated
from jupyter_containers.store.gc import with_parents

if TYPE_CHECKING:
    from jupyter_containers.engine.builds.cache_records import BuildRecords


_DIGESTS = re.compile(rb"sha256:[0-9a-f]{64}")


class Upkeep:
    """Keeps one store tidy."""

    def __init__(self, rooms: Rooms, images: Images, lifecycle: SweptLifecycle) -> None:
        self._rooms, self._images, self._lifecycle = rooms, images, lifecycle

    def sweep(self) -> None:
        """Finish or remove what dead processes left; done at every start of an engine."""
        workbench = self._rooms.workbench
        found = list(workbench.iterdir()) if workbench.is_dir() else []
        dead = [folder for folder in found if not builder_alive(folder.name)]
        for folder in dead:
            self._rooms.runtime.abandon(folder.name)
        self._rooms.store.sweep()
        # On a full or read-only disk the verb comes first: it may be how room is made.
        with tolerated():
            self._lifecycle.sweep()
        for folder in dead:
            shutil.rmtree(folder, ignore_errors=True)

    def collect(self) -> Garbage:
        """Delete layers and blobs that no image, container or cache entry needs."""
        return self._rooms.store.collector.prune(self._roots)

    def _roots(self) -> Roots:
        recorded = self._rooms.store.collector.recorded_roots()
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        records = self._rooms.containers.all()
        chains = {record.chain_id for record in records if record.chain_id}
        chains |= FailedSteps(self._rooms).chain_ids()
        manifests = {record.manifest_digest for record in records}
        # What a damaged record still names is kept until it is mended.
        named = {
            text.decode()
            for document in self._rooms.containers.damaged()
            for text in _DIGESTS.findall(document.data)
        }
        chains, manifests = chains | named, manifests | named
        return Roots(recorded.digests | manifests, recorded.chain_ids | chains)

    def prune_containers(self, filters: Filters | None = None) -> PruneResult:
        """Remove all containers that do not run."""
        selection = PruneFilter(filters)
        removed, freed = [], 0
        for record in self._rooms.containers.all():
            looked = self._lifecycle.look(record)
            if looked is None or looked.state.status.up:
                continue
            labels = {**looked.config.labels, **(looked.options.labels or {})}
            if not selection.accepts(labels, looked.created):
                continue
            size = self._rooms.store.snapshots.size_rw(looked.id)
            if self._lifecycle.remove_unused(looked):
                freed += size
                removed.append(looked.id)
        return PruneResult(tuple(removed), freed)

    def prune_images(
        self,
        *,
        all: bool = False,  # Docker's flag
        filters: Mapping[str, Iterable[str]] | None = None,
    ) -> PruneResult:
        """Remove images without a name; with ``all``, all that no container uses."""
        selection = Selection(filters or {}, self._images.find, PRUNING)
        all = False in selection.by_dangling or (all and True not in selection.by_dangling)
        chosen: list[tuple[ImageRecord, Names]] = []

        def choose(protected: frozenset[str]) -> Iterator[str]:
            used = {record.manifest_digest for record in self._rooms.containers.all()}
            pairs = self._images.all()
            # Unnamed images for other platforms are part of a named one.
            used |= protected | (frozenset() if all else companions(pairs))
            for record, names in pairs:
                digest = record.manifest.digest
                wanted = digest in used or (names and not all)
                if not wanted and selection.accepts(record):
                    chosen.append((record, names))
                    yield digest

        self._rooms.store.delete_images(choose)
        removed: list[str] = []
        for record, names in chosen:
            gone = self._images.released(record, names, names)
            removed += [f"untagged: {name}" for name in gone]
            self._images.note("delete", record)
            removed.append(f"deleted: {record.config_digest}")
        garbage = self.collect()
        held = {chain for record, _ in chosen for chain in record.chain_ids}
        layers = [layer.chain_id for layer in garbage.layers if layer.chain_id in held]
        removed += [f"deleted: {chain}" for chain in layers]
        # Downloads that ended early have neither a label nor an age that a filter could mean.
        partials = 0 if filters else self._rooms.store.content.drop_partials()
        return PruneResult(tuple(removed), garbage.bytes + partials)

    def prune_volumes(
        self,
        volumes: Volumes,
        *,
        all: bool = False,  # Docker's flag
        filters: Filters | None = None,
    ) -> PruneResult:
        """Remove anonymous volumes (with ``all`` also named ones) that no container has."""
        from jupyter_containers.store.uppers import tree_size

        selection = PruneFilter(filters, ("label", "label!", "all"))
        if self._rooms.containers.damaged():
            return PruneResult((), 0)  # nobody knows which volumes those have
        used = {mount.name for record in self._rooms.containers.all() for mount in record.mounts}
        removed, freed = [], 0
        for volume in self._rooms.volumes.all():
            if volume.name in used or not (volume.anonymous or all or selection.all):
                continue
            if not selection.accepts(volume.labels, volume.created):
                continue
            freed += tree_size(self._rooms.settings.root / "volumes" / volume.name)
            volumes.destroy(volume)
            removed.append(volume.name)
        return PruneResult(tuple(removed), freed)

    @property
    def build_records(self) -> BuildRecords:
        """The build cache, record by record."""
        from jupyter_containers.engine.builds.cache_records import BuildRecords

        return BuildRecords(self._rooms, self.collect)

    def kept_parts(self) -> set[str]:
        """Return what stays when images go: layers and blobs of containers and the build cache.

        Named as :func:`~jupyter_containers.engine.system.disk_details.image_parts` names them.
        """
        store = self._rooms.store
        chains, blobs = self._held_by_containers()
        layers = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
        cached = (entry.chain_id for entry in store.records.cache_entries() if entry.chain_id)
        chains |= with_parents(cached, layers)
        blobs |= {layers[chain].blob.digest for chain in chains if chain in layers}
        return {f"layer {chain}" for chain in chains} | blobs

    def disk_usage(self) -> list[DiskUsage]:
        """Return the lines of ``system df``; sizes are bytes on this disk, shared ones once."""
        return [
            self._images_usage(),
            self._containers_usage(),
            self._volumes_usage(),
            self._cache_usage(),
        ]

    def _weight(self, chains: set[str], digests: set[str]) -> int:
        """Return the bytes of unpacked layers and of blobs; those of the layers are added."""
        store = self._rooms.store
        layers = [layer for layer in store.snapshots.layers.all() if layer.chain_id in chains]
        blobs = digests | {layer.blob.digest for layer in layers}
        return sum(layer.size for layer in layers) + store.collector.size_of(blobs)

    def _held(self, images: Iterable[ImageRecord]) -> tuple[set[str], set[str]]:
        """Return the layers (chain ids) and blobs that images hold."""
        records = list(images)
        documents = {
            digest
            for record in records
            for digest in (record.manifest.digest, record.config_digest, record.index_digest)
            if digest
        }
        chains = {chain for record in records for chain in record.chain_ids}
        return chains, self._rooms.store.collector.reachable_blobs(frozenset(documents))

    def _held_by_containers(self) -> tuple[set[str], set[str]]:
        """Return what containers hold, also of images that are removed already."""
        store, containers = self._rooms.store, self._rooms.containers.all()
        layers = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
        chains = with_parents((item.chain_id for item in containers), layers)
        manifests = frozenset(item.manifest_digest for item in containers if item.manifest_digest)
        return chains, store.collector.reachable_blobs(manifests)

    def _images_usage(self) -> DiskUsage:
        images = self._rooms.store.records.images()
        used = {item.manifest_digest for item in self._rooms.containers.all()}
        in_use = [record for record in images if record.manifest.digest in used]
        held_chains, held_blobs = self._held_by_containers()
        chains, blobs = self._held(images)
        active_chains, active_blobs = self._held(in_use)
        size = self._weight(chains | held_chains, blobs | held_blobs)
        active = self._weight(active_chains | held_chains, active_blobs | held_blobs)
        return DiskUsage("Images", len(images), len(in_use), size, size - active)

    def _containers_usage(self) -> DiskUsage:
        containers = self._rooms.containers.all()
        sizes = {item.id: self._rooms.store.snapshots.size_rw(item.id) for item in containers}
        alive = [item for item in containers if item.state.status.alive]
        total = sum(sizes.values())
        busy = sum(sizes[item.id] for item in alive)
        return DiskUsage("Containers", len(containers), len(alive), total, total - busy)

    def _volumes_usage(self) -> DiskUsage:
        from jupyter_containers.store.uppers import tree_size

        containers = self._rooms.containers.all()
        mounted = {mount.name for item in containers for mount in item.mounts}
        sizes = {
            item.name: tree_size(self._rooms.settings.root / "volumes" / item.name)
            for item in self._rooms.volumes.all()
        }
        return DiskUsage(
            "Local Volumes",
            len(sizes),
            sum(name in mounted for name in sizes),
            sum(sizes.values()),
            sum(size for name, size in sizes.items() if name not in mounted),
        )

    def _cache_usage(self) -> DiskUsage:
        """Whatever neither image nor container holds: build steps, and cache mounts."""
        from jupyter_containers.engine.builds.failed_steps import FailedSteps

        store, caches = self._rooms.store, CacheMounts(self._rooms)
        chains, blobs = self._held(store.records.images())
        held_chains, held_blobs = self._held_by_containers()
        every = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
        held_blobs |= blobs | {
            every[chain].blob.digest for chain in chains | held_chains if chain in every
        }
        rest = set(every) - chains - held_chains
        blobs = set(store.content.digests()) - held_blobs
        size = sum(every[chain].size for chain in rest) + store.collector.size_of(blobs)
        size += sum(store.snapshots.size_rw(step.key) for step in FailedSteps(self._rooms).all())
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
