"""The disk usage of each object: the lines of ``system df -v``.

An image's bytes are its unpacked layers, and its documents and archives.  *Unique* bytes are those
that removing it would free, *shared* bytes are also needed by others; all unique bytes, and each
shared one once, add up to the size of images in ``system df``.
"""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from jupyter_containers.engine.builds.cache_mounts import CacheMounts
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images, Names
from jupyter_containers.engine.units import parse_time
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import short_id
from jupyter_containers.store import ImageRecord
from jupyter_containers.store.uppers import tree_size


@dataclass(frozen=True, slots=True)
class ImageSpace:
    """One image; ``names`` as Docker prints them."""

    id: str
    names: tuple[str, ...]
    created: datetime | None
    size: int
    shared: int
    unique: int
    containers: int


@dataclass(frozen=True, slots=True)
class ItemSpace:
    """A container, a volume or a build cache record; ``links`` counts its users."""

    id: str
    name: str
    size: int
    links: int


@dataclass(frozen=True, slots=True)
class DiskDetails:
    """The disk usage of all objects."""

    images: tuple[ImageSpace, ...]
    containers: tuple[ItemSpace, ...]
    volumes: tuple[ItemSpace, ...]
    cache: tuple[ItemSpace, ...]


def image_parts(
    context: EngineContext, images: Images
) -> list[tuple[ImageRecord, Names, dict[str, int]]]:
    """Return each image with its names and the bytes of each of its parts."""
    store = context.store
    layers = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
    sizes = {chain: layer.size for chain, layer in layers.items()}

    def parts(record: ImageRecord) -> dict[str, int]:
        """Return the bytes of an image's parts: layers by chain ID, blobs by digest."""
        documents = {record.manifest.digest, record.config_digest, record.index_digest} - {""}
        blobs = store.collector.reachable_blobs(frozenset(documents))
        blobs |= {layers[chain].blob.digest for chain in record.chain_ids if chain in layers}
        found = {f"layer {chain}": sizes.get(chain, 0) for chain in record.chain_ids}
        return found | {digest: store.collector.size_of([digest]) for digest in blobs}

    return [(record, names, parts(record)) for record, names in images.all()]


def disk_details(context: EngineContext, images: Images) -> DiskDetails:
    """Return the disk usage of each image, container, volume and cached layer."""
    containers, store = context.containers.all(), context.store
    sizes = {layer.chain_id: layer.size for layer in store.snapshots.layers.all()}
    held = image_parts(context, images)
    users = Counter(part for _, _, found in held for part in found)
    spaces = []
    for record, names, found in held:
        tagged, _ = images.familiar(names)
        size = sum(found.values())
        unique = sum(value for part, value in found.items() if users[part] == 1)
        count = sum(item.manifest_digest == record.manifest.digest for item in containers)
        created = parse_time(record.created)
        spaces.append(
            ImageSpace(record.config_digest, tagged, created, size, size - unique, unique, count)
        )
    mounted = Counter(mount.name for item in containers for mount in item.mounts if mount.name)
    of_images = {chain for record, _, _ in held for chain in record.chain_ids}
    folders = context.settings.layout.volumes
    return DiskDetails(
        tuple(spaces),
        tuple(
            ItemSpace(item.id, item.name, store.snapshots.size_rw(item.id), len(item.mounts))
            for item in containers
        ),
        tuple(
            ItemSpace(item.name, item.name, tree_size(folders / item.name), mounted[item.name])
            for item in context.volumes.all()
        ),
        (
            *(
                ItemSpace(short_id(chain), "layer", size, 0)
                for chain, size in sizes.items()
                if chain not in of_images
            ),
            *(
                ItemSpace(folder.name, "cache mount", size, int(used))
                for folder, size, used in CacheMounts(context).sizes()
            ),
        ),
    )
