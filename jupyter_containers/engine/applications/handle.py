"""One service of an application: ``app["web"]``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.applications import lines
from jupyter_containers.engine.applications.status import PublishedAt, container_status
from jupyter_containers.engine.applications.view import ProjectView
from jupyter_containers.errors import NotFoundError

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.results import RunResult


class ServiceHandle:
    """A service by its name; every property queries the engine again."""

    def __init__(self, view: ProjectView, name: str) -> None:
        self._view, self.name = view, name

    @property
    def containers(self) -> list[Container]:
        """The service's containers by number, running or not."""
        return self._view.of_services(self._view.project_if_any(), [self.name])

    @property
    def container(self) -> Container:
        """The first running container of the service."""
        return self._view.one(self._view.project_if_any(), self.name)

    @property
    def ports(self) -> dict[int, int]:
        """The host ports of the first container, by container port."""
        return {
            port.container_port: port.host_port
            for port in container_status(self.container).ports
            if port.host_port
        }

    def address(self, port: int = 0) -> str:
        """Return ``HOST:PORT`` of a published port, by default the first."""
        published: list[PublishedAt] = [
            one
            for one in container_status(self.container).ports
            if one.host_port and (not port or one.container_port == port)
        ]
        if not published:
            raise NotFoundError(
                f"the service {self.name} publishes no port{f' {port}' if port else ''}",
                hint=f'ports: ["{port or 8000}"] in the file',
            )
        return published[0].address

    @property
    def health(self) -> str:
        """The health of the first running container; empty without a health check."""
        return self.container.health

    def exec(self, command: str | Sequence[str], *, index: int = 0, **flags: Any) -> RunResult:
        """Run a command in the service's first container, or in the one with ``index``."""
        container = self._view.one(self._view.project_if_any(), self.name, index)
        return self._view.nouns.containers.exec(container.id, command, **flags)

    def logs(self, **flags: Any) -> Iterator[lines.ProjectLine]:
        """Return the output of the service's containers, in order of time."""
        return lines.written(self.containers, **flags)

    def __repr__(self) -> str:
        states = ", ".join(str(one.status) for one in self.containers) or "no container"
        return f"<Service {self.name}: {states}>"
