"""Results of the engine's verbs other than Image and Container."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.lazy_dataclasses import dataclass, field

if TYPE_CHECKING:
    from jupyter_containers.network.model import Network


@dataclass(frozen=True, slots=True)
class RunResult:
    """The result of a foreground container or exec; output is kept up to a limit, newest last.

    ``truncated`` counts the bytes dropped from the front of the two streams.  ``detached`` is True
    if the caller detached and the container still runs.  ``results`` are the requested values by
    name.
    """

    exit_code: int
    stdout: bytes = b""
    stderr: bytes = b""
    container_id: str = ""
    oom_killed: bool = False
    truncated: int = 0
    detached: bool = False
    results: Mapping[str, Any] = field(default_factory=dict)

    @property
    def output(self) -> str:
        """Standard output as text, undecodable bytes replaced."""
        return self.stdout.decode("utf-8", "replace")


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One line of ``history``, newest first; ``size`` of the layer in bytes, 0 without one."""

    id: str
    created: datetime | None
    created_by: str
    size: int
    comment: str = ""
    empty_layer: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class StatsSample:
    """The resource usage of a container; sizes in bytes, CPU in percent of one, no limit as 0."""

    container_id: str
    name: str
    cpu_percent: float
    memory_usage: int
    memory_limit: int
    network_rx: int
    network_tx: int
    block_read: int
    block_write: int
    pids: int
    pids_limit: int = 0
    oom_kills: int = 0

    @property
    def memory_percent(self) -> float:
        """Memory in use as a share of its limit, in percent; 0 where there is no limit."""
        return 100.0 * self.memory_usage / self.memory_limit if self.memory_limit else 0.0


@dataclass(frozen=True, slots=True)
class DiskUsage:
    """One line of ``system df``; sizes in bytes."""

    type: str
    total: int
    active: int
    size: int
    reclaimable: int


@dataclass(frozen=True, slots=True)
class PruneResult:
    """The objects removed by a prune and the bytes freed; ``groups`` has them by kind."""

    removed: tuple[str, ...] = ()
    freed: int = 0
    groups: tuple[tuple[str, tuple[str, ...]], ...] = ()


@dataclass(frozen=True, slots=True)
class NetworkSummary:
    """One line of ``network ls``."""

    id: str
    name: str
    driver: str
    subnet: str = ""
    gateway: str = ""
    internal: bool = False
    labels: dict[str, str] = field(default_factory=dict)
    subnet6: str = ""
    created: str = ""

    @classmethod
    def of(cls, item: Network) -> NetworkSummary:
        """Return the line of a recorded network."""
        return cls(
            item.id,
            item.name,
            item.driver,
            item.subnet,
            item.gateway,
            item.internal,
            dict(item.labels),
            item.subnet6,
            item.created,
        )


@dataclass(frozen=True, slots=True)
class VolumeSummary:
    """One line of ``volume ls``; ``mountpoint`` is the folder on the host."""

    name: str
    mountpoint: str
    created: datetime
    labels: dict[str, str] = field(default_factory=dict)
    driver: str = "local"
