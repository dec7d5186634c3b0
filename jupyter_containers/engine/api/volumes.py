"""What an engine does with volumes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jupyter_containers.engine.api.parts import Parts
from jupyter_containers.engine.filters import Filters
from jupyter_containers.engine.inspecting import volume_document
from jupyter_containers.engine.results import (
    PruneResult,
    VolumeSummary,
)
from jupyter_containers.options.values import parse_labels


class VolumesAPI(Parts):
    """What an engine does with volumes."""

    def volumes(self) -> list[VolumeSummary]:
        """Return the volumes."""
        return [self._volume(item.name) for item in self._volumes.all()]

    def create_volume(self, name: str | None = None, *, label: Any = ()) -> VolumeSummary:
        """Create a volume; one that exists is returned as it is."""
        return self._volume(self._volumes.create(name or "", parse_labels(label)).name)

    def _volume(self, name: str) -> VolumeSummary:
        item = self._volumes.find(name)
        created = datetime.fromtimestamp(item.created, UTC)
        return VolumeSummary(
            item.name, str(self._volumes.mountpoint(item.name)), created, dict(item.labels)
        )

    def remove_volume(self, name: str) -> None:
        """Remove a volume and its files; one that a container has is refused."""
        users = [(record.name, record.mounts) for record in self._containers.all()]
        self._volumes.remove(name, users)

    def inspect_volume(self, name: str) -> dict[str, Any]:
        """Return Docker's ``volume inspect`` object."""
        volume = self._volumes.find(name)
        return volume_document(volume, self._volumes.mountpoint(volume.name))

    def prune_volumes(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove anonymous volumes (with ``all`` also named ones) that no container has.

        Filters: ``label``, ``label!``, ``all``.
        """
        return self._upkeep.prune_volumes(self._volumes, all=all, filters=filters)
