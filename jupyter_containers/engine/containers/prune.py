"""``container prune``: remove stopped containers."""

from __future__ import annotations

from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.filters import Filters, PruneFilter
from jupyter_containers.engine.results import PruneResult


def prune_containers(
    context: EngineContext, lifecycle: Lifecycle, filters: Filters | None = None
) -> PruneResult:
    """Remove all stopped containers."""
    selection = PruneFilter(filters)
    removed, freed = [], 0
    for record in context.containers.all():
        looked = lifecycle.look(record)
        if looked is None or looked.state.status.up:
            continue
        labels = {**looked.config.labels, **(looked.options.labels or {})}
        if not selection.accepts(labels, looked.created):
            continue
        size = context.store.snapshots.size_rw(looked.id)
        if lifecycle.remove_unused(looked):
            freed += size
            removed.append(looked.id)
    return PruneResult(tuple(removed), freed)
