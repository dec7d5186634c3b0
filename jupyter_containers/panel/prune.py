"""Bulk removal: a preview with the freed space, then removal of exactly those objects.

Groups are removed in an order in which no removal adds to a later group: removing a container could
make an image unused.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from jupyter_containers.panel.messages import Pruned, PruneGroup, PruneItem

if TYPE_CHECKING:
    from jupyter_containers.engine import Engine
    from jupyter_containers.engine.results import PruneResult

_TITLES = {
    "containers": "Stopped containers",
    "images": "Images that no container uses",
    "volumes": "Volumes that no container uses",
    "networks": "Networks that no container uses",
    "cache": "Build cache",
}
_NARROW = {"images": "Images without a name", "volumes": "Anonymous volumes"}


def preview(engine: Engine, *, all: bool) -> list[PruneGroup]:
    """Return the objects that a prune would remove, by group; with ``all`` also named ones."""
    found = engine.system.prune_preview(all=all)
    groups = []
    for name, title in _TITLES.items():
        group = found[name]
        items = sorted((PruneItem(one.name, one.size) for one in group.items), key=_largest)
        shown = title if all else _NARROW.get(name, title)
        groups.append(PruneGroup(name, shown, items, group.size))
    return groups


def prune(engine: Engine, groups: list[str], *, all: bool) -> Pruned:
    """Remove the objects in the groups."""
    removed, freed = 0, 0
    work: dict[str, Callable[[], PruneResult]] = {
        "cache": engine.builds.prune,
        "networks": engine.networks.prune,
        "volumes": partial(engine.volumes.prune, all=all),
        "images": partial(engine.images.prune, all=all),
        "containers": engine.containers.prune,
    }
    for name, remove in work.items():
        if name in groups:
            result = remove()
            removed += len(result.removed)
            freed += result.freed
    return Pruned(removed, freed)


def _largest(item: PruneItem) -> tuple[int, str]:
    return -item.size, item.name
