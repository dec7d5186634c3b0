"""A project and its existing objects, read again for every verb."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_containers.compose.loading import LoadOptions, load
from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.observed import Instance, Seen, instances_of
from jupyter_containers.engine.applications.translation import network_name, volume_name
from jupyter_containers.engine.applications.unsupported import check
from jupyter_containers.engine.applications.works import Nouns
from jupyter_containers.errors import NetworkNotFoundError, NotFoundError, VolumeNotFoundError
from jupyter_containers.lazy_dataclasses import dataclass, replace

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container


@dataclass(frozen=True, slots=True)
class ProjectView:
    """Reads the file and queries the engine; caches nothing of either."""

    nouns: Nouns
    options: LoadOptions

    def project(self, services: Sequence[str] = ()) -> Project:
        """Return the project with all services, or with some and their dependencies.

        Raises :class:`ComposeFileError` at the first mistake or unsupported field.
        """
        return load(replace(self.options, services=tuple(services)), check)

    def project_if_any(self) -> Project | None:
        """Return the project; None if there is a project name and no file."""
        try:
            return self.project()
        except NotFoundError:
            if self.options.name and self.options.files is None and self.options.text is None:
                return None
            raise

    def name(self, project: Project | None) -> str:
        """Return the project's name."""
        return project.name if project is not None else self.options.name

    def containers(self, name: str, *, all: bool = True) -> list[Container]:
        """Return a project's containers: all of them, or the running ones."""
        return self.nouns.containers.list(all, labels.project_filter(name))

    def of_services(
        self,
        project: Project | None,
        services: Sequence[str] = (),
        *,
        all: bool = True,
        oneoff: bool = False,
    ) -> list[Container]:
        """Return the containers of services (all if none is named), by service and number."""
        if project is not None:
            for service in services:
                known(service, project)
        found = []
        for container in self.containers(self.name(project), all=all):
            own = container.labels
            if own.get(labels.ONEOFF) == "True" and not oneoff:
                continue
            if not services or own.get(labels.SERVICE) in services:
                found.append(container)
        return sorted(found, key=_place)

    def one(self, project: Project | None, service: str, index: int = 0) -> Container:
        """Return a service's running container, by default the first."""
        found = [
            container
            for container in self.of_services(project, [service], all=False)
            if not index or container.labels.get(labels.NUMBER) == str(index)
        ]
        if not found:
            raise NotFoundError(
                f'service "{service}" is not running' + (f" container #{index}" if index else ""),
                hint=f"compose up -d {service}",
            )
        return found[0]

    def instances(self, project: Project | None) -> tuple[Instance, ...]:
        """Return the project's containers as values."""
        return instances_of(self.containers(self.name(project)))

    def seen(self, project: Project | None) -> Seen:
        """Return the existing objects of a project; without a file, those with its labels."""
        name, instances = self.name(project), self.instances(project)
        if project is None:
            chosen = {"label": [f"{labels.PROJECT}={name}"]}
            volumes = {one.name: one.labels for one in self.nouns.volumes.list(filters=chosen)}
            networks = {
                one.name: one.labels
                for one in self.nouns.networks.list()
                if one.labels.get(labels.PROJECT) == name
            }
            return Seen(instances, networks, volumes)
        networks, volumes = {}, {}
        for key in project.model.get("networks") or ():
            try:
                network = self.nouns.networks.get(network_name(project, key))
            except NetworkNotFoundError:
                continue
            if network.name == network_name(project, key):  # not a match of an ID's prefix
                networks[network.name] = network.labels
        for key in project.model.get("volumes") or ():
            try:
                volume = self.nouns.volumes.get(volume_name(project, key))
            except VolumeNotFoundError:
                continue
            volumes[volume.name] = volume.labels
        return Seen(instances, networks, volumes)


def _place(container: Container) -> tuple[str, int, str]:
    own = container.labels
    number = own.get(labels.NUMBER, "")
    return own.get(labels.SERVICE, ""), int(number) if number.isdecimal() else 0, container.name


def known(service: str, project: Project) -> None:
    """Raise :class:`NotFoundError` for a service that the file does not declare."""
    if service not in project.services and service not in project.declared:
        from jupyter_containers.compose.problems import near

        raise NotFoundError(f"no such service: {service}", hint=near(service, project.services))
