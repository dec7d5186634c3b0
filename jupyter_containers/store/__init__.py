"""The store: verified content, records, unpacked layers, leases and garbage collection.

Only the engine and the builder call it.  Names are imported on first use.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_containers.store.archive import Applied, Applier
    from jupyter_containers.store.collection import Collection
    from jupyter_containers.store.compression import Limits
    from jupyter_containers.store.content import ContentStore
    from jupyter_containers.store.extract import extract_archive
    from jupyter_containers.store.gc import Collector, Garbage, Roots
    from jupyter_containers.store.ingest import BlobWriter, Ingest
    from jupyter_containers.store.layers import LayerRecord
    from jupyter_containers.store.leases import Lease, Leases
    from jupyter_containers.store.records import CacheEntry, ImageRecord, NameRecord, Records
    from jupyter_containers.store.snapshots import SnapshotStore
    from jupyter_containers.store.store import Store, SweepReport

_HOMES = {
    "Applied": "archive",
    "Applier": "archive",
    "BlobWriter": "ingest",
    "CacheEntry": "records",
    "Collection": "collection",
    "Collector": "gc",
    "ContentStore": "content",
    "Garbage": "gc",
    "ImageRecord": "records",
    "Ingest": "ingest",
    "LayerRecord": "layers",
    "Lease": "leases",
    "Leases": "leases",
    "Limits": "compression",
    "NameRecord": "records",
    "Records": "records",
    "Roots": "gc",
    "SnapshotStore": "snapshots",
    "Store": "store",
    "SweepReport": "store",
    "extract_archive": "extract",
}

__all__ = [
    "Applied",
    "Applier",
    "BlobWriter",
    "CacheEntry",
    "Collection",
    "Collector",
    "ContentStore",
    "Garbage",
    "ImageRecord",
    "Ingest",
    "LayerRecord",
    "Lease",
    "Leases",
    "Limits",
    "NameRecord",
    "Records",
    "Roots",
    "SnapshotStore",
    "Store",
    "SweepReport",
    "extract_archive",
]


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{home}"), name)
