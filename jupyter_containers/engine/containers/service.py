"""The service of containers: run, stop, inspect, copy files, remove.

Verbs take a name, an ID or a unique ID prefix.  Keyword names are Docker's long flags in
snake_case.  Long operations report to ``emit`` and end on an interrupt or a cancelled token.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.containers.catalog import Containers, id_file
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.containers.copying import Copying
from jupyter_containers.engine.containers.foreground import (
    Foreground,
    Streams,
    TerminalSession,
    TerminalSize,
)
from jupyter_containers.engine.containers.processes import Processes
from jupyter_containers.engine.containers.prune import prune_containers
from jupyter_containers.engine.containers.streams import OutputSink, SignalSource
from jupyter_containers.engine.containers.sweep import SweptLifecycle
from jupyter_containers.engine.containers.validation import warnings_of
from jupyter_containers.engine.containers.workplace import run_options
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.filters import Filters
from jupyter_containers.engine.frames import CONTAINER_FIELDS, frame_of
from jupyter_containers.engine.images.image import Image, image_name
from jupyter_containers.engine.images.service import ImageService, changed
from jupyter_containers.engine.results import (
    PruneResult,
    RunResult,
    StatsSample,
)
from jupyter_containers.errors import InvalidArgumentError, StorageError
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    discard,
    warn,
)
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.flags import ExecFlags, RunFlags, UpdateFlags
from jupyter_containers.options.run import updated
from jupyter_containers.options.values import parse_signal
from jupyter_containers.runtime.cgroup_support import check_cgroup_support
from jupyter_containers.runtime.health import read_status
from jupyter_containers.runtime.keys import USUAL_KEYS, DetachKeys

if TYPE_CHECKING:
    from jupyter_containers.engine.containers.data_exchange import Exchange
    from jupyter_containers.engine.containers.explain import Explanation
    from jupyter_containers.engine.containers.filesystems import FileChange, FileSystems
    from jupyter_containers.engine.containers.folders import FolderEntry
    from jupyter_containers.engine.containers.served import ServedContainers
    from jupyter_containers.engine.records import ContainerRecord
    from jupyter_containers.runtime.logs import LogLine


class ContainerService(Collection[Container]):
    """The containers of one store.

    ``images`` provides their images.
    """

    noun = "containers"

    def __init__(
        self,
        context: EngineContext,
        images: ImageService,
        catalog: Containers,
        lifecycle: SweptLifecycle,
    ) -> None:
        self._context, self._images = context, images
        self._containers, self._lifecycle = catalog, lifecycle
        self._foreground = Foreground(context, lifecycle)
        self._processes = Processes(context, lifecycle)

    @with_keywords(RunFlags)
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
        """Create and start a container.

        With ``detach=True`` return the :class:`Container`, else wait for its end and return a
        :class:`RunResult`.  ``on_output(stream, data)`` receives the output live; ``stdin`` is
        data, a descriptor or a file.  With ``tty`` the container's terminal takes the size (rows
        and columns) that ``terminal_size`` returns, also after changes, and ``detach_keys`` typed
        at a ``stdin`` leave the container running.  An interrupt is forwarded and ends the
        container; without ``sig_proxy`` it leaves it running; ``cancel`` ends it from another
        thread.  Raises :class:`ContainerFailedError` if the exit code is not 0 and ``check``.

        ``inputs`` are values by name, passed as files in ``/data/in``; ``results`` names the values
        to read from ``/data/out``; ``here`` (True or a folder) is mounted at ``/work``, see
        :mod:`.workplace`.  With ``script``, Python text that the command (``python3``) runs, both
        are variables; see :mod:`.data_exchange`.
        """
        keys = DetachKeys(detach_keys)
        if stdin is not None:
            flags.setdefault("interactive", True)
        options = run_options(image_name(image), command, flags)
        attach = options.attach
        streams = Streams(
            on_output=on_output,
            stdin=stdin,
            terminal_size=terminal_size,
            keys=keys,
            sig_proxy=sig_proxy,
            attach=attach,
            cancel=cancel,
        )
        if not (inputs or results or script is not None):
            return self._run(options, streams, emit, check)
        with self._exchange(inputs, results, script) as exchange:
            outcome = self._run(exchange.applied(options), streams, emit, check)
            if isinstance(outcome, Container):
                return outcome
            return replace(outcome, results=exchange.results())

    def _run(
        self, options: RunOptions, streams: Streams, emit: EventSink, check: bool
    ) -> Container | RunResult:
        record = self._create(options, emit, owned=True)
        if options.detach:
            return Container(self, self._processes.start(record, discard_failed=options.rm))
        return self._foreground.run(record, streams, check=check)

    def _exchange(
        self, inputs: Mapping[str, Any] | None, results: Sequence[str], script: str | None
    ) -> Exchange:
        from jupyter_containers.engine.containers.data_exchange import Exchange, Request

        request = Request(inputs or {}, results, script)
        settings = self._context.settings
        return Exchange(settings.layout.exchange, request, settings.result_max_bytes)

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
        """Attach to a running container until it ends or ``detach_keys`` are typed.

        The container keeps running when the caller detaches or is interrupted; with ``sig_proxy``
        an interrupt is forwarded to it.  The other arguments are those of :meth:`run`.
        """
        keys = DetachKeys(detach_keys)
        streams = Streams(
            on_output=on_output,
            stdin=stdin,
            terminal_size=terminal_size,
            keys=keys,
            sig_proxy=sig_proxy,
        )
        return self._foreground.attach(self._containers.find(name), streams, check=check)

    @with_keywords(ExecFlags)
    def terminal(
        self,
        name: str,
        command: str | Sequence[str] | None = None,
        *,
        rows: int = 24,
        columns: int = 80,
        **flags: Unpack[ExecFlags],
    ) -> TerminalSession:
        """Return a terminal in a container: of ``command`` (``exec -it``) or of the container.

        Without a command, a container that does not run is started; it must have its own terminal
        (created with ``tty`` and ``interactive``).
        """
        record = self._containers.find(name)
        if command is not None:
            flags |= {"interactive": True, "tty": True}
            options = ExecOptions.of(command, **flags)
            return self._processes.open_session(record, options, rows, columns)
        if not (record.options.tty and record.options.interactive):
            raise InvalidArgumentError(
                f"container {record.name} has no terminal",
                hint="create it with -it, or run a command on a new terminal in it",
            )
        return self._foreground.open_terminal(record, rows, columns)

    @with_keywords(RunFlags)
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
        flags |= {"tty": True, "interactive": True}
        record = self._create(run_options(image_name(image), command, flags), emit, owned=True)
        try:
            return self._foreground.open_terminal(record, rows, columns)
        except BaseException:
            if record.options.rm:
                self._lifecycle.remove(record, force=True, volumes=True)
            raise

    @with_keywords(RunFlags)
    def create(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        *,
        emit: EventSink = discard,
        **flags: Unpack[RunFlags],
    ) -> Container:
        """Create a container that :meth:`start` can start."""
        flags.setdefault("detach", True)
        return Container(self, self._create(run_options(image_name(image), command, flags), emit))

    def _create(
        self, options: RunOptions, emit: EventSink, *, owned: bool = False
    ) -> ContainerRecord:
        with id_file(options.cidfile) as write_id:
            image = self._images.provide(options.image, options.platform, options.pull, emit)
            config = self._images.catalog.config(image)
            record = self._containers.create(options, image, config, owned=owned)
            write_id(record.id)
        for number, text in enumerate(warnings_of(options, self._context.host)):
            warn(emit, text, of=str(number))
        return record

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
        record = self._containers.find(name)
        if attach:
            keys = DetachKeys(detach_keys)
            streams = Streams(
                on_output=on_output,
                stdin=stdin,
                terminal_size=terminal_size,
                keys=keys,
                sig_proxy=sig_proxy,
            )
            go = self._foreground.attach if record.state.status.alive else self._foreground.run
            return go(record, streams, check=check)
        return Container(self, self._processes.start(record))

    def stop(
        self, name: str, timeout: float | None = None, *, signal: str | int | None = None
    ) -> None:
        """Stop a container: send its stop signal, and KILL after ``timeout`` seconds (10).

        ``signal`` replaces the stop signal.
        """
        record = self._containers.find(name)
        grace = self._grace(record, timeout)
        usual = record.options.stop_signal or record.config.stop_signal or "TERM"
        self._lifecycle.stop(record, grace, parse_signal(signal or usual))

    def _grace(self, record: ContainerRecord, timeout: float | None) -> float:
        if timeout is not None:
            return timeout
        own = record.options.stop_timeout
        return own if own >= 0 else self._context.settings.stop_timeout

    def restart(
        self, name: str, timeout: float | None = None, *, signal: str | int | None = None
    ) -> Container:
        """Stop a running container (see :meth:`stop`), then start it."""
        record = self._containers.find(name)
        with self._lifecycle.keep(record):
            self.stop(record.id, timeout, signal=signal)
            started = self._processes.start(self._containers.find(record.id))
        self._lifecycle.note(started, "restart")
        return Container(self, started)

    def kill(self, name: str, signal: str | int = "KILL") -> None:
        """Send a signal to a running container's main process."""
        self._lifecycle.signal(self._containers.find(name), parse_signal(signal))

    @with_keywords(UpdateFlags)
    def update(self, name: str, **flags: Unpack[UpdateFlags]) -> None:
        """Change the limits or the restart policy of a container, running or not."""
        record = self._containers.find(name)
        options = updated(record.options, **flags)
        check_cgroup_support(
            options, self._context.host.cgroups, self._context.runtime.cgroup_parent
        )
        self._lifecycle.update(record, options)

    def pause(self, name: str) -> None:
        """Freeze all processes of a running container."""
        self._lifecycle.pause(self._containers.find(name))

    def unpause(self, name: str) -> None:
        """Resume a paused container."""
        self._lifecycle.unpause(self._containers.find(name))

    def wait(self, name: str, *, cancel: CancelToken | None = None) -> int:
        """Wait until a container has ended; return its exit code."""
        return self._lifecycle.wait(self._containers.find(name), cancel or CancelToken())

    def remove(self, name: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container (``force``: also a running one, ``volumes``: its anonymous ones)."""
        self._lifecycle.remove(self._containers.find(name), force=force, volumes=volumes)

    def rename(self, name: str, new_name: str) -> None:
        """Rename a container."""
        self._containers.rename(name, new_name)

    @with_keywords(ExecFlags)
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
        """Run a command in a running container and wait for it, unless ``detach`` is set.

        With a terminal, ``detach_keys`` typed at a ``stdin`` leave the command running.  Raises
        :class:`ContainerFailedError` if the exit code is not 0 and ``check``.
        """
        options = ExecOptions.of(command, **flags)
        record = self._containers.find(name)
        return self._processes.exec(
            record,
            options,
            on_output=on_output,
            stdin=stdin,
            check=check,
            terminal_size=terminal_size,
            keys=DetachKeys(detach_keys),
        )

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
        record = self._containers.find(name)
        return self._processes.logs(
            record, follow=follow, since=since, until=until, tail=tail, cancel=cancel
        )

    def log_details(self, name: str) -> dict[str, str]:
        """Return the labels and variables selected by ``log-opt labels=…`` and ``env=…``."""
        from jupyter_containers.engine.containers.inspect import log_details

        return log_details(self._containers.find(name))

    def stats(self, names: Iterable[str] | None = None) -> Items[StatsSample]:
        """Return the current resource usage of the named containers, or of all running ones."""
        if names is None:
            records = [record for record in self._containers.all() if record.state.status.alive]
        else:
            records = [self._containers.find(name) for name in names]
        return self._processes.stats(records)

    def top(self, name: str, options: Sequence[str] = ()) -> Items[dict[str, str]]:
        """Return the processes of a container by column, as the host's ``ps`` shows them."""
        return self._processes.top(self._containers.find(name), options)

    def port(self, name: str) -> Items[str]:
        """Return the published ports: ``8000/tcp -> 127.0.0.1:8000``."""
        record = self._containers.find(name)
        ports = record.ports if record.state.status.alive else ()
        return [
            f"{port.container_port}/{port.protocol} -> {port.host_ip}:{port.host_port}"
            for port in ports
        ]

    def _sizes(self, record: ContainerRecord) -> tuple[int, int]:
        """Return the bytes of a container's own files, and of these plus its image's."""
        own = self._context.store.snapshots.size_rw(record.id)
        image = self._context.store.records.get_image(record.manifest_digest)
        return own, own + (image.size if image is not None else 0)

    def get(self, name: str) -> Container:
        """Return the container with this name, ID or unique ID prefix."""
        return Container(self, self._containers.find(name))

    def health(self, record: ContainerRecord) -> str:
        """Return a running container's health; empty without a health check."""
        return read_status(self._lifecycle.bundle(record.id).folder)

    def inspect(self, name: str, *, size: bool = False) -> dict[str, Any]:
        """Return Docker's ``container inspect`` object; with ``size``, include its files' bytes."""
        from jupyter_containers.engine.containers.inspect import inspected

        record = self._containers.find(name)
        found = inspected(self._context, record, self._lifecycle.bundle(record.id).folder)
        if size:
            found["SizeRw"], found["SizeRootFs"] = self._sizes(record)
        return found

    def explain(self, name: str) -> Explanation:
        """Return a container as seen from inside and from outside, for teaching."""
        from jupyter_containers.engine.containers.explain import explain

        record = self._containers.find(name)
        return explain(self._context, record, self.inspect(record.id))

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all stopped containers; filters: ``label``, ``label!``, ``until``."""
        return prune_containers(self._context, self._lifecycle, filters)

    @cached_property
    def served(self) -> ServedContainers:
        """Containers for a service that works on behalf of other programs (``api``)."""
        from jupyter_containers.engine.containers.served import ServedContainers

        return ServedContainers(
            self._context, self._containers, self._lifecycle, self._files, self._processes
        )

    @cached_property
    def _files(self) -> FileSystems:
        from jupyter_containers.engine.containers.filesystems import FileSystems

        return FileSystems(self._context, self._lifecycle, self._images.catalog)

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
        """Copy files between a container (``NAME:PATH``), running or not, and this machine.

        Docker's rules determine the target.  ``archive`` keeps owners; without it, files copied out
        of a container belong to the caller.  ``follow_link`` copies a link's target.  With ``-`` as
        a path, the files are a tar on ``stdin`` or ``stdout``.

        Set-user-ID and set-group-ID bits, device nodes and all extended attributes except
        ``user.*`` never leave a container as files, even with ``archive``; a warning to ``emit``
        counts them.  A tar has them all.
        """
        Copying(self._files, self._containers, self._lifecycle).copy(
            source,
            target,
            archive=archive,
            follow_link=follow_link,
            stdin=stdin,
            stdout=stdout,
            emit=emit,
        )

    def diff(self, name: str) -> Items[FileChange]:
        """Return the files that a container added, changed and deleted, sorted by path."""
        return self._files.diff(self._containers.find(name))

    def folder(self, name: str, path: str) -> tuple[str, list[FolderEntry]]:
        """Return the entries of a container's folder, and its path with links resolved.

        Raises :class:`NotFoundError`, and :class:`InvalidArgumentError` if it is not a folder.
        """
        from jupyter_containers.engine.containers.folders import list_folder

        with self._files.view(self._containers.find(name)) as root:
            try:
                return list_folder(root, path)
            except OSError as error:
                raise StorageError(f"cannot read {path}: {error.strerror}") from error

    def export(
        self, name: str, output: str | Path | BinaryIO, *, compression: str | None = None
    ) -> None:
        """Write a container's files, without its volumes, as a tar."""
        from jupyter_containers.engine.images.saving import archive_output

        record = self._containers.find(name)
        with archive_output(output, compression) as write:
            self._files.export(record, write)
        self._lifecycle.note(record, "export")

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
        """Create an image from a container's files and configuration, with the container paused.

        ``change`` are Dockerfile instructions for the configuration (CMD, ENV …).
        """
        from jupyter_containers.oci.reference import Reference

        image = self._files.commit(
            self._containers.find(name),
            Reference.parse(repository) if repository else None,
            lambda config: changed(change, config),
            message=message,
            author=author,
            pause=pause,
            cancel=cancel or CancelToken(),
        )
        return self._images.handle(image)

    def list(
        self,
        all: bool = False,
        filters: Filters | None = None,
        last: int | None = None,
        size: bool = False,
    ) -> Items[Container]:
        """Return the running containers (or ``all``), newest first.

        With ``size``, each has the size of its own files in bytes.
        """
        filters = filters or {}
        matches = self._containers.matching(filters)
        everything = all or bool(last) or "status" in filters
        records = [
            record
            for record in self._containers.all()
            if (everything or record.state.status.up) and matches(record)
        ]
        records = records[:last] if last else records
        found = [Container(self, record) for record in records]
        for container, shown in zip(found, self._containers.images_shown(records), strict=True):
            container.image_shown = shown
        for container in found if size else ():
            container.size, container.size_root = self._sizes(container.record)
        return found

    __call__ = list

    def everything(self) -> Items[Container]:
        """Return all containers, newest first."""
        return self.list(True)

    def names(self) -> Items[str]:
        """Return the names of all containers: cheap, for completion."""
        return [record.name for record in self._containers.all()]

    def to_dataframe(self, all: bool = True) -> Any:
        """Return a pandas DataFrame: a row for each container, with typed columns."""
        return frame_of(self(all), CONTAINER_FIELDS)
