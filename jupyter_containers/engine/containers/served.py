"""Containers for a service that works on behalf of other programs: the front end ``api``.

It provides raw streams, counters and documents, and starts whose ends this process records.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from jupyter_containers.engine.containers.attendance import Attendance
from jupyter_containers.engine.containers.catalog import Containers
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.containers.filesystems import FileSystems
from jupyter_containers.engine.containers.folders import PathStat, path_stat
from jupyter_containers.engine.containers.inspect import container_summary
from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.errors import StorageError
from jupyter_containers.runtime import cgroups, monitor
from jupyter_containers.runtime.attach import Attachment


class ServedContainers:
    """The containers of one store; a name may be an ID or a unique ID prefix."""

    def __init__(
        self, context: EngineContext, catalog: Containers, lifecycle: Lifecycle, files: FileSystems
    ) -> None:
        self._context, self._catalog, self._lifecycle = context, catalog, lifecycle
        self._files = files
        self.attendance = Attendance(lifecycle)

    def attachment(self, name: str) -> Attachment:
        """Return the live streams of a container that runs or is being started."""
        record = self._catalog.find(name)
        self._lifecycle.note(record, "attach")
        return Attachment(self._lifecycle.bundle(record.id).folder)

    def resize(self, name: str, rows: int, columns: int) -> None:
        """Set the size of a container's terminal."""
        record = self._catalog.find(name)
        monitor.resize(self._lifecycle.bundle(record.id).folder, rows, columns)

    def summaries(self, containers: Iterable[Container]) -> list[dict[str, Any]]:
        """Return the objects of Docker's container list."""
        networks = {item.id: item for item in self._context.networks.all()}
        return [container_summary(container, networks) for container in containers]

    def readings(self, name: str) -> cgroups.ContainerStats:
        """Return the current counters of a container's control group; zeros if it does not run."""
        record, runtime = self._catalog.find(name), self._context.runtime
        found = None
        if record.state.status.alive:
            found = cgroups.stats(runtime.layout, runtime.cgroup_path(record.id))
        return found or cgroups.ContainerStats(0.0)

    def stat(self, name: str, path: str) -> PathStat:
        """Return the status of a container's path; raise :class:`NotFoundError`."""
        with self._files.view(self._catalog.find(name)) as root:
            try:
                return path_stat(root, path)
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error.strerror}") from error
