"""``volume prune``: remove unused volumes."""

from __future__ import annotations

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.filters import Filters, PruneFilter
from jupyter_containers.engine.results import PruneResult
from jupyter_containers.engine.volumes.catalog import Volumes


def prune_volumes(
    context: EngineContext,
    volumes: Volumes,
    *,
    all: bool = False,  # Docker's flag
    filters: Filters | None = None,
) -> PruneResult:
    """Remove unused anonymous volumes, with ``all`` also unused named ones."""
    from jupyter_containers.store.uppers import tree_size

    selection = PruneFilter(filters, ("label", "label!", "all"))
    if context.containers.damaged():
        return PruneResult((), 0)  # the volumes of damaged containers are unknown
    used = {mount.name for record in context.containers.all() for mount in record.mounts}
    removed, freed = [], 0
    for volume in context.volumes.all():
        if volume.name in used or not (volume.anonymous or all or selection.all):
            continue
        if not selection.accepts(volume.labels, volume.created):
            continue
        freed += tree_size(context.settings.layout.volumes / volume.name)
        volumes.destroy(volume)
        removed.append(volume.name)
    return PruneResult(tuple(removed), freed)
