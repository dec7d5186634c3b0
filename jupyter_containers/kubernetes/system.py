"""A context as a whole: inspect, prune, facts about the cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.filters import Filters
from jupyter_containers.engine.results import PruneResult
from jupyter_containers.errors import (
    ContainerNotFoundError,
    InvalidArgumentError,
    NotFoundError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.pods import Pods

if TYPE_CHECKING:
    from jupyter_containers.engine.journal import JournalEvent
    from jupyter_containers.kubernetes.doctor import ContextReport
    from jupyter_containers.kubernetes.engine import ClusterEngine

_KINDS = ("container", "image", "network", "volume")


class ClusterSystem:
    """The objects of one user in a namespace, together; all else is this machine's."""

    noun = "system"

    def __init__(self, cluster: Cluster, pods: Pods, engine: ClusterEngine) -> None:
        self._cluster, self._pods, self._engine = cluster, pods, engine

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._engine.local.system, name)

    def _service(self, kind: str) -> Any:
        if kind not in _KINDS:
            raise InvalidArgumentError(f"unknown kind {kind!r}", hint=f"one of {', '.join(_KINDS)}")
        return getattr(self._engine, f"{kind}s")

    def names(self, kind: str) -> list[str]:
        """Return the names of all objects of a kind (``image`` …), for completion."""
        found: list[str] = self._service(kind).names()
        return found

    def inspect(self, name: str, kind: str | None = None, *, size: bool = False) -> dict[str, Any]:
        """Return Docker's ``inspect`` document of a container, image, network or volume."""
        for candidate in (kind,) if kind else _KINDS:
            look: Callable[..., dict[str, Any]] = self._service(candidate).inspect
            try:
                return look(name, size=True) if size and candidate == "container" else look(name)
            except (NotFoundError, InvalidArgumentError):
                if kind is not None:
                    raise
        raise ContainerNotFoundError(f"no such object: {name}")

    def doctor(self) -> ContextReport:
        """Return what the user may do in the cluster, and how to provide what is missing."""
        from jupyter_containers.kubernetes.doctor import examine

        return examine(self._cluster, self._engine.settings)

    def events(
        self,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        after: int | None = None,  # noqa: ARG002  # a cluster does not number them
        filters: Mapping[str, Iterable[str]] | None = None,
        follow: bool = True,
        cancel: CancelToken | None = None,
    ) -> Iterator[JournalEvent]:
        """Return the events of this user's containers, from now on or since a time."""
        from jupyter_containers.kubernetes.events import read_events

        return read_events(
            self._cluster, since=since, until=until, filters=filters, follow=follow, cancel=cancel
        )

    def info(self) -> dict[str, Any]:
        """Return facts about the context and its containers."""
        states = [str(found.record.state.status) for found in self._pods.all()]
        return {
            "Name": self._cluster.name,
            "Driver": "kubernetes",
            "ServerVersion": self._cluster.version,
            "Namespace": self._cluster.namespace,
            "Owner": self._cluster.owner,
            "Server": self._cluster.config.cluster.server,
            "Containers": len(states),
            "ContainersRunning": states.count("running"),
            "ContainersStopped": states.count("exited") + states.count("created"),
        }

    def prune(
        self,
        *,
        all: bool = False,  # noqa: ARG002  # images are not the cluster's
        volumes: bool = False,
        filters: Filters | None = None,
    ) -> PruneResult:
        """Remove stopped containers and unused networks of the context; images are not there."""
        results = {
            "Containers": self._engine.containers.prune(filters=filters),
            "Networks": self._engine.networks.prune(filters=filters),
        }
        if volumes:
            results["Volumes"] = self._engine.volumes.prune(filters=filters)
        return PruneResult(
            tuple(name for result in results.values() for name in result.removed),
            0,
            tuple((kind, result.removed) for kind, result in results.items() if result.removed),
        )
