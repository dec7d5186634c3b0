"""The service of containers in a cluster; the verbs and their words are the local service's.

See :class:`~jupyter_containers.engine.backends.ContainerBackend` and
:mod:`jupyter_containers.kubernetes`.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack

import msgspec

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.containers.catalog import id_file
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.containers.foreground import (
    Streams,
    TerminalSession,
    TerminalSize,
)
from jupyter_containers.engine.containers.streams import OutputSink, SignalSource
from jupyter_containers.engine.filters import Filters, Lookups, PruneFilter, container_filter
from jupyter_containers.engine.frames import CONTAINER_FIELDS, frame_of
from jupyter_containers.engine.images.image import Image, image_name
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.engine.results import PruneResult, RunResult, StatsSample
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.kubernetes.foreground import Foreground
from jupyter_containers.kubernetes.handles import PodContainer, health_of
from jupyter_containers.kubernetes.images import ImageSource
from jupyter_containers.kubernetes.logs import read_log
from jupyter_containers.kubernetes.pods import Found, Pods
from jupyter_containers.kubernetes.refused import RefusedVerbs
from jupyter_containers.kubernetes.starting import Starting
from jupyter_containers.kubernetes.states import is_over
from jupyter_containers.kubernetes.stopping import Stopping
from jupyter_containers.kubernetes.streams import Channel
from jupyter_containers.kubernetes.translation import pod_document
from jupyter_containers.kubernetes.unsupported import missing, refuse
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.oci.state import Status, require
from jupyter_containers.options import ExecOptions, RunOptions
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.options.flags import ExecFlags, RunFlags
from jupyter_containers.options.network import DEFAULT_NETWORK
from jupyter_containers.options.values import check_name, parse_signal
from jupyter_containers.runtime.keys import USUAL_KEYS, DetachKeys
from jupyter_containers.settings import Settings

if TYPE_CHECKING:
    from jupyter_containers.kubernetes.networks import ClusterNetworks
    from jupyter_containers.kubernetes.volumes import ClusterVolumes
    from jupyter_containers.runtime.logs import LogLine

_KILL = 9


class ClusterContainers(RefusedVerbs, Collection[Container]):
    """The containers of one user in a namespace."""

    noun = "containers"

    def __init__(
        self,
        pods: Pods,
        images: ImageSource,
        volumes: ClusterVolumes,
        networks: ClusterNetworks,
        settings: Settings,
    ) -> None:
        self._pods, self._images = pods, images
        self._volumes, self._networks = volumes, networks
        self._settings = settings
        self._foreground = Foreground(pods, self._end_now)
        self._starting = Starting(pods, images, volumes, settings)
        self._stopping = Stopping(pods, self._foreground, settings)

    # -- making and starting ---------------------------------------------------------------------

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
        """Create and start a container; see :meth:`ContainerService.run`."""
        keys = DetachKeys(detach_keys)
        if inputs or results or script is not None:
            raise missing("values in and out", "folders of this machine are not on the nodes")
        if stdin is not None:
            flags.setdefault("interactive", True)
        options = self._options(image_name(image), command, flags)
        streams = Streams(
            on_output=on_output,
            stdin=stdin,
            terminal_size=terminal_size,
            keys=keys,
            sig_proxy=sig_proxy,
            attach=options.attach,
            cancel=cancel,
        )
        record, published = self._starting.prepared(options, emit, cancel)
        with id_file(options.cidfile) as write_id:
            gate = not options.detach and published.known
            found, gated = self._starting.launch(record, published, gate=gate, cancel=cancel)
            write_id(record.id)
        if options.detach:
            return PodContainer(self, found)
        try:
            return self._foreground.run(found, streams, gated=gated, check=check)
        finally:
            if options.rm:
                with deferred():
                    self._pods.delete(found)

    def _options(
        self, image: str, command: str | Sequence[str] | None, flags: Mapping[str, Any]
    ) -> RunOptions:
        """Return the options of flags; raise for what a cluster cannot give."""
        given = dict(flags)
        if given.pop("here", None):
            raise missing("--here", "the folders of this machine are not on the cluster's nodes")
        # The number of CPUs of this machine limits nothing there.
        cpus = given.pop("cpus", None)
        options = RunOptions.of(image, command, **given)
        if cpus is not None:
            from jupyter_containers.options.values import parse_cpus

            options = msgspec.structs.replace(options, cpus=parse_cpus(cpus))
        refuse(options)
        self._check_networks(options)
        return options

    def _check_networks(self, options: RunOptions) -> None:
        """Raise :class:`NetworkNotFoundError` for a network that does not exist."""
        for request in options.networks:
            if not request.is_mode and request.name != DEFAULT_NETWORK:
                self._networks.get(request.name)

    def keep(
        self,
        image: str,
        command: Sequence[str],
        flags: Mapping[str, Any],
        emit: EventSink,
        cancel: CancelToken,
    ) -> tuple[Found, ExecutionConfig]:
        """Start a container that runs ``command`` in place of the image's; return that, too."""
        given = {**flags, "detach": True, "entrypoint": command[0]}
        options = self._options(image, command[1:], given)
        record, published = self._starting.prepared(options, emit, cancel)
        found, _ = self._starting.launch(record, published, cancel=cancel)
        return found, published.config

    def channel(self, found: Found, verb: str, **query: Any) -> Channel:
        """Open the streams of a process in a container."""
        return Channel(self._pods.cluster, found.object_name, verb, **query)

    def delete(self, found: Found) -> None:
        """Delete a container at once, without waiting until it is gone."""
        self._pods.delete(found)

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
        options = self._options(image_name(image), command, flags)
        with id_file(options.cidfile) as write_id:
            record, published = self._starting.prepared(options, emit)
            # Raises for an option that has no translation.
            pod_document(record, published.reference, owner=self._pods.cluster.owner)
            self._pods.check_free(record.name)
            stored = self._pods.store(record, published.reference)
            write_id(record.id)
        return PodContainer(self, stored)

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
        found = self._pods.find(name)
        streams = Streams(
            on_output=on_output,
            stdin=stdin,
            terminal_size=terminal_size,
            keys=DetachKeys(detach_keys),
            sig_proxy=sig_proxy,
        )
        if found.record.state.status is Status.RUNNING:
            if not attach:
                return PodContainer(self, found)
            return self._foreground.attach(found, streams, check=check)
        require(found.record.name, found.record.state.status, "start")
        started, gated = self._starting.again(found, gate=attach)
        if not attach:
            return PodContainer(self, started)
        try:
            return self._foreground.run(started, streams, gated=gated, check=check)
        finally:
            if started.record.options.rm:
                with deferred():
                    self._pods.delete(started)

    # -- ending ----------------------------------------------------------------------------------

    def stop(
        self, name: str, timeout: float | None = None, *, signal: str | int | None = None
    ) -> None:
        """Stop a container: send its stop signal, and KILL after ``timeout`` seconds (10)."""
        self._stopping.stop(self._pods.find(name), timeout, signal)

    def restart(
        self,
        name: str,
        timeout: float | None = None,
        *,
        signal: str | int | None = None,  # noqa: ARG002  # the node sends the image's
    ) -> Container:
        """Stop a running container (see :meth:`stop`), then start it."""
        found = self._pods.find(name)
        if found.record.state.status.up:
            kept = self._starting.keep_record(found)
            self._pods.delete(found, grace=math.ceil(self._stopping.grace(found, timeout)))
            self._pods.await_gone(found)
            found = kept
        started, _ = self._starting.again(found)
        return PodContainer(self, started)

    def kill(self, name: str, signal: str | int = "KILL") -> None:
        """Send a signal to a running container's main process."""
        found = self._pods.find(name)
        require(found.record.name, found.record.state.status, "kill")
        number = parse_signal(signal)
        if number != _KILL:
            self._foreground.signal(found, number)
            return
        self._stopping.end_now(found)

    def _end_now(self, found: Found) -> None:
        self._stopping.end_now(found)

    def wait(self, name: str, *, cancel: CancelToken | None = None) -> int:
        """Wait until a container has ended; return its exit code."""
        found = self._pods.find(name)
        if found.pod is None:
            return found.record.state.exit_code
        ended = self._pods.await_end(found, cancel)
        if ended.record.options.rm:
            self._pods.delete(ended)
        return ended.record.state.exit_code

    def remove(self, name: str, *, force: bool = False, volumes: bool = False) -> None:  # noqa: ARG002  # anonymous volumes end with the pod
        """Remove a container (``force``: also a running one)."""
        found = self._pods.find(name)
        if not force and found.record.state.status is not Status.REMOVING:
            require(found.record.name, found.record.state.status, "remove")
        self._pods.delete(found)
        if found.pod is not None and not is_over(found.pod):
            self._pods.await_gone(found)

    def rename(self, name: str, new_name: str) -> None:
        """Rename a container."""
        check_name(new_name, "container")
        found = self._pods.find(name)
        if found.record.name == new_name:
            raise InvalidArgumentError(f"container {new_name} already has this name")
        self._pods.rename(found, new_name)

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all stopped containers; filters: ``label``, ``label!``, ``until``."""
        selection = PruneFilter(filters)
        removed = []
        for found in self._pods.all():
            record = found.record
            labels = {**record.config.labels, **(record.options.labels or {})}
            if record.state.status.up or not selection.accepts(labels, record.created):
                continue
            if found.stored is not None or (found.pod is not None and is_over(found.pod)):
                self._pods.delete(found)
                removed.append(found.record.id)
        return PruneResult(tuple(removed))

    # -- inside ----------------------------------------------------------------------------------

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
        found = self._pods.find(name)
        require(found.record.name, found.record.state.status, "attach")
        streams = Streams(
            on_output=on_output,
            stdin=stdin,
            terminal_size=terminal_size,
            keys=DetachKeys(detach_keys),
            sig_proxy=sig_proxy,
        )
        return self._foreground.attach(found, streams, check=check)

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
        """Run a command in a running container and wait for it, unless ``detach`` is set."""
        options = ExecOptions.of(command, **flags)
        found = self._running(name)
        self._check_exec(options)
        if options.detach:
            script = '"$@" >/dev/null 2>&1 </dev/null &'
            self._foreground.call(found, ["sh", "-c", script, "sh", *options.command])
            return RunResult(0, container_id=found.record.id)
        streams = Streams(
            on_output=on_output,
            stdin=stdin,
            terminal_size=terminal_size,
            keys=DetachKeys(detach_keys),
        )
        return self._foreground.exec(found, options, streams, check=check)

    def _running(self, name: str) -> Found:
        found = self._pods.find(name)
        require(found.record.name, found.record.state.status, "exec")
        return found

    def _check_exec(self, options: ExecOptions) -> None:
        if options.user:
            raise missing("exec --user", "commands run as the container's user")
        if options.privileged:
            raise missing("exec --privileged", "commands have the container's rights")

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
        """Return a terminal in a container: of ``command`` (``exec -it``) or of the container."""
        if command is not None:
            options = ExecOptions.of(command, **(flags | {"interactive": True, "tty": True}))
            self._check_exec(options)
            return self._foreground.exec_terminal(self._running(name), options, rows, columns)
        found = self._pods.find(name)
        if not (found.record.options.tty and found.record.options.interactive):
            raise InvalidArgumentError(
                f"container {found.record.name} has no terminal",
                hint="create it with -it, or run a command on a new terminal in it",
            )
        if not found.record.state.status.alive:
            found, _ = self._starting.again(found, gate=True)
        return self._foreground.open_terminal(found, rows, columns)

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
        given = flags | {"tty": True, "interactive": True}
        options = self._options(image_name(image), command, given)
        record, published = self._starting.prepared(options, emit)
        found, _ = self._starting.launch(record, published, gate=published.known)
        return self._foreground.open_terminal(found, rows, columns)

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
        found = self._pods.find(name)
        return read_log(
            self._pods, found, follow=follow, since=since, until=until, tail=tail, cancel=cancel
        )

    def log_details(self, name: str) -> dict[str, str]:
        """Return the labels and variables selected by ``log-opt labels=…`` and ``env=…``."""
        from jupyter_containers.engine.containers.inspect import log_details

        return log_details(self._pods.find(name).record)

    # -- looking ---------------------------------------------------------------------------------

    def get(self, name: str) -> Container:
        """Return the container with this name, ID or unique ID prefix."""
        return PodContainer(self, self._pods.find(name))

    def list(
        self,
        all: bool = False,
        filters: Filters | None = None,
        last: int | None = None,
        size: bool = False,
    ) -> Items[Container]:
        """Return the running containers (or ``all``), newest first."""
        if size:
            raise missing("ps --size", "nodes do not report the size of containers")
        filters = filters or {}
        found = self._pods.all()
        health = {each.record.id: health_of(each) for each in found}
        matches = container_filter(
            filters,
            Lookups(
                lambda text: self._pods.find(text).record,
                self._of_image,
                lambda record: health.get(record.id, ""),
            ),
        )
        everything = all or bool(last) or "status" in filters
        chosen: Items[Container] = [
            PodContainer(self, each)
            for each in found
            if (everything or each.record.state.status.up) and matches(each.record)
        ]
        return chosen[:last] if last else chosen

    __call__ = list

    def _of_image(self, name: str) -> frozenset[str]:
        found = self._images.image_id(name)
        return frozenset({found} if found else ())

    def everything(self) -> Items[Container]:
        """Return all containers, newest first."""
        return self.list(True)

    def names(self) -> Items[str]:
        """Return the names of all containers: for completion."""
        return [found.record.name for found in self._pods.all()]

    def health(self, record: ContainerRecord) -> str:
        """Return a running container's health; empty without a health check."""
        return health_of(self._pods.find(record.id))

    def inspect(self, name: str, *, size: bool = False) -> dict[str, Any]:
        """Return Docker's ``container inspect`` object."""
        from jupyter_containers.kubernetes.inspect import inspect_document

        if size:
            raise missing("inspect --size", "nodes do not report the size of containers")
        return inspect_document(self._pods.find(name))

    def port(self, name: str) -> Items[str]:
        """Return the published ports: ``8000/tcp -> 127.0.0.1:8000``."""
        found = self._pods.find(name)
        if not found.record.state.status.alive:
            return []
        return [
            f"{port.container} -> {port.host_ip or self._settings.publish_address}:{port.host_port}"
            for port in found.record.options.publish
            if port.host_port
        ]

    def top(self, name: str, options: Sequence[str] = ()) -> Items[dict[str, str]]:
        """Return the processes of a container by column, as ``ps`` in the container shows them."""
        from jupyter_containers.kubernetes.usage import processes

        return processes(self._foreground, self._running(name), options)

    def stats(self, names: Iterable[str] | None = None) -> Items[StatsSample]:
        """Return the current resource usage of the named containers, or of all running ones."""
        from jupyter_containers.kubernetes.usage import samples

        chosen = self._pods.all() if names is None else [self._pods.find(name) for name in names]
        return samples(
            self._foreground, [each for each in chosen if each.record.state.status.alive]
        )

    def to_dataframe(self, all: bool = True) -> Any:
        """Return a pandas DataFrame: a row for each container, with typed columns."""
        return frame_of(self(all), CONTAINER_FIELDS)

    # -- what a cluster does not have ------------------------------------------------------------

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
        """Copy files between a running container (``NAME:PATH``) and this machine, by its tar."""
        from jupyter_containers.kubernetes.copying import Copying

        Copying(self._foreground, self._running, self._pods.cluster).copy(
            source,
            target,
            archive=archive,
            follow_link=follow_link,
            stdin=stdin,
            stdout=stdout,
            emit=emit,
        )
