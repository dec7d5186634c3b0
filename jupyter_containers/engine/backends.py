"""Protocols of the services that another backend for containers (a cluster) has to implement.

The local services and, by forwarding, those of a user without root implement these protocols;
``tests/conformance/test_engines.py`` runs against each of them.  Images and builds are always
local, so they have none.
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
    """Containers of a backend; see :class:`ContainerService`."""

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
        """Attach to a running container until it ends or ``detach_keys`` are typed."""

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
        """Create and start a container with a terminal (``run -it``); return the terminal."""

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
        """Stop a container: send its stop signal, and KILL after ``timeout`` seconds (10)."""

    def restart(
        self, name: str, timeout: float | None = None, *, signal: str | int | None = None
    ) -> Container:
        """Stop a running container (see :meth:`stop`), then start it."""

    def kill(self, name: str, signal: str | int = "KILL") -> None:
        """Send a signal to a running container's main process."""

    def update(self, name: str, **flags: Unpack[UpdateFlags]) -> None:
        """Change the limits or the restart policy of a container, running or not."""

    def pause(self, name: str) -> None:
        """Freeze all processes of a running container."""

    def unpause(self, name: str) -> None:
        """Resume a paused container."""

    def wait(self, name: str, *, cancel: CancelToken | None = None) -> int:
        """Wait until a container has ended; return its exit code."""

    def remove(self, name: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container (``force``: also a running one, ``volumes``: its anonymous ones)."""

    def rename(self, name: str, new_name: str) -> None:
        """Rename a container."""

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
        """Run a command in a running container and wait for it, unless ``detach`` is set."""

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
        """Return a container's log, oldest entry first; with ``follow`` until it ends."""

    def stats(self, names: Iterable[str] | None = None) -> Items[StatsSample]:
        """Return the current resource usage of the named containers, or of all running ones."""

    def top(self, name: str, options: Sequence[str] = ()) -> Items[dict[str, str]]:
        """Return the processes of a container by column, as the host's ``ps`` shows them."""

    def port(self, name: str) -> Items[str]:
        """Return the published ports: ``8000/tcp -> 127.0.0.1:8000``."""

    def get(self, name: str) -> Container:
        """Return the container with this name, ID or unique ID prefix."""

    def inspect(self, name: str, *, size: bool = False) -> dict[str, Any]:
        """Return Docker's ``container inspect`` object; with ``size``, include its files' bytes."""

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all stopped containers; filters: ``label``, ``label!``, ``until``."""

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
        """Return the entries of a container's folder, and its path with links resolved."""

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
        """Create an image from a container's files and configuration, with the container paused."""

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
    """Networks of a backend; see :class:`NetworkService`."""

    def get(self, name: str) -> NetworkSummary:
        """Return the network with this name, ID or unique ID prefix."""

    def create(self, name: str, **flags: Unpack[CreateNetworkFlags]) -> NetworkSummary:
        """Create a bridge network; without ``subnet``, choose a free one."""

    def connect(self, network: str, container: str, **flags: Unpack[ConnectFlags]) -> None:
        """Connect a container to a network: at once if it runs, and at each later start."""

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container from a network: at once if it runs, and at each later start."""

    def remove(self, name: str) -> None:
        """Remove a network; raise if a running container uses it."""

    def inspect(self, name: str) -> dict[str, Any]:
        """Return Docker's ``network inspect`` object."""

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all networks that no container, running or stopped, uses."""

    def names(self) -> Items[str]:
        """Return the names of all bridge networks: cheap, for completion."""

    def list(self) -> Items[NetworkSummary]:
        """Return the networks: the default one, the other predefined ones, then the rest."""

    def everything(self) -> Items[NetworkSummary]:
        """Return all networks."""


class VolumeBackend(Protocol):
    """Volumes of a backend; see :class:`VolumeService`."""

    def create(
        self, name: str | None = None, *, driver: str | None = None, label: Any = (), opt: Any = ()
    ) -> VolumeSummary:
        """Create a volume, or return the existing one of that name."""

    def get(self, name: str) -> VolumeSummary:
        """Return the volume of that name."""

    def remove(self, name: str) -> None:
        """Remove a volume and its files; raise if a container uses it."""

    def inspect(self, name: str) -> dict[str, Any]:
        """Return Docker's ``volume inspect`` object."""

    def prune(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove unused anonymous volumes, with ``all`` also unused named ones."""

    def names(self) -> Items[str]:
        """Return the names of all volumes: cheap, for completion."""

    def list(self, *, filters: Filters | None = None) -> Items[VolumeSummary]:
        """Return the volumes; filters: ``dangling``, ``driver``, ``label``, ``name``."""

    def everything(self) -> Items[VolumeSummary]:
        """Return all volumes."""


class WorkloadBackend(Protocol):
    """Workloads of several containers; see :class:`WorkloadService`."""

    def map(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        items: Iterable[Any] = (),
        *,
        workers: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
        check: bool = True,
        stdin: bool = False,
        into: str = "",
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        **flags: Unpack[ItemFlags],
    ) -> list[RunResult]:
        """Run a command for every item, each in its own container; return the results in order."""

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
        """Return a service for a ``with`` block: ready at its start, removed at its end."""


if TYPE_CHECKING:
    # The type checker verifies that the local services implement the protocols.
    _CONTAINERS: type[ContainerBackend] = ContainerService
    _NETWORKS: type[NetworkBackend] = NetworkService
    _VOLUMES: type[VolumeBackend] = VolumeService
    _WORKLOADS: type[WorkloadBackend] = WorkloadService
