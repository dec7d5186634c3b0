"""Containers for a service that works on behalf of other programs: the front end ``api``.

It provides raw streams, counters and documents, and starts whose ends this process records.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, BinaryIO, Unpack

from jupyter_containers.engine.containers.attendance import Attendance
from jupyter_containers.engine.containers.catalog import Containers
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.containers.copying import writable
from jupyter_containers.engine.containers.filesystems import FileSystems
from jupyter_containers.engine.containers.folders import PathStat, path_stat
from jupyter_containers.engine.containers.foreground import TerminalSize
from jupyter_containers.engine.containers.inspect import container_summary
from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.containers.processes import Processes
from jupyter_containers.engine.containers.streams import OutputSink
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.results import RunResult
from jupyter_containers.errors import InvalidArgumentError, ReadOnlyStoreError, StorageError
from jupyter_containers.options import ExecOptions
from jupyter_containers.options.flags import ExecFlags
from jupyter_containers.options.values import natural
from jupyter_containers.runtime import monitor
from jupyter_containers.runtime.attach import Attachment
from jupyter_containers.runtime.execute import OnProcess
from jupyter_containers.runtime.keys import USUAL_KEYS, DetachKeys
from jupyter_containers.runtime.raw_stats import RawStats, raw_stats
from jupyter_containers.runtime.users import resolve_user


class ServedContainers:
    """The containers of one store; a name may be an ID or a unique ID prefix."""

    def __init__(
        self,
        context: EngineContext,
        catalog: Containers,
        lifecycle: Lifecycle,
        files: FileSystems,
        processes: Processes,
    ) -> None:
        self._context, self._catalog, self._lifecycle = context, catalog, lifecycle
        self._files, self._processes = files, processes
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

    def exec(
        self,
        name: str,
        command: Sequence[str],
        *,
        exec_id: str,
        on_process: OnProcess,
        on_output: OutputSink | None = None,
        stdin: int | None = None,
        terminal_size: TerminalSize | None = None,
        detach_keys: str = USUAL_KEYS,
        **flags: Unpack[ExecFlags],
    ) -> RunResult:
        """Run a command as :meth:`ContainerService.exec` does, under an ID of the caller's.

        ``on_process`` receives a function that returns the process's number on the host.
        """
        return self._processes.exec(
            self._catalog.find(name),
            ExecOptions.of(command, **flags),
            on_output=on_output,
            stdin=stdin,
            check=False,
            terminal_size=terminal_size,
            keys=DetachKeys(detach_keys),
            on_process=on_process,
            exec_id=exec_id,
        )

    def exec_code(self, container_id: str, exec_id: str) -> int | None:
        """Return the exit code of a command that has ended, from the events; None if it runs."""
        for event in self._context.journal.events(
            filters={"container": (container_id,), "event": ("exec_die",)}, follow=False
        ):
            if event.attributes.get("execID") == exec_id:
                return natural(event.attributes.get("exitCode", "")) or 0
        return None

    def unlink(self, name: str, alias: str) -> None:
        """Remove a container's link on the default network; raise :class:`NotFoundError`."""
        record = self._catalog.find(name)
        with self._catalog.locked(record.id):
            self._lifecycle.unlink(self._catalog.find(record.id), alias)

    def summaries(self, containers: Iterable[Container]) -> list[dict[str, Any]]:
        """Return the objects of Docker's container list."""
        networks = {item.id: item for item in self._context.networks.all()}
        return [container_summary(container, networks) for container in containers]

    def readings(self, name: str) -> RawStats:
        """Return the current counters of a container's control group; zeros if it does not run."""
        record, runtime = self._catalog.find(name), self._context.runtime
        found = None
        if record.state.status.alive:
            found = raw_stats(runtime.layout, runtime.cgroup_path(record.id))
        return found or RawStats(0.0)

    def unpack(
        self, name: str, path: str, stream: BinaryIO, *, keep_kinds: bool, as_user: bool
    ) -> None:
        """Extract a tar into a folder of a container.

        ``keep_kinds`` refuses a file in the place of a folder, or the reverse; ``as_user`` makes
        the container's user the owner of all that is extracted.
        """
        record = writable(self._catalog.find(name))
        with self._files.view(record) as root:
            owner = None
            wanted = record.options.user or record.config.user
            if as_user and wanted:
                passwd, group = root.read_text("/etc/passwd"), root.read_text("/etc/group")
                user = resolve_user(wanted, passwd, group)
                owner = user.uid, user.gid
            try:
                self._files.unpack(stream, root, path, owner=owner, keep_kinds=keep_kinds)
            except ReadOnlyStoreError as error:
                raise InvalidArgumentError("mounted volume is marked read-only") from error
            except OSError as error:
                raise StorageError(f"cannot unpack to {path}: {error.strerror}") from error
        self._lifecycle.note(record, "extract-to-dir")

    def stat(self, name: str, path: str) -> PathStat:
        """Return the status of a container's path; raise :class:`NotFoundError`."""
        with self._files.view(self._catalog.find(name)) as root:
            try:
                return path_stat(root, path)
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error.strerror}") from error
