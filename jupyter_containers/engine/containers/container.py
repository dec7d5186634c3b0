"""The handle of a container: its record and the verbs for it."""

from __future__ import annotations

import os
import shlex
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

from jupyter_containers.engine.containers.status_text import StatusText
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.oci.state import Status
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.flags import ExecFlags, UpdateFlags
from jupyter_containers.runtime.spec import process_args

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.filesystems import FileChange
    from jupyter_containers.engine.containers.foreground import TerminalSize
    from jupyter_containers.engine.containers.service import ContainerService
    from jupyter_containers.engine.containers.streams import OutputSink
    from jupyter_containers.engine.images.image import Image
    from jupyter_containers.engine.results import RunResult, StatsSample
    from jupyter_containers.runtime.logs import LogLine


class ExecCall(ExecFlags, total=False):
    """Keywords of ``exec``: its options, and the caller's streams."""

    on_output: OutputSink | None
    stdin: bytes | int | BinaryIO | None
    check: bool
    terminal_size: TerminalSize | None
    detach_keys: str


class Container:
    """A container, as of the time of this value; :meth:`reload` updates it.

    ``id`` has 64 characters, ``image`` is the name it was started from, ``command`` the whole
    command line.  ``image_shown``, in a list, is the image's ID if that name now refers to another
    image.  ``ports`` are the published ports in Docker's notation while it runs.  ``size`` and
    ``size_root``, if requested, are the bytes of its own files, and of these plus the image's.
    """

    def __init__(self, service: ContainerService, record: ContainerRecord) -> None:
        self._service = service
        self.record = record
        self.image_shown = record.options.image
        self.size = 0
        self.size_root = 0

    @property
    def id(self) -> str:
        """The ID, 64 hexadecimal characters."""
        return self.record.id

    @property
    def short_id(self) -> str:
        """The first 12 characters of the ID."""
        return self.record.id[:12]

    @property
    def name(self) -> str:
        """The name."""
        return self.record.name

    @property
    def image(self) -> str:
        """The image's name as given when the container was created."""
        return self.record.options.image

    @property
    def image_id(self) -> str:
        """The image's ID."""
        return self.record.image_id

    @property
    def command(self) -> str:
        """Entrypoint and command as one shell-quoted line."""
        return shlex.join(self.argv)

    @property
    def argv(self) -> tuple[str, ...]:
        """Entrypoint and command as a list of arguments."""
        return process_args(self.record.config, self.record.options)

    @property
    def created(self) -> datetime:
        """The time at which the container was created."""
        return datetime.fromtimestamp(self.record.created, UTC)

    @property
    def status(self) -> Status:
        """The state of the container in its life cycle."""
        return self.record.state.status

    @property
    def status_text(self) -> str:
        """The status in the words of ``docker ps``: ``Up 2 minutes``, ``Exited (0) …``."""
        text = self.status_pattern.at(time.time())
        if self.status is not Status.RUNNING or not self.health:
            return text
        return f"{text} ({'health: ' if self.health == 'starting' else ''}{self.health})"

    @property
    def status_pattern(self) -> StatusText:
        """The status without the health, with a placeholder for its age."""
        return StatusText.of(self.record.state)

    @property
    def health(self) -> str:
        """``starting``, ``healthy`` or ``unhealthy``; empty without a health check."""
        if not self.record.state.companions:
            return ""
        return self._service.health(self.record)

    @property
    def exit_code(self) -> int | None:
        """The exit code of the last run; None before the first one has ended."""
        return self.record.state.exit_code if self.status is Status.EXITED else None

    @property
    def oom_killed(self) -> bool:
        """Whether the kernel killed a process of the container because memory ran out."""
        return self.record.state.oom_killed

    @property
    def ports(self) -> list[str]:
        """The published ports, ``127.0.0.1:8000->8000/tcp``, and the exposed ones, ``8000/tcp``."""
        if not self.status.alive:
            return []
        published = [str(port) for port in self.record.ports]
        taken = {f"{port.container_port}/{port.protocol}" for port in self.record.ports}
        exposed = (*self.record.config.exposed_ports, *self.record.options.expose)
        return published + [port for port in dict.fromkeys(exposed) if port not in taken]

    @property
    def labels(self) -> dict[str, str]:
        """The image's labels, overridden by the container's own."""
        return {**self.record.config.labels, **(self.record.options.labels or {})}

    @property
    def networks(self) -> list[str]:
        """The names of the container's networks."""
        return [request.name for request in self.record.networks]

    @property
    def mounts(self) -> list[str]:
        """The mounted volume names and host paths."""
        return [mount.name or mount.source for mount in self.record.mounts if mount.source]

    @property
    def local_volumes(self) -> int:
        """The number of mounted volumes."""
        return sum(mount.type == "volume" for mount in self.record.mounts)

    @property
    def ip_address(self) -> str:
        """The address in its first network while it runs; empty if it has none."""
        endpoints = self.record.endpoints if self.status.alive else ()
        return endpoints[0].address if endpoints else ""

    def reload(self) -> Container:
        """Read the record again; return self."""
        self.record = self._service.get(self.id).record
        return self

    def start(self) -> Container:
        """Start the container; return self, reloaded."""
        self._service.start(self.id)
        return self.reload()

    def stop(self, timeout: float | None = None) -> Container:
        """Stop the container (see :meth:`ContainerService.stop`); return self, reloaded."""
        self._service.stop(self.id, timeout=timeout)
        return self if self.record.options.rm else self.reload()

    def restart(self, timeout: float | None = None) -> Container:
        """Stop and start the container; return self, reloaded."""
        self._service.restart(self.id, timeout=timeout)
        return self.reload()

    def kill(self, signal: str | int = "KILL") -> None:
        """Send a signal to the container's main process."""
        self._service.kill(self.id, signal)

    def pause(self) -> Container:
        """Freeze the container's processes; return self, reloaded."""
        self._service.pause(self.id)
        return self.reload()

    def unpause(self) -> Container:
        """Resume the container's processes; return self, reloaded."""
        self._service.unpause(self.id)
        return self.reload()

    @with_keywords(UpdateFlags)
    def update(self, **flags: Unpack[UpdateFlags]) -> Container:
        """Change the limits (see :meth:`ContainerService.update`); return self, reloaded."""
        self._service.update(self.id, **flags)
        return self.reload()

    def wait(self) -> int:
        """Wait until the container has ended; return the exit code."""
        return self._service.wait(self.id)

    def remove(self, force: bool = False, volumes: bool = False) -> None:
        """Remove the container; a running one only with ``force``."""
        self._service.remove(self.id, force=force, volumes=volumes)

    @with_keywords(ExecCall)
    def exec(self, command: str | Sequence[str], **flags: Unpack[ExecCall]) -> RunResult:
        """Run a command in the container; see :meth:`ContainerService.exec`."""
        return self._service.exec(self.id, command, **flags)

    def attach(self, **flags: Any) -> RunResult:
        """Attach to the container until it ends; see :meth:`ContainerService.attach`."""
        return self._service.attach(self.id, **flags)

    def commit(self, repository: str | None = None, **flags: Any) -> Image:
        """Create an image from the container; see :meth:`ContainerService.commit`."""
        return self._service.commit(self.id, repository, **flags)

    def diff(self) -> list[FileChange]:
        """Return the files that the container added, changed and deleted."""
        return self._service.diff(self.id)

    def put(self, source: str | Path, path: str, **flags: Any) -> None:
        """Copy a local file or folder into the container; see :meth:`ContainerService.copy`."""
        self._service.copy(_local_path(source), f"{self.id}:{path}", **flags)

    def get(self, path: str, target: str | Path, **flags: Any) -> None:
        """Copy a file or folder out of the container; see :meth:`ContainerService.copy`."""
        self._service.copy(f"{self.id}:{path}", _local_path(target), **flags)

    def top(self, *options: str) -> list[dict[str, str]]:
        """Return the container's processes; see :meth:`ContainerService.top`."""
        return self._service.top(self.id, options)

    def logs(self, **flags: Any) -> Iterator[LogLine]:
        """Return the container's log; see :meth:`ContainerService.logs`."""
        return self._service.logs(self.id, **flags)

    def stats(self) -> StatsSample:
        """Return the container's current resource usage."""
        return self._service.stats([self.id])[0]

    def inspect(self) -> dict[str, Any]:
        """Return Docker's ``container inspect`` object."""
        return self._service.inspect(self.id)

    def __enter__(self) -> Container:
        return self

    def __exit__(self, *_: object) -> None:
        self.remove(force=True)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Container) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        ports = f", {', '.join(self.ports)}" if self.ports else ""
        return f"<Container {self.name} ({self.short_id}) {self.image}: {self.status_text}{ports}>"


def _local_path(path: str | Path) -> str:
    """Return a local path in a form that cannot be read as ``NAME:PATH``; keep its ending."""
    text = os.fspath(path)
    return text if text.startswith("/") else f"{os.getcwd()}/{text}"
