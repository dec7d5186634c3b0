"""``image prune``: remove images without a name, or all unused ones."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.garbage import GarbageCollection
from jupyter_containers.engine.images.catalog import Images, Names, index_members
from jupyter_containers.engine.images.selection import PRUNING, Selection
from jupyter_containers.engine.results import PruneResult
from jupyter_containers.store import ImageRecord


def prune_images(
    context: EngineContext,
    images: Images,
    garbage: GarbageCollection,
    *,
    all: bool = False,  # Docker's flag
    filters: Mapping[str, Iterable[str]] | None = None,
) -> PruneResult:
    """Remove images without a name; with ``all``, all that no container uses."""
    selection = Selection(filters or {}, images.find, PRUNING)
    all = False in selection.by_dangling or (all and True not in selection.by_dangling)
    chosen: list[tuple[ImageRecord, Names]] = []

    def choose(protected: frozenset[str]) -> Iterator[str]:
        used = {record.manifest_digest for record in context.containers.all()}
        pairs = images.all()
        # Unnamed images for other platforms belong to a named image's index.
        used |= protected | (frozenset() if all else index_members(pairs))
        for record, names in pairs:
            digest = record.manifest.digest
            wanted = digest in used or (names and not all)
            if not wanted and selection.accepts(record):
                chosen.append((record, names))
                yield digest

    context.store.delete_images(choose)
    removed: list[str] = []
    for record, names in chosen:
        gone = images.released(record, names, names)
        removed += [f"untagged: {name}" for name in gone]
        images.note("delete", record)
        removed.append(f"deleted: {record.config_digest}")
    collected = garbage.collect()
    held = {chain for record, _ in chosen for chain in record.chain_ids}
    layers = [layer.chain_id for layer in collected.layers if layer.chain_id in held]
    removed += [f"deleted: {chain}" for chain in layers]
    # Interrupted downloads have no label or age that a filter could select.
    partials = 0 if filters else context.store.content.drop_partials()
    return PruneResult(tuple(removed), collected.bytes + partials)
