"""What an engine does with volumes."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from jupyter_containers.engine.api.collections import VolumeCollection
from jupyter_containers.engine.api.parts import Parts
from jupyter_containers.engine.filters import Filters, volume_filter
from jupyter_containers.engine.results import (
    PruneResult,
    VolumeSummary,
)
from jupyter_containers.errors import AlreadyExistsError
from jupyter_containers.options.values import parse_labels
from jupyter_containers.options.volumes import check_driver, parse_driver_options


class VolumesAPI(Parts):
    """What an engine does with volumes."""

    @property
    def volumes(self) -> VolumeCollection:
        """All volumes: call it to list them, iterate, ``get(name)``, ``create(…)``."""
        return VolumeCollection(self)

    def volume(self, name: str) -> VolumeSummary:
        """Return the volume of that name."""
        return self._volume(name)

    def list_volumes(self, *, filters: Filters | None = None) -> list[VolumeSummary]:
        """Return what ``volumes(…)`` does."""
        mounted = {m.name for record in self._containers.all() for m in record.mounts}
        matches = volume_filter(filters, frozenset(mounted))
        return [self._volume(item.name) for item in self._volumes.all() if matches(item)]

    def create_volume(
        self,
        name: str | None = None,
        *,
        driver: str | None = None,
        label: Any = (),
        opt: Any = (),
    ) -> VolumeSummary:
        """Create a volume; one that exists is returned as it is.

        ``opt`` are mount(8)'s ``type``, ``device`` and ``o``: what is mounted in the volume's
        place while a container uses it.  Raises :class:`UnsupportedError` for a driver other than
        ``local``, :class:`AlreadyExistsError` when the volume has other options.
        """
        check_driver(driver)
        options = parse_driver_options(opt)
        volume = self._volumes.create(
            name or "", parse_labels(label), anonymous=not name, driver_opts=options
        )
        if options and volume.driver_opts != options:
            raise AlreadyExistsError(
                f"the volume {volume.name} exists with other options",
                hint="remove it first, or choose another name",
            )
        return self._volume(volume.name)

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
        from jupyter_containers.engine.volumes.documents import volume_document

        return volume_document(volume, self._volumes.mountpoint(volume.name))

    def prune_volumes(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove anonymous volumes (with ``all`` also named ones) that no container has.

        Filters: ``label``, ``label!``, ``all``.
        """
        return self._upkeep.prune_volumes(self._volumes, all=all, filters=filters)
