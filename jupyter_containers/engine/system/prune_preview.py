"""A preview of prune: the objects that it would remove and the bytes it would free."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from jupyter_containers.engine.system.disk_details import image_parts
from jupyter_containers.engine.system.disk_usage import DiskUsageReport
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store.uppers import tree_size

if TYPE_CHECKING:
    from jupyter_containers.engine.builds.cache_records import BuildRecord
    from jupyter_containers.engine.context import EngineContext
    from jupyter_containers.engine.images.catalog import Images
    from jupyter_containers.engine.networks.service import NetworkService


@dataclass(frozen=True, slots=True)
class Doomed:
    """An object that would be removed, and the bytes that only it needs."""

    name: str
    size: int = 0


@dataclass(frozen=True, slots=True)
class DoomedGroup:
    """Objects of one kind; ``size`` is the space freed with all of them, shared parts included."""

    items: tuple[Doomed, ...]
    size: int


def prune_preview(
    context: EngineContext,
    images: Images,
    networks: NetworkService,
    cached: Iterable[BuildRecord],
    *,
    all: bool,
) -> Mapping[str, DoomedGroup]:
    """Return what ``prune`` of containers, images, volumes, networks and cache would remove."""
    records = context.containers.all()
    stopped = [
        Doomed(item.name, context.store.snapshots.size_rw(item.id))
        for item in records
        if not item.state.status.up
    ]
    mounted = {mount.name for item in records for mount in item.mounts}
    volumes = [
        Doomed(item.name, tree_size(context.settings.layout.volumes / item.name))
        for item in context.volumes.all()
        if item.name not in mounted and (item.anonymous or all)
    ]
    unused = [Doomed(item.name) for item in networks.unused()]
    cache = [
        Doomed(item.description or item.id, item.size)
        for item in cached
        if not item.in_use and not item.shared
    ]
    return {
        "containers": _group(stopped),
        "images": _images(context, images, all=all),
        "volumes": _group(volumes),
        "networks": _group(unused),
        "cache": _group(cache),
    }


def _group(items: list[Doomed]) -> DoomedGroup:
    return DoomedGroup(tuple(items), sum(item.size for item in items))


def _images(context: EngineContext, images: Images, *, all: bool) -> DoomedGroup:
    used = {item.manifest_digest for item in context.containers.all()}
    every = image_parts(context, images)
    going = [
        entry for entry in every if entry[0].manifest.digest not in used and (all or not entry[1])
    ]
    holders = Counter(part for _, _, parts in every for part in parts)
    doomed = Counter(part for _, _, parts in going for part in parts)
    kept = DiskUsageReport(context).kept_parts()
    sizes = {part: size for _, _, parts in going for part, size in parts.items()}
    freed = sum(
        size for part, size in sizes.items() if doomed[part] == holders[part] and part not in kept
    )
    items = []
    for record, names, parts in going:
        tagged, _ = images.familiar(names)
        own = sum(size for part, size in parts.items() if holders[part] == 1 and part not in kept)
        items.append(Doomed(tagged[0] if tagged else record.config_digest[7:19], own))
    return DoomedGroup(tuple(items), freed)
