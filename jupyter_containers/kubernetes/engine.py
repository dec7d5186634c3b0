"""The engine of a context: containers, volumes and networks of a cluster, all else of this machine.

It has the services of :class:`~jupyter_containers.engine.Engine`.  The engine of this machine opens
with the first use of one of its services, so that a context can be used where no container runs.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager
from functools import cached_property
from typing import TYPE_CHECKING, Any

from jupyter_containers.contexts import Context
from jupyter_containers.engine.services import NOUNS
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.containers import ClusterContainers
from jupyter_containers.kubernetes.images import ImageSource
from jupyter_containers.kubernetes.networks import ClusterNetworks
from jupyter_containers.kubernetes.pods import Pods
from jupyter_containers.kubernetes.system import ClusterSystem
from jupyter_containers.kubernetes.volumes import ClusterVolumes
from jupyter_containers.settings import Settings

if TYPE_CHECKING:
    from jupyter_containers.engine.applications.service import ApplicationService
    from jupyter_containers.engine.records import ContainerRecord
    from jupyter_containers.engine.sessions.service import SessionService
    from jupyter_containers.kubernetes.workloads import ClusterWorkloads

_SHORT_CUTS = {
    "run": "containers",
    "build": "builds",
    "pull": "images",
    "push": "images",
    "compose": "applications",
}


class ClusterEngine:
    """The engine of one context; ``local`` opens the engine of this machine."""

    def __init__(self, context: Context, settings: Settings, local: Callable[[], Any]) -> None:
        if context.cluster is None:
            raise InvalidArgumentError(f"the context {context.name} is this machine")
        self.settings = settings
        self.context = context
        self._cluster = Cluster(context.name, context.cluster)
        self._pods = Pods(self._cluster)
        self._open_local = local
        self._local: Any = None
        self._opening = threading.Lock()

    def __enter__(self) -> ClusterEngine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __getattr__(self, name: str) -> Any:
        if name in _SHORT_CUTS:
            return getattr(getattr(self, _SHORT_CUTS[name]), name)
        if name in NOUNS:
            return getattr(self.local, name)
        raise AttributeError(f"an engine has no {name!r}", name=name)

    @property
    def local(self) -> Any:
        """The engine of this machine."""
        with self._opening:
            if self._local is None:
                self._local = self._open_local()
            return self._local

    @cached_property
    def containers(self) -> ClusterContainers:
        """Containers: call it to list running ones, iterate, ``get(name)``, ``run(…)``."""
        return ClusterContainers(
            self._pods, self._images, self.volumes, self.networks, self.settings
        )

    @cached_property
    def volumes(self) -> ClusterVolumes:
        """Volumes: call it to list them, iterate, ``get(name)``, ``create(…)``."""
        return ClusterVolumes(self._cluster, self._records)

    @cached_property
    def networks(self) -> ClusterNetworks:
        """Networks: call it to list them, iterate, ``get(name)``, ``create(…)``."""
        return ClusterNetworks(self._cluster, self._records)

    @cached_property
    def workloads(self) -> ClusterWorkloads:
        """Work over several pods: ``map(…)``, ``service(…)``."""
        from jupyter_containers.kubernetes.workloads import ClusterWorkloads

        return ClusterWorkloads(self.containers)

    @cached_property
    def system(self) -> ClusterSystem:
        """The context as a whole: ``inspect``, ``events``, ``prune``, ``doctor``."""
        return ClusterSystem(self._cluster, self._pods, self)

    @cached_property
    def sessions(self) -> SessionService:
        """Sessions: containers that run cell after cell."""
        from jupyter_containers.engine.sessions.service import SessionService

        return SessionService(self.containers, self.settings.result_max_bytes)  # type: ignore[arg-type]  # it uses the protocol

    @cached_property
    def applications(self) -> ApplicationService:
        """Applications of Compose files: ``compose(…)`` opens one; call it to list projects."""
        from jupyter_containers.engine.applications.service import ApplicationService

        return ApplicationService(self)  # type: ignore[arg-type]  # it uses the protocols

    @cached_property
    def _images(self) -> ImageSource:
        return ImageSource(self._cluster, self.settings)

    def _records(self) -> list[ContainerRecord]:
        return [found.record for found in self._pods.all()]

    def api(self, address: str = "") -> AbstractContextManager[str]:
        """Serve the Docker Engine API of this machine during a ``with`` block."""
        served: AbstractContextManager[str] = self.local.api(address)
        return served

    def close(self) -> None:
        """Close the connections; containers keep running."""
        if "_images" in self.__dict__:
            self._images.close()
        self._cluster.close()
        with self._opening:
            local, self._local = self._local, None
        if local is not None:
            local.close()


if TYPE_CHECKING:
    # The type checker verifies that the services implement the protocols.
    from jupyter_containers.engine.backends import (
        ContainerBackend,
        NetworkBackend,
        VolumeBackend,
    )

    _CONTAINERS: type[ContainerBackend] = ClusterContainers
    _NETWORKS: type[NetworkBackend] = ClusterNetworks
    _VOLUMES: type[VolumeBackend] = ClusterVolumes
