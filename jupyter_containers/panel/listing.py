"""The objects in the store for the panel's lists, with the names of objects that use them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from jupyter_containers.commands.render.links import browsable, proxy_base
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.sessions.launching import LABEL as SESSION
from jupyter_containers.errors import RegistryError
from jupyter_containers.panel.messages import (
    BuildItem,
    ContainerItem,
    ImageItem,
    Item,
    NetworkItem,
    Port,
    RegistryItem,
    Section,
    VolumeItem,
)
from jupyter_containers.printable import printable

if TYPE_CHECKING:
    from jupyter_containers.engine import Container, Engine

_FIXED = ("bridge", "host", "none")


class Listing:
    """A cached listing of an engine's store; :meth:`forget` discards the cache."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._containers: list[Container] | None = None

    def forget(self) -> None:
        """Discard the cached data that several sections share."""
        self._containers = None

    def items(self, section: Section) -> Iterable[Item]:
        """Return the items of a section."""
        match section:
            case "containers":
                return [self._container(one) for one in self.containers]
            case "images":
                return self._images()
            case "volumes":
                return self._volumes()
            case "networks":
                return self._networks()
            case "registries":
                return self._registries()
            case "builds":
                return self._builds()

    @property
    def containers(self) -> list[Container]:
        """All containers, newest first, listed once."""
        if self._containers is None:
            self._containers = self._engine.containers(all=True)
        return self._containers

    @cached_property
    def _base(self) -> str:
        return proxy_base()

    def _container(self, one: Container) -> ContainerItem:
        status = one.status_pattern
        return ContainerItem(
            id=one.id,
            name=one.name,
            image=one.image,
            command=printable(one.command),
            state=str(one.status),
            status=status.pattern,
            since=status.since,
            health=one.health,
            created=one.record.created,
            exit_code=-1 if one.exit_code is None else one.exit_code,
            ports=[port_of(text, self._base) for text in one.ports],
            project=one.labels.get(labels.PROJECT, ""),
            service=one.labels.get(labels.SERVICE, ""),
            session=printable(one.labels.get(SESSION, "")),
        )

    def _images(self) -> list[ImageItem]:
        users = Counter(one.image_id for one in self.containers)
        return [
            ImageItem(
                image.id,
                list(image.names),
                image.created.timestamp() if image.created else 0.0,
                image.size,
                users[image.id],
            )
            for image in self._engine.images()
        ]

    def _volumes(self) -> list[VolumeItem]:
        users = defaultdict(list)
        for one in self.containers:
            for mount in one.record.mounts:
                if mount.name:
                    users[mount.name].append(one.name)
        return [
            VolumeItem(
                volume.name,
                volume.driver,
                volume.mountpoint,
                volume.created.timestamp(),
                users[volume.name],
            )
            for volume in self._engine.volumes()
        ]

    def _networks(self) -> list[NetworkItem]:
        users = defaultdict(list)
        for one in self.containers:
            if one.status.alive:
                for name in one.networks:
                    users[name].append(one.name)
        return [
            NetworkItem(
                network.id,
                network.name,
                network.driver,
                network.subnet,
                network.internal,
                network.name in _FIXED,
                users[network.name],
            )
            for network in self._engine.networks()
        ]

    def _builds(self) -> list[BuildItem]:
        return [
            BuildItem(
                note.id,
                ", ".join(note.names) or printable(note.source) or note.image[7:19] or "a build",
                printable(note.source),
                note.place,
                note.image,
                note.started,
                note.seconds,
                note.steps,
                note.cached,
                note.outcome,
                note.error,
            )
            for note in self._engine.builds.history()
        ]

    def _registries(self) -> list[RegistryItem]:
        try:
            known = set(self._engine.registries.logins())
        except RegistryError:
            # An unreadable file of credentials is reported when it is used.
            known = set()
        local = self._engine.registries.list()
        return [
            *(
                RegistryItem(one.address, one.name, one.volume, one.address in known)
                for one in local
            ),
            *(
                RegistryItem(name, "", "", credentials=True)
                for name in sorted(known - {one.address for one in local})
            ),
        ]


def port_of(text: str, base: str) -> Port:
    """Return a port as text and URL, which uses the server's proxy if it has one."""
    return Port(*browsable(text, base))
