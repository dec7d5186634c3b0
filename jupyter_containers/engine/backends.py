"""Protocols of the services that another place for containers (a cluster) has to implement.

The local services and, by forwarding, those of a user without root implement these protocols;
``tests/conformance/test_engines.py`` holds for each of them.  Images and builds are local
everywhere, so they have none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol, Unpack

from jupyter_containers.engine.collection import Items
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.options.flags import ExecFlags, RunFlags, UpdateFlags
from jupyter_containers.options.groupflags import ConnectFlags, CreateNetworkFlags
from jupyter_containers.runtime.keys import USUAL_KEYS

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.containers.filesystems import FileChange
    from jupyter_containers.engine.containers.folders import FolderEntry
    from jupyter_containers.engine.containers.foreground import TerminalSession, TerminalSize
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.containers.streams import OutputSink, SignalSource
    from jupyter_containers.engine.filters import Filters
    from jupyter_containers.engine.images.image import Image
    from jupyter_containers.engine.networks.service import NetworkService
    from jupyter_containers.engine.results import (
        NetworkSummary,
        PruneResult,
        RunResult,
        StatsSample,
        VolumeSummary,
    )
    from jupyter_containers.engine.volumes.service import VolumeService
    from jupyter_containers.engine.workloads.service import ItemFlags, WorkloadService
    from jupyter_containers.engine.workloads.service_block import Ports, Service
    from jupyter_containers.runtime.logs import LogLine


class ContainerBackend(Protocol):
    """Containers, wherever they run; see :class:`ContainerService`."""

    def run(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        *,
        emit: EventSink = discard,
        on_output: OutputSink | None = None,
        stdin: bytes | int | BinaryIO | None = None,
        check: bool = True,
        terminal_size: TerminalSize | None = None,
        detach_keys: str = USUAL_KEYS,
        sig_proxy: bool | SignalSource = True,
        inputs: Mapping[str, Any] | None = None,
        results: Sequence[str] = (),
        script: str | None = None,
        cancel: CancelToken | None = None,
        **flags: Unpack[RunFlags],
    ) -> Container | RunResult:
        """Create and start a container."""

    def attach(
        self,
        name: str,
        *,
        on_output: OutputSink | None = None,
        stdin: bytes | int | BinaryIO | None = None,
        check: bool = True,
        terminal_size: TerminalSize | None = None,
        detach_keys: str = USUAL_KEYS,
        sig_proxy: bool | SignalSource = True,
    ) -> RunResult:
        """Attach to a running container, whoever started it, until it ends or ``detach_keys``."""

    def terminal(
        self,
        name: str,
        command: str | Sequence[str] | None = None,
        *,
        rows: int = 24,
        columns: int = 80,
        **flags: Unpack[ExecFlags],
    ) -> TerminalSession:
        """Return a terminal in a container: of ``command`` (``exec -it``) or of the container."""

    def run_terminal(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        *,
        rows: int = 24,
        columns: int = 80,
        emit: EventSink = discard,
        **flags: Unpack[RunFlags],
    ) -> TerminalSession:
        """Create and start a container with a terminal (``run -it``) and return the terminal."""

    def create(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        *,
        emit: EventSink = discard,
        **flags: Unpack[RunFlags],
    ) -> Container:
        """Create a container that :meth:`start` can start."""

    def start(
        self,
        name: str,
        *,
        attach: bool = False,
        on_output: OutputSink | None = None,
        stdin: bytes | int | BinaryIO | None = None,
        check: bool = True,
        terminal_size: TerminalSize | None = None,
        detach_keys: str = USUAL_KEYS,
        sig_proxy: bool | SignalSource = True,
    ) -> Container | RunResult:
        """Start a created or exited container; with ``attach`` wait for its end."""

    def stop(
        self, name: str, timeout: float | None = None, *, signal: str | int | None = None
    ) -> None:
        """End a container: its stop signal, ``timeout`` seconds of grace (10), then KILL."""

    def restart(
        self, name: str, timeout: float | None = None, *, signal: str | int | None = None
    ) -> Container:
        """Stop a container if it runs (see :meth:`stop`), and start it."""

    def kill(self, name: str, signal: str | int = "KILL") -> None:
        """Send a signal to a running container's first process."""

    def update(self, name: str, **flags: Unpack[UpdateFlags]) -> None:
        """Change limits or the restart policy of a container, also while it runs."""

    def pause(self, name: str) -> None:
        """Freeze a running container."""

    def unpause(self, name: str) -> None:
        """Let a paused container go on."""

    def wait(self, name: str, *, cancel: CancelToken | None = None) -> int:
        """Wait until a container has ended; return its exit code."""

    def remove(self, name: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container; a running one with ``force``, its anonymous volumes on request."""

    def rename(self, name: str, new_name: str) -> None:
        """Give a container another name."""

    def exec(
        self,
        name: str,
        command: str | Sequence[str],
        *,
        on_output: OutputSink | None = None,
        stdin: bytes | int | BinaryIO | None = None,
        check: bool = True,
        terminal_size: TerminalSize | None = None,
        detach_keys: str = USUAL_KEYS,
        **flags: Unpack[ExecFlags],
    ) -> RunResult:
        """Run a command in a running container and wait for it (not with ``detach``)."""

    def logs(
        self,
        name: str,
        *,
        follow: bool = False,
        since: datetime | None = None,
        until: datetime | None = None,
        tail: int | None = None,
        cancel: CancelToken | None = None,
    ) -> Iterator[LogLine]:
        """Return what a container wrote, oldest first; with ``follow`` until it ends."""

    def stats(self, names: Iterable[str] | None = None) -> Items[StatsSample]:
        """Return what containers use now: the named ones, or all that run."""

    def top(self, name: str, options: Sequence[str] = ()) -> Items[dict[str, str]]:
        """Return the processes of a container by column, as ``ps`` of the host shows them."""

    def port(self, name: str) -> Items[str]:
        """Return the published ports: ``8000/tcp -> 127.0.0.1:8000``."""

    def get(self, name: str) -> Container:
        """Return the container that a name, ID or unique ID prefix means."""

    def inspect(self, name: str, *, size: bool = False) -> dict[str, Any]:
        """Return Docker's ``container inspect`` object, with ``size`` the bytes of its files."""

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all containers that do not run; filters: ``label``, ``label!``, ``until``."""

    def copy(
        self,
        source: str,
        target: str,
        *,
        archive: bool = False,
        follow_link: bool = False,
        stdin: BinaryIO | bytes | None = None,
        stdout: BinaryIO | None = None,
        emit: EventSink = discard,
    ) -> None:
        """Copy files between a container (``NAME:PATH``), running or not, and this machine."""

    def diff(self, name: str) -> Items[FileChange]:
        """Return the files that a container added, changed and deleted, sorted by path."""

    def folder(self, name: str, path: str) -> tuple[str, list[FolderEntry]]:
        """Return a container's folder: its path with links followed, and its entries."""

    def export(
        self, name: str, output: str | Path | BinaryIO, *, compression: str | None = None
    ) -> None:
        """Write a container's files, without its volumes, as a tar."""

    def commit(
        self,
        name: str,
        repository: str | None = None,
        *,
        change: Sequence[str] = (),
        message: str = "",
        author: str = "",
        pause: bool = True,
        cancel: CancelToken | None = None,
    ) -> Image:
        """Make an image of a container's files and configuration; it is frozen for that time."""

    def list(
        self,
        all: bool = False,
        filters: Filters | None = None,
        last: int | None = None,
        size: bool = False,
    ) -> Items[Container]:
        """Return the running containers (or ``all``), newest first."""

    def everything(self) -> Items[Container]:
        """Return all containers, newest first."""

    def names(self) -> Items[str]:
        """Return the names of all containers: cheap, for completion."""


class NetworkBackend(Protocol):
    """Networks; see :class:`NetworkService`."""

    def get(self, name: str) -> NetworkSummary:
        """Return the network that a name, ID or unique ID prefix means."""

    def create(self, name: str, **flags: Unpack[CreateNetworkFlags]) -> NetworkSummary:
        """Create a bridge network; without ``subnet`` a free one is chosen."""

    def connect(self, network: str, container: str, **flags: Unpack[ConnectFlags]) -> None:
        """Connect a container to a network, now if it runs and at each of its starts."""

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container from a network, now if it runs and at each of its starts."""

    def remove(self, name: str) -> None:
        """Remove a network that no running container uses."""

    def inspect(self, name: str) -> dict[str, Any]:
        """Return Docker's ``network inspect`` object."""

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove networks that no container uses, running or not."""

    def names(self) -> Items[str]:
        """Return the names of all bridge networks: cheap, for completion."""

    def list(self) -> Items[NetworkSummary]:
        """Return the networks, the predefined ones after the default one."""

    def everything(self) -> Items[NetworkSummary]:
        """Return all networks."""


class VolumeBackend(Protocol):
    """Volumes; see :class:`VolumeService`."""

    def create(
        self, name: str | None = None, *, driver: str | None = None, label: Any = (), opt: Any = ()
    ) -> VolumeSummary:
        """Create a volume; one that exists is returned as it is."""

    def get(self, name: str) -> VolumeSummary:
        """Return the volume of that name."""

    def remove(self, name: str) -> None:
        """Remove a volume and its files; one that a container has is refused."""

    def inspect(self, name: str) -> dict[str, Any]:
        """Return Docker's ``volume inspect`` object."""

    def prune(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove anonymous volumes (with ``all`` also named ones) that no container has."""

    def names(self) -> Items[str]:
        """Return the names of all volumes: cheap, for completion."""

    def list(self, *, filters: Filters | None = None) -> Items[VolumeSummary]:
        """Return the volumes; filters: ``dangling``, ``driver``, ``label``, ``name``."""

    def everything(self) -> Items[VolumeSummary]:
        """Return all volumes."""


class WorkloadBackend(Protocol):
    """Work of several containers; see :class:`WorkloadService`."""

    def map(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        items: Iterable[Any] = (),
        *,
        workers: int | None = None,
        retries: int = 0,
        check: bool = True,
        stdin: bool = False,
        into: str = "",
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        **flags: Unpack[ItemFlags],
    ) -> list[RunResult]:
        """Run a command for every item, each in a container of its own; results in their order."""

    def service(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        *,
        ports: Ports = (),
        ready: Callable[[Service], object] | None = None,
        timeout: float = 60.0,
        emit: EventSink = discard,
        **flags: Unpack[RunFlags],
    ) -> Service:
        """Return a service for a ``with`` block: ready when it begins, removed when it ends."""


if TYPE_CHECKING:
    # The type checker compares the local services with them.
    _CONTAINERS: type[ContainerBackend] = ContainerService
    _NETWORKS: type[NetworkBackend] = NetworkService
    _VOLUMES: type[VolumeBackend] = VolumeService
    _WORKLOADS: type[WorkloadBackend] = WorkloadService
