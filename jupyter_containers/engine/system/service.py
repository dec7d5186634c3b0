"""The service of the system: inspect, disk usage, prune, doctor."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from jupyter_containers.engine.containers.service import ContainerService
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.garbage import GarbageCollection
from jupyter_containers.engine.images.service import ImageService
from jupyter_containers.engine.journal import Filters, JournalEvent
from jupyter_containers.engine.networks.service import NetworkService
from jupyter_containers.engine.results import (
    DiskUsage,
    PruneResult,
)
from jupyter_containers.engine.volumes.service import VolumeService
from jupyter_containers.errors import (
    ContainerNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    UnreadableRecordsError,
)
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine.builds.service import BuildService
    from jupyter_containers.engine.system.disk_details import DiskDetails
    from jupyter_containers.engine.system.doctor import DoctorReport
    from jupyter_containers.engine.system.fsck import CheckReport
    from jupyter_containers.engine.system.prune_preview import DoomedGroup


_KINDS = ("container", "image", "network", "volume")


class Named(Protocol):
    """Objects of one kind, by name."""

    def names(self) -> list[str]:
        """Return all names."""


class SystemService:
    """The store as a whole, and the machine it is on."""

    noun = "system"

    def __init__(
        self,
        context: EngineContext,
        containers: ContainerService,
        images: ImageService,
        networks: NetworkService,
        volumes: VolumeService,
        builds: Callable[[], BuildService],
        garbage: GarbageCollection,
        sweep: Callable[[], None],
    ) -> None:
        self._context, self._garbage, self._sweep = context, garbage, sweep
        self._containers, self._images = containers, images
        self._networks, self._volumes, self._builds = networks, volumes, builds

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind (``image`` …): cheap, for completion."""
        services: dict[str, Named] = {
            "container": self._containers,
            "image": self._images,
            "network": self._networks,
            "volume": self._volumes,
        }
        if kind in services:
            return services[kind].names()
        if kind == "session":
            return []  # they belong to a kernel, which knows their names
        raise InvalidArgumentError(f"unknown kind {kind!r}", hint=f"one of {', '.join(_KINDS)}")

    def inspect(self, name: str, kind: str | None = None, *, size: bool = False) -> dict[str, Any]:
        """Return Docker's ``inspect`` document of a container, image, network or volume.

        Without ``kind``, the first object with the name is returned, in that order.  With ``size``,
        a container's document includes the bytes of its files.
        """
        if kind is not None and kind not in _KINDS:
            raise InvalidArgumentError(f"invalid kind {kind!r}", hint=f"one of {', '.join(_KINDS)}")
        for candidate in (kind,) if kind else _KINDS:
            try:
                return self._inspect(candidate, name, size)
            except (NotFoundError, InvalidArgumentError):
                if kind is not None:
                    raise
        raise ContainerNotFoundError(f"no such object: {name}")

    def _inspect(self, kind: str, name: str, size: bool) -> dict[str, Any]:
        look: dict[str, Callable[[str], dict[str, Any]]] = {
            "container": partial(self._containers.inspect, size=size),
            "image": self._images.inspect,
            "network": self._networks.inspect,
            "volume": self._volumes.inspect,
        }
        return look[kind](name)

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int | None = None,
        filters: Filters | None = None,
        follow: bool = True,
        cancel: CancelToken | None = None,
    ) -> Iterator[JournalEvent]:
        """Return events, of all processes and in order, from now on or since a time.

        The iterator ends at ``until``; without ``follow``, after the events recorded so far.
        ``after`` is the ``sequence`` of the last event already read.
        """
        return self._context.journal.events(
            since=since, until=until, after=after, filters=filters, follow=follow, cancel=cancel
        )

    def check(
        self,
        *,
        repair: bool = False,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> CheckReport:
        """Return the problems of the store: bytes, records and directories that disagree.

        With ``repair``, repair them if possible; an image with an irrecoverable part is removed.
        """
        from jupyter_containers.engine.system.fsck import Fsck

        token = cancel or CancelToken()
        check = Fsck(self._context, self._images.catalog, self._garbage, self._sweep, emit, token)
        try:
            return check.check(repair=repair)
        except UnreadableRecordsError:
            if not repair:
                raise
            self._context.store.start_over()
            return check.check(repair=repair)

    def df(self) -> list[DiskUsage]:
        """Return the disk usage of images, containers, volumes and build cache."""
        from jupyter_containers.engine.system.disk_usage import DiskUsageReport

        return DiskUsageReport(self._context).lines()

    def disk_details(self) -> DiskDetails:
        """Return the disk usage of each image, container, volume and cached layer."""
        from jupyter_containers.engine.system.disk_details import disk_details

        return disk_details(self._context, self._images.catalog)

    def prune_preview(self, *, all: bool = False) -> Mapping[str, DoomedGroup]:
        """Return what a prune of each kind would remove and free.

        Kinds: containers, images, volumes, networks, cache.  With ``all``, also images and volumes
        that have a name.
        """
        from jupyter_containers.engine.system.prune_preview import prune_preview

        return prune_preview(
            self._context, self._images.catalog, self._networks, self._builds().records(), all=all
        )

    def prune(
        self, *, all: bool = False, volumes: bool = False, filters: Filters | None = None
    ) -> PruneResult:
        """Remove stopped containers, unused networks and images, and the build cache.

        Filters (``label``, ``label!``, ``until``) apply to all kinds that support them, so
        ``until`` cannot be combined with ``volumes``; with ``label`` the build cache is kept,
        because it has no labels.
        """
        given = {key: list(values) for key, values in (filters or {}).items()}
        if volumes and "until" in given:
            raise InvalidArgumentError('the "until" filter is not supported with volumes')
        results = {
            "Containers": self._containers.prune(filters=given),
            "Networks": self._networks.prune(filters=given),
        }
        if volumes:
            results["Volumes"] = self._volumes.prune(filters=given)
        results["Images"] = self._images.prune(all=all, filters=given)
        if not {"label", "label!"} & set(given):
            results["build cache objects"] = self._builds().prune(filters=given or None)
        return PruneResult(
            tuple(name for result in results.values() for name in result.removed),
            sum(result.freed for result in results.values()),
            tuple((kind, result.removed) for kind, result in results.items() if result.removed),
        )

    def info(self) -> dict[str, Any]:
        """Return facts about engine and host, for users and bug reports."""
        from jupyter_containers.engine.system.doctor import info

        states = [str(container.status) for container in self._containers.everything()]
        return info(self._context, states, len(self._images.catalog.all()))

    def reset(self) -> list[Path]:
        """Remove everything: containers, images, volumes, networks, caches, and the folders.

        The engine is closed afterwards.  Files it does not own stay: credentials, config files, the
        images of shared stores.
        """
        from jupyter_containers.engine.system.reset import reset

        if self._context.store.damage():
            self._context.store.start_over()
            self._sweep()  # removes containers without a record
        return reset(
            self._context, lambda name: self._containers.remove(name, force=True, volumes=True)
        )

    def doctor(self) -> DoctorReport:
        """Return the host's capabilities, missing ones with the way to provide them."""
        from jupyter_containers.engine.system.doctor import examine

        return examine(self._context)
