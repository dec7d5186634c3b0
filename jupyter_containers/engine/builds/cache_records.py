"""The build cache as shown to users: its records, their last use, and its prune.

A *record* is one layer created by a build step (however many keys lead to it), the folder of one
cache mount, or the files of a failed step.  It is *shared* if an image or a container has the layer
too, and *in use* while a build works with it.  A record's last use is that of the most recent
record on top of it, so that a chain is pruned from its last step.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import UTC, datetime

import msgspec

from jupyter_containers.build.cache import STEP_KEY, CachedStep
from jupyter_containers.engine.builds.cache_mounts import MOUNT_KEY, CacheMounts
from jupyter_containers.engine.builds.failed_steps import FailedSteps
from jupyter_containers.engine.builds.received import ReceivedContexts
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.results import PruneResult
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.descriptor import short_id
from jupyter_containers.options.moments import parse_moment
from jupyter_containers.options.values import as_sequence
from jupyter_containers.store import CacheEntry, Garbage, LayerRecord
from jupyter_containers.store.gc import with_parents


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildRecord:
    """One record; ``size`` is bytes on disk, ``type`` is Docker's name of its type."""

    id: str
    type: str
    description: str
    size: int
    created: datetime
    last_used: datetime
    in_use: bool = False
    shared: bool = False
    parent: str = ""

    @property
    def reclaimable(self) -> bool:
        """Whether a prune may remove it."""
        return not self.in_use


@dataclass(frozen=True, slots=True)
class PruneLimits:
    """The limits of a prune: keep records used after ``until`` (epoch seconds; 0: none).

    ``max_used`` is the number of bytes that the cache may keep, None to keep none, and ``min_free``
    the number of bytes to be free on the disk; removal stops as soon as either is reached.
    """

    until: float = 0.0
    max_used: int | None = None
    min_free: int = 0
    types: tuple[str, ...] = ()

    @classmethod
    def of(
        cls,
        filters: object = None,
        max_used: int | None = None,
        min_free: int = 0,
    ) -> PruneLimits:
        """Return the limits of ``until=24h`` and ``type=…`` filters."""
        until, types = 0.0, []
        pairs = filters.items() if isinstance(filters, dict) else ()
        texts = [f"{key}={value}" for key, values in pairs for value in as_sequence(values)]
        for text in texts or as_sequence(None if isinstance(filters, dict) else filters):
            name, _, value = text.partition("=")
            if name == "until":
                until = parse_moment(value, "filter until").timestamp()
            elif name == "type":
                types.append(value)
            else:
                raise InvalidArgumentError(
                    f"invalid filter {text!r} for the build cache",
                    hint="one of until=24h, until=2026-01-31, type=regular, type=exec.cachemount",
                )
        return cls(until, max_used, min_free, tuple(types))


