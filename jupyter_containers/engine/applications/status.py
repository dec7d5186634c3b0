"""The status of a project: frozen values for tables, drawings and DataFrames.

A :class:`ProjectStatus` is a snapshot of the declared and the existing objects: services with their
containers and dependencies, networks, volumes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.compose.consistency import scale
from jupyter_containers.compose.project import Project
from jupyter_containers.engine.applications import labels
from jupyter_containers.engine.applications.observed import instance_of
from jupyter_containers.engine.applications.planning import ordered
from jupyter_containers.lazy_dataclasses import dataclass

if TYPE_CHECKING:
    from datetime import datetime

    from jupyter_containers.engine.containers.container import Container


@dataclass(frozen=True, slots=True)
class PublishedAt:
    """A host port that leads to a container's port; ``host_port`` 0: only exposed."""

    host_ip: str
    host_port: int
    container_port: int
    protocol: str = "tcp"

    @property
    def address(self) -> str:
        """``HOST:PORT`` as a browser takes it."""
        from ipaddress import ip_address

        everywhere = not self.host_ip or ip_address(self.host_ip).is_unspecified
        host = "127.0.0.1" if everywhere else self.host_ip
        return f"[{host}]:{self.host_port}" if ":" in host else f"{host}:{self.host_port}"

    def __str__(self) -> str:
        if not self.host_port:
            return f"{self.container_port}/{self.protocol}"
        host = f"[{self.host_ip}]" if ":" in self.host_ip else self.host_ip
        return f"{host}:{self.host_port}->{self.container_port}/{self.protocol}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ContainerStatus:
    """One container of a service; ``number`` 0 is a one-off one (``run``).

    ``state`` is Docker's word (``running``, ``exited`` …), ``health`` is ``starting``, ``healthy``,
    ``unhealthy`` or empty, ``status_text`` what ``ps`` shows, ``ip_addresses`` are by network.
    """

    id: str
    name: str
    service: str
    number: int
    state: str
    health: str
    exit_code: int | None
    status_text: str
    image: str
    command: str
    created: datetime
    ports: tuple[PublishedAt, ...]
    project: str = ""
    oneoff: bool = False
    networks: tuple[str, ...] = ()
    mounts: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Dependency:
    """An edge of the graph: the service waits for ``service`` until ``condition``."""

    service: str
    condition: str = "service_started"
    required: bool = True
    restart: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceStatus:
    """One service: as declared, and its containers.

    ``state`` is ``missing`` without a container, the state of its containers if they agree, else
    ``mixed``; ``health`` is the worst of theirs; ``scale`` is the declared number of containers.
    ``networks`` and ``volumes`` are keys of the file (``host`` and the like for a mode);
    ``declared`` is false for an orphan.
    """

    name: str
    state: str
    health: str
    image: str
    scale: int
    containers: tuple[ContainerStatus, ...] = ()
    depends_on: tuple[Dependency, ...] = ()
    networks: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    build: bool = False
    declared: bool = True

    @property
    def ports(self) -> tuple[PublishedAt, ...]:
        """The published ports of all containers."""
        return tuple(port for one in self.containers for port in one.ports if port.host_port)

    @property
    def running(self) -> int:
        """The number of running containers."""
        return sum(one.state == "running" for one in self.containers)


@dataclass(frozen=True, slots=True)
class ResourceStatus:
    """A network or volume that a file declares; ``name`` is its name in the engine."""

    key: str
    name: str
    exists: bool
    external: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectStatus:
    """A project at one moment; services come after their dependencies, orphans last."""

    name: str
    folder: str = ""
    files: tuple[str, ...] = ()
    services: tuple[ServiceStatus, ...] = ()
    networks: tuple[ResourceStatus, ...] = ()
    volumes: tuple[ResourceStatus, ...] = ()

    @property
    def containers(self) -> tuple[ContainerStatus, ...]:
        """The containers of all services."""
        return tuple(one for service in self.services for one in service.containers)

    @property
    def status_text(self) -> str:
        """``running(3)``, ``exited(1), running(2)``: as ``compose ls`` shows it."""
        counts: dict[str, int] = {}
        for one in self.containers:
            counts[one.state] = counts.get(one.state, 0) + 1
        return ", ".join(f"{state}({count})" for state, count in sorted(counts.items()))

    def __getitem__(self, service: str) -> ServiceStatus:
        for one in self.services:
            if one.name == service:
                return one
        raise KeyError(service)


@dataclass(frozen=True, slots=True)
class ProjectSummary:
    """One line of ``compose ls``: a project that has containers."""

    name: str
    status_text: str
    files: tuple[str, ...] = ()
    folder: str = ""


