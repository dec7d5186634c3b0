"""The service of volumes: create, inspect, remove."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.filters import Filters, volume_filter
from jupyter_containers.engine.records import MountRecord
from jupyter_containers.engine.results import (
    PruneResult,
    VolumeSummary,
)
from jupyter_containers.engine.volumes.catalog import Volumes
from jupyter_containers.engine.volumes.prune import prune_volumes
from jupyter_containers.errors import AlreadyExistsError
from jupyter_containers.options.values import parse_labels
from jupyter_containers.options.volumes import check_driver, parse_driver_options

# Name and mounts of each container, because used volumes are not removed.
Users = Callable[[], Sequence[tuple[str, tuple[MountRecord, ...]]]]


class VolumeService(Collection[VolumeSummary]):
    """The volumes of one store."""

    noun = "volumes"

    def __init__(self, context: EngineContext, volumes: Volumes, users: Users) -> None:
        self._context, self._volumes, self._users = context, volumes, users

    def create(
        self,
        name: str | None = None,
        *,
        driver: str | None = None,
        label: Any = (),
        opt: Any = (),
    ) -> VolumeSummary:
        """Create a volume, or return the existing one of that name.

        ``opt`` are mount(8)'s ``type``, ``device`` and ``o``, to be mounted in the volume's place
        while a container uses it.  Raises :class:`UnsupportedError` for a driver other than
        ``local``, :class:`AlreadyExistsError` if the volume exists with other options.
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
        return self.get(volume.name)

    def get(self, name: str) -> VolumeSummary:
        """Return the volume of that name."""
        item = self._volumes.find(name)
        created = datetime.fromtimestamp(item.created, UTC)
        return VolumeSummary(
            item.name, str(self._volumes.mountpoint(item.name)), created, dict(item.labels)
        )

    def remove(self, name: str) -> None:
        """Remove a volume and its files; raise if a container uses it."""
        self._volumes.remove(name, self._users())

    def inspect(self, name: str) -> dict[str, Any]:
        """Return Docker's ``volume inspect`` object."""
        volume = self._volumes.find(name)
        from jupyter_containers.engine.volumes.documents import volume_document

        return volume_document(volume, self._volumes.mountpoint(volume.name))

    def prune(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove unused anonymous volumes, with ``all`` also unused named ones.

        Filters: ``label``, ``label!``, ``all``.
        """
        return prune_volumes(self._context, self._volumes, all=all, filters=filters)

    def names(self) -> Items[str]:
        """Return the names of all volumes: cheap, for completion."""
        return [record.name for record in self._volumes.all()]

    def list(self, *, filters: Filters | None = None) -> Items[VolumeSummary]:
        """Return the volumes; filters: ``dangling``, ``driver``, ``label``, ``name``."""
        mounted = {m.name for _, mounts in self._users() for m in mounts}
        matches = volume_filter(filters, frozenset(mounted))
        return [self.get(item.name) for item in self._volumes.all() if matches(item)]

    __call__ = list

    def everything(self) -> Items[VolumeSummary]:
        """Return all volumes."""
        return self.list()