class BuildRecords:
    """The records of one store; ``collect`` deletes unreferenced layers and blobs."""

    def __init__(self, engine_context: EngineContext, collect: Callable[[], Garbage]) -> None:
        self._engine_context = engine_context
        self._collect = collect

    def all(self) -> list[BuildRecord]:
        """Return the records, least recently used first."""
        entries = self._engine_context.store.records.cache_entries()
        found = [*self._layers(entries), *self._mounts(entries), *self._failed_steps()]
        depth = _depths(found)
        return sorted(found, key=lambda one: (one.last_used, -depth[one.id]))

    def prune(self, limits: PruneLimits, *, all: bool = False) -> PruneResult:
        """Remove records that only the cache has; with ``all`` also those of images."""
        records = self.all()
        doomed = [
            one
            for one in records
            if not one.in_use
            and (all or not one.shared)
            and (not limits.until or one.last_used.timestamp() < limits.until)
            and (not limits.types or one.type in limits.types)
        ]
        doomed = doomed[: self._enough(doomed, records, limits)]
        freed = self._forget(doomed, limits)
        garbage = self._collect()
        self._engine_context.journal.record("builder", "prune", "", {"reclaimed": str(freed)})
        return PruneResult(
            tuple(one.id for one in doomed),
            garbage.bytes + freed,
        )

    def _enough(
        self, doomed: list[BuildRecord], records: list[BuildRecord], limits: PruneLimits
    ) -> int:
        """Return how many of ``doomed`` must be removed."""
        if limits.max_used is None and not limits.min_free:
            return len(doomed)
        total = sum(one.size for one in records)
        surplus = 0 if limits.max_used is None else total - limits.max_used
        if limits.min_free:
            disk = os.statvfs(self._engine_context.settings.root)
            surplus = max(surplus, limits.min_free - disk.f_bavail * disk.f_frsize)
        count = 0
        while surplus > 0 and count < len(doomed):
            surplus -= doomed[count].size
            count += 1
        return count

    def _forget(self, doomed: list[BuildRecord], limits: PruneLimits) -> int:
        """Delete records; return the bytes of the removed folders."""
        store, gone = self._engine_context.store, {one.id for one in doomed}
        unlimited = limits == PruneLimits()
        for entry in store.records.cache_entries():
            chain = short_id(entry.chain_id) if entry.chain_id else ""
            # Entries without a layer (steps without changes, witnesses) take almost no space.
            old = limits.until and entry.used < limits.until and not limits.types
            if chain in gone or (not chain and (unlimited or old) and not _is_mount(entry)):
                store.records.cache_delete(entry.key)
        caches, failed = CacheMounts(self._engine_context), FailedSteps(self._engine_context)
        freed = sum(caches.remove(one.id) for one in doomed if one.type == "exec.cachemount")
        freed += sum(failed.remove(step) for step in failed.all() if step.id in gone)
        if unlimited or (limits.until and not limits.types):
            freed += self._forget_contexts(limits.until)
        return freed

    def _forget_contexts(self, until: float) -> int:
        """Delete contexts, and digests of them, from before ``until``; return their bytes."""
        folder, freed = self._engine_context.settings.layout.contexts, 0
        for path in folder.iterdir() if folder.is_dir() else ():
            with suppress(OSError):
                status = path.stat()
                if not until or status.st_mtime < until:
                    path.unlink()
                    freed += status.st_size
        return freed + ReceivedContexts(self._engine_context).remove(until)

    def _failed_steps(self) -> list[BuildRecord]:
        size = self._engine_context.store.snapshots.size_rw
        return [
            BuildRecord(
                id=step.id,
                type="failed-step",
                description=f"failed: {step.title}",
                size=size(step.key),
                created=step.time,
                last_used=step.time,
            )
            for step in FailedSteps(self._engine_context).all()
        ]

    def _layers(self, entries: Iterable[CacheEntry]) -> list[BuildRecord]:
        store = self._engine_context.store
        layers = {layer.chain_id: layer for layer in store.snapshots.layers.all()}
        held, leased = self._used_layers(layers), store.leases.protected()
        by_chain: dict[str, list[CacheEntry]] = {}
        for entry in entries:
            if entry.key.startswith(STEP_KEY) and entry.chain_id in layers:
                by_chain.setdefault(entry.chain_id, []).append(entry)
        used = _last_used(
            {chain: max(e.used for e in of) for chain, of in by_chain.items()}, layers
        )
        return [
            BuildRecord(
                id=short_id(chain),
                type="regular",
                description=_title(of[0]),
                size=layers[chain].size + layers[chain].blob.size,
                created=_time(min(entry.created for entry in of)),
                last_used=_time(used[chain]),
                in_use=chain in leased,
                shared=chain in held,
                parent=short_id(layers[chain].parent_chain_id)
                if layers[chain].parent_chain_id
                else "",
            )
            for chain, of in by_chain.items()
        ]

    def _used_layers(self, layers: dict[str, LayerRecord]) -> set[str]:
        """Return the layers of images and containers."""
        containers = self._engine_context.containers.all()
        chains = {record.chain_id for record in containers if record.chain_id}
        images = self._engine_context.store.records.images()
        return with_parents(chains, layers) | {one for image in images for one in image.chain_ids}

    def _mounts(self, entries: Iterable[CacheEntry]) -> list[BuildRecord]:
        known = {entry.key: entry for entry in entries if _is_mount(entry)}
        found = []
        for folder, size, used in CacheMounts(self._engine_context).sizes():
            entry = known.get(MOUNT_KEY + folder.name)
            moment = folder.stat().st_mtime
            found.append(
                BuildRecord(
                    id=folder.name,
                    type="exec.cachemount",
                    description=f"cache mount {entry.value.decode()}" if entry else "cache mount",
                    size=size,
                    created=_time(entry.created if entry else moment),
                    last_used=_time(entry.used if entry else moment),
                    in_use=used,
                )
            )
        return found


def _is_mount(entry: CacheEntry) -> bool:
    return entry.key.startswith(MOUNT_KEY)


def _last_used(used: dict[str, float], layers: dict[str, LayerRecord]) -> dict[str, float]:
    """Return the times, each layer's at least that of the layers on top of it."""
    found = dict(used)
    for chain, moment in used.items():
        below = layers[chain].parent_chain_id
        while below in layers:
            if below in found:
                found[below] = max(found[below], moment)
            below = layers[below].parent_chain_id
    return found


def _depths(records: list[BuildRecord]) -> dict[str, int]:
    parents = {one.id: one.parent for one in records}
    depths: dict[str, int] = {}
    for name in parents:
        count, below = 0, parents[name]
        while below:
            count, below = count + 1, parents.get(below, "")
        depths[name] = count
    return depths


def _title(entry: CacheEntry) -> str:
    try:
        return msgspec.json.decode(entry.value, type=CachedStep).title
    except DECODE_ERRORS:
        return ""


def _time(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