def container_status(container: Container) -> ContainerStatus:
    """Return one container as a value."""
    record, seen = container.record, instance_of(container)
    published = tuple(
        PublishedAt(port.host_ip, port.host_port, port.container_port, port.protocol)
        for port in (record.ports if container.status.alive else ())
    )
    taken = {(port.container_port, port.protocol) for port in published}
    exposed = (*record.config.exposed_ports, *record.options.expose)
    bare = []
    for text in dict.fromkeys(exposed) if container.status.alive else ():
        number, _, protocol = text.partition("/")
        if number.isdecimal() and (int(number), protocol or "tcp") not in taken:
            bare.append(PublishedAt("", 0, int(number), protocol or "tcp"))
    return ContainerStatus(
        id=container.id,
        name=container.name,
        service=seen.service,
        number=seen.number,
        state=seen.state,
        health=seen.health,
        exit_code=container.exit_code,
        status_text=container.status_text,
        image=container.image,
        command=container.command,
        created=container.created,
        ports=(*published, *bare),
        project=container.labels.get(labels.PROJECT, ""),
        oneoff=seen.oneoff,
        networks=seen.networks,
        mounts=tuple(container.mounts),
    )


def service_status(
    name: str,
    containers: Sequence[ContainerStatus],
    model: Mapping[str, Any] | None,
    image: str,
    dependencies: Sequence[Dependency] = (),
) -> ServiceStatus:
    """Return a service as a value; ``model`` None: no file declares it."""
    numbered = tuple(sorted((one for one in containers), key=lambda one: one.number))
    counted = [one for one in numbered if not one.oneoff]
    declared = model is not None
    model = model or {}
    if declared:
        dependencies = [
            Dependency(
                other,
                entry.get("condition", "service_started"),
                bool(entry.get("required", True)),
                bool(entry.get("restart", False)),
            )
            for other, entry in (model.get("depends_on") or {}).items()
        ]
    mode = model.get("network_mode")
    networks = (str(mode),) if mode else tuple(model.get("networks") or ())
    return ServiceStatus(
        name=name,
        state=_state([one.state for one in counted]),
        health=_health([one.health for one in counted if one.state == "running"]),
        image=image,
        scale=scale(dict(model)) if declared else len(counted),
        containers=numbered,
        depends_on=tuple(dependencies),
        networks=networks,
        volumes=tuple(
            item["source"]
            for item in model.get("volumes", ())
            if item["type"] == "volume" and item.get("source")
        ),
        build=bool(model.get("build")),
        declared=declared,
    )


def _state(states: Sequence[str]) -> str:
    found = set(states)
    return "missing" if not found else states[0] if len(found) == 1 else "mixed"


def _health(words: Sequence[str]) -> str:
    return next((word for word in ("unhealthy", "starting", "healthy") if word in words), "")


def project_status(
    name: str,
    containers: Sequence[Container],
    project: Project | None,
    networks: Sequence[ResourceStatus] = (),
    volumes: Sequence[ResourceStatus] = (),
) -> ProjectStatus:
    """Return a project: the services of its file and those known only from containers."""
    by_service: dict[str, list[ContainerStatus]] = {}
    waits: dict[str, list[Dependency]] = {}
    for container in containers:
        value, seen = container_status(container), instance_of(container)
        by_service.setdefault(value.service, []).append(value)
        waits[value.service] = [
            Dependency(other, condition, restart=restart)
            for other, (condition, restart) in seen.dependencies.items()
        ]
    models = project.services if project is not None else {}
    found = [
        service_status(
            service, by_service.get(service, ()), models[service], project.image(service)
        )
        for service in ordered(models)
        if project is not None
    ]
    rest = {key: {"depends_on": [one.service for one in waits[key]]} for key in sorted(by_service)}
    found += [
        service_status(
            service, by_service[service], None, by_service[service][0].image, waits[service]
        )
        for service in ordered(rest)
        if service not in models
    ]
    first = containers[0].labels if containers else {}
    files = project.files if project is not None else _files(first)
    folder = project.folder if project is not None else first.get(labels.FOLDER, "")
    return ProjectStatus(
        name=name,
        folder=folder,
        files=files,
        services=tuple(found),
        networks=tuple(networks),
        volumes=tuple(volumes),
    )


def _files(own: Mapping[str, str]) -> tuple[str, ...]:
    return tuple(filter(None, own.get(labels.FILES, "").split(",")))


def summaries(containers: Sequence[Container]) -> list[ProjectSummary]:
    """Return the projects that have containers, by name."""
    by_project: dict[str, list[Container]] = {}
    for container in containers:
        by_project.setdefault(container.labels.get(labels.PROJECT, ""), []).append(container)
    found = []
    for name, members in sorted(by_project.items()):
        if not name:
            continue
        counts: dict[str, int] = {}
        for one in members:
            counts[str(one.status)] = counts.get(str(one.status), 0) + 1
        text = ", ".join(f"{state}({count})" for state, count in sorted(counts.items()))
        files = dict.fromkeys(path for one in members for path in _files(one.labels))
        folder = members[0].labels.get(labels.FOLDER, "")
        found.append(ProjectSummary(name, text, tuple(files), folder))
    return found
