"""The read-only verbs: containers, status, images, processes, ports, logs."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications import labels, lines
from jupyter_containers.engine.applications.handle import ServiceHandle
from jupyter_containers.engine.applications.status import (
    ProjectStatus,
    PublishedAt,
    ResourceStatus,
    container_status,
    project_status,
)
from jupyter_containers.engine.applications.view import ProjectView, known
from jupyter_containers.engine.frames import frame_of
from jupyter_containers.errors import NotFoundError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.images.image import Image
    from jupyter_containers.engine.journal import JournalEvent
    from jupyter_containers.engine.results import StatsSample, VolumeSummary

CONTAINER_FIELDS = (
    *("name", "service", "number", "state", "health", "exit_code", "image", "command"),
    *("created", "ports", "networks", "mounts"),
)


@dataclass(frozen=True, slots=True)
class UsedImage:
    """The image of one container."""

    container: str
    image: Image


class Looking:
    """The read-only verbs of an application."""

    def __init__(self, view: ProjectView) -> None:
        self._view = view

    @property
    def name(self) -> str:
        """The project's name."""
        return self._view.options.name or self._view.project().name

    def project(self, services: Sequence[str] = ()) -> Project:
        """Return the project with all services, or with some and their dependencies."""
        return self._view.project(services)

    def __getitem__(self, service: str) -> ServiceHandle:
        project = self._view.project_if_any()
        if project is not None:
            known(service, project)
        return ServiceHandle(self._view, service)

    def ps(self, *services: str, all: bool = False, orphans: bool = True) -> list[Container]:
        """Return the running containers of the project, with ``all`` stopped ones too."""
        project = self._view.project_if_any()
        found = self._view.of_services(project, services, all=all, oneoff=all)
        if not orphans and project is not None:
            declared = {*project.declared, *project.services}
            found = [one for one in found if one.labels.get(labels.SERVICE) in declared]
        return sorted(found, key=lambda container: container.name)

    def status(self) -> ProjectStatus:
        """Return the present state: services, containers, edges, networks, volumes."""
        project = self._view.project_if_any()
        name = self._view.name(project)
        containers = self._view.containers(name)
        if project is None:
            return project_status(name, containers, None)
        seen = self._view.seen(project)
        found: dict[str, list[ResourceStatus]] = {"networks": [], "volumes": []}
        for section, existing in (("networks", seen.networks), ("volumes", seen.volumes)):
            for key, model in (project.model.get(section) or {}).items():
                own = str((model or {}).get("name") or key)
                external = bool((model or {}).get("external"))
                found[section].append(ResourceStatus(key, own, own in existing, external))
        return project_status(name, containers, project, found["networks"], found["volumes"])

    def to_dataframe(self, all: bool = True) -> Any:
        """Return a pandas DataFrame: a row for each container."""
        containers = [container_status(one) for one in self.ps(all=all)]
        return frame_of(containers, CONTAINER_FIELDS)

    def images(self, *services: str) -> list[UsedImage]:
        """Return the images of the project's containers."""
        project = self._view.project_if_any()
        found = []
        for container in self._view.of_services(project, services, oneoff=True):
            image = self._view.nouns.images.get(container.image_id)
            found.append(UsedImage(container.name, image))
        return sorted(found, key=lambda used: used.container)

    def top(self, *services: str) -> dict[str, list[dict[str, str]]]:
        """Return the processes of the running containers, by container."""
        project = self._view.project_if_any()
        return {
            container.name: list(self._view.nouns.containers.top(container.id))
            for container in self._view.of_services(project, services, all=False)
        }

    def stats(self, *services: str) -> list[StatsSample]:
        """Return the present resource usage of the running containers."""
        project = self._view.project_if_any()
        running = self._view.of_services(project, services, all=False)
        if not running:
            return []
        return list(self._view.nouns.containers.stats([container.id for container in running]))

    def port(
        self, service: str, private_port: int, *, protocol: str = "tcp", index: int = 0
    ) -> PublishedAt:
        """Return the host address at which a port of a service is published."""
        container = self._view.one(self._view.project_if_any(), service, index)
        for port in container_status(container).ports:
            if (port.container_port, port.protocol) == (private_port, protocol) and port.host_port:
                return port
        raise NotFoundError(
            f"no port {private_port}/{protocol} for container {container.name}: "
            + ", ".join(container.ports)
        )

    def volumes(self, *services: str) -> list[VolumeSummary]:
        """Return the project's volumes, or those that services use."""
        project = self._view.project_if_any()
        chosen = {"label": [f"{labels.PROJECT}={self._view.name(project)}"]}
        found = self._view.nouns.volumes.list(filters=chosen)
        if services:
            used = {
                mount
                for container in self._view.of_services(project, services)
                for mount in container.mounts
            }
            found = [volume for volume in found if volume.name in used]
        return sorted(found, key=lambda volume: volume.name)

    def logs(
        self,
        *services: str,
        follow: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        tail: int | None = None,
        index: int = 0,
        cancel: CancelToken | None = None,
    ) -> Iterator[lines.ProjectLine]:
        """Return the services' output, in order of time; with ``follow`` new output too."""
        project = self._view.project_if_any()

        def containers() -> list[Container]:
            found = self._view.of_services(project, services)
            if index:
                found = [one for one in found if one.labels.get(labels.NUMBER) == str(index)]
            return found

        found = containers()
        if not follow:
            return lines.written(found, since=since, until=until, tail=tail)
        token = cancel or CancelToken()
        return lines.followed(
            self._view.nouns, found, token, containers, since=since, until=until, tail=tail
        )

    def events(
        self,
        *services: str,
        since: datetime | None = None,
        until: datetime | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[JournalEvent]:
        """Return the events of the project's containers as they occur."""
        project = self._view.project_if_any()
        chosen: Mapping[str, Sequence[str]] = {
            "type": ["container"],
            "label": [f"{labels.PROJECT}={self._view.name(project)}"],
        }
        feed = self._view.nouns.system.events(
            since=since, until=until, filters=chosen, cancel=cancel
        )
        for event in feed:
            if not services or event.attributes.get(labels.SERVICE) in services:
                yield event

    def __repr__(self) -> str:
        options = self._view.options
        return f"<Application {options.name or ', '.join(options.files or ()) or 'compose.yaml'}>"
