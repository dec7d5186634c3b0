"""The engine: everything that can be done with images and containers, as one object.

An engine is a library, not a daemon: it opens the store, does what it is asked, and may vanish at
any time; containers go on without it, and any number of engines share one store.  Keyword names
are Docker's long flags in snake_case.  Long work reports to ``emit`` and stops at an interrupt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from jupyter_containers.engine.container import Container
from jupyter_containers.engine.containers import Containers, Filters
from jupyter_containers.engine.image import Image
from jupyter_containers.engine.images import Images, open_archive
from jupyter_containers.engine.inspecting import (
    container_document,
    image_document,
    network_document,
    volume_document,
)
from jupyter_containers.engine.lifecycle import Lifecycle
from jupyter_containers.engine.networks import Networks
from jupyter_containers.engine.processes import Processes, TerminalSize
from jupyter_containers.engine.results import (
    DiskUsage,
    HistoryEntry,
    NetworkSummary,
    PruneResult,
    RunResult,
    StatsSample,
    VolumeSummary,
)
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.engine.streams import OutputSink
from jupyter_containers.engine.upkeep import Upkeep
from jupyter_containers.engine.volumes import Volumes
from jupyter_containers.errors import (
    ContainerNotFoundError,
    ImageNotFoundError,
    InvalidArgumentError,
    NotFoundError,
)
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options import BuildOptions, ExecOptions, RunOptions
from jupyter_containers.options.values import parse_labels, parse_signal
from jupyter_containers.settings import Settings, load_settings

if TYPE_CHECKING:
    from jupyter_containers.engine.builds import Builds
    from jupyter_containers.engine.doctor import DoctorReport
    from jupyter_containers.engine.records import ContainerRecord
    from jupyter_containers.runtime.logs import LogLine
    from jupyter_containers.store import ImageRecord

_KINDS = ("container", "image", "network", "volume")


class Engine:
    """Images, containers, networks and volumes of one store.

    ``settings`` None reads config file and environment; ``overrides`` are fields of
    :class:`~jupyter_containers.settings.Settings`.  Use it as a context manager or close it.
    """

    def __init__(self, settings: Settings | None = None, **overrides: Any) -> None:
        self.settings = settings or load_settings(overrides=overrides)
        self._rooms = Rooms(self.settings)
        self._images = Images(self._rooms)
        self._volumes = Volumes(self._rooms)
        self._networks = Networks(self._rooms)
        self._lifecycle = Lifecycle(self._rooms, self._networks)
        self._containers = Containers(self._rooms, self._images, self._volumes, self._lifecycle)
        self._processes = Processes(self._rooms, self._lifecycle)
        self._upkeep = Upkeep(self._rooms, self._images, self._lifecycle)
        self._upkeep.sweep()

    def close(self) -> None:
        """Close the store; running containers go on."""
        self._rooms.close()

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # -- containers -------------------------------------------------------------------------------

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
        **flags: Any,
    ) -> Container | RunResult:
        """Create and start a container.

        With ``detach=True`` return the :class:`Container`, else wait for its end and return a
        :class:`RunResult`.  ``on_output(stream, data)`` gets the output live; ``stdin`` is data,
        a descriptor or a file.  With ``tty`` the container's terminal takes the size (rows and
        columns) that ``terminal_size`` returns, now and later.  Raises
        :class:`ContainerFailedError` when the exit code is not 0 and ``check``.
        """
        if stdin is not None:
            flags.setdefault("interactive", True)
        options = RunOptions.of(_name_of(image), command, **flags)
        record = self._create(options, emit, owned=options.rm)
        if options.detach:
            return Container(self, self._processes.start(record, discard_failed=options.rm))
        return self._processes.run(
            record, on_output=on_output, stdin=stdin, check=check, terminal_size=terminal_size
        )

    def create(
        self,
        image: str | Image,
        command: str | Sequence[str] | None = None,
        *,
        emit: EventSink = discard,
        **flags: Any,
    ) -> Container:
        """Create a container that :meth:`start` can start."""
        flags.setdefault("detach", True)
        return Container(self, self._create(RunOptions.of(_name_of(image), command, **flags), emit))

    def _create(
        self, options: RunOptions, emit: EventSink, *, owned: bool = False
    ) -> ContainerRecord:
        image = self._image_for(options.image, options.platform, options.pull, emit)
        config = self._images.config(image)
        return self._containers.create(options, image, config, owned=owned)

    def start(
        self,
        name: str,
        *,
        attach: bool = False,
        on_output: OutputSink | None = None,
        stdin: bytes | int | BinaryIO | None = None,
        check: bool = True,
        terminal_size: TerminalSize | None = None,
    ) -> Container | RunResult:
        """Start a created or exited container; with ``attach`` wait for its end."""
        record = self._containers.find(name)
        if attach:
            return self._processes.run(
                record, on_output=on_output, stdin=stdin, check=check, terminal_size=terminal_size
            )
        return Container(self, self._processes.start(record))

    def stop(self, name: str, timeout: float | None = None) -> None:
        """End a container: its stop signal, ``timeout`` seconds of grace (10), then KILL."""
        record = self._containers.find(name)
        grace = self._grace(record, timeout)
        signal = record.options.stop_signal or record.config.stop_signal or "TERM"
        self._lifecycle.stop(record, grace, parse_signal(signal))

    def _grace(self, record: ContainerRecord, timeout: float | None) -> float:
        if timeout is not None:
            return timeout
        own = record.options.stop_timeout
        return own if own >= 0 else self.settings.stop_timeout

    def restart(self, name: str, timeout: float | None = None) -> Container:
        """Stop a container if it runs, and start it."""
        record = self._containers.find(name)
        self.stop(record.id, timeout)
        return Container(self, self._processes.start(self._containers.find(record.id)))

    def kill(self, name: str, signal: str | int = "KILL") -> None:
        """Send a signal to a running container's first process."""
        self._lifecycle.signal(self._containers.find(name), parse_signal(signal))

    def pause(self, name: str) -> None:
        """Freeze a running container."""
        self._lifecycle.pause(self._containers.find(name))

    def unpause(self, name: str) -> None:
        """Let a paused container go on."""
        self._lifecycle.unpause(self._containers.find(name))

    def wait(self, name: str, *, cancel: CancelToken | None = None) -> int:
        """Wait until a container has ended; return its exit code."""
        return self._lifecycle.wait(self._containers.find(name), cancel or CancelToken())

    def remove(self, name: str, *, force: bool = False, volumes: bool = False) -> None:
        """Remove a container; a running one with ``force``, its anonymous volumes on request."""
        self._lifecycle.remove(self._containers.find(name), force=force, volumes=volumes)

    def rename(self, name: str, new_name: str) -> None:
        """Give a container another name."""
        self._containers.rename(name, new_name)

    def exec(
        self,
        name: str,
        command: str | Sequence[str],
        *,
        on_output: OutputSink | None = None,
        stdin: bytes | int | BinaryIO | None = None,
        check: bool = True,
        terminal_size: TerminalSize | None = None,
        **flags: Any,
    ) -> RunResult:
        """Run a command in a running container and wait for it (not with ``detach``).

        Raises :class:`ContainerFailedError` when the exit code is not 0 and ``check``.
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
        """Return what a container wrote, oldest first; with ``follow`` until it ends."""
        record = self._containers.find(name)
        return self._processes.logs(
            record, follow=follow, since=since, until=until, tail=tail, cancel=cancel
        )

    def stats(self, names: Iterable[str] | None = None) -> list[StatsSample]:
        """Return what containers use now: the named ones, or all that run."""
        if names is None:
            records = [record for record in self._containers.all() if record.state.status.alive]
        else:
            records = [self._containers.find(name) for name in names]
        return self._processes.stats(records)

    def top(self, name: str, options: Sequence[str] = ()) -> list[dict[str, str]]:
        """Return the processes of a container by column, as ``ps`` of the host shows them."""
        return self._processes.top(self._containers.find(name), options)

    def port(self, name: str) -> list[str]:
        """Return the published ports: ``8000/tcp -> 127.0.0.1:8000``."""
        record = self._containers.find(name)
        ports = record.ports if record.state.status.alive else ()
        return [
            f"{port.container_port}/{port.protocol} -> {port.host_ip}:{port.host_port}"
            for port in ports
        ]

    def containers(
        self,
        all: bool = False,
        filters: Filters | None = None,
        last: int | None = None,
        size: bool = False,
    ) -> list[Container]:
        """Return the running containers (or ``all``), newest first.

        With ``size`` each knows the bytes of its own files.
        """
        filters = filters or {}
        matches = self._containers.matching(filters)
        everything = all or bool(last) or "status" in filters or "exited" in filters
        records = [
            record
            for record in self._containers.all()
            if (everything or record.state.status.alive) and matches(record)
        ]
        found = [Container(self, record) for record in (records[:last] if last else records)]
        for container in found if size else ():
            container.size = self._rooms.store.snapshots.size_rw(container.id)
        return found

    def container(self, name: str) -> Container:
        """Return the container that a name, ID or unique ID prefix means."""
        return Container(self, self._containers.find(name))

    # -- images -----------------------------------------------------------------------------------

    def images(self, filters: Filters | None = None, all: bool = False) -> list[Image]:
        """Return the images, newest first (no intermediate ones that ``all`` could add exist)."""
        del all
        return self._images.listed(self._image, filters or {})

    def image(self, name: str) -> Image:
        """Return the image that a name, ID, unique ID prefix or digest means."""
        return self._image(self._images.find(name))

    def _image(self, record: ImageRecord, names: Mapping[str, str] | None = None) -> Image:
        if names is None:
            names = self._images.names_of(record)
        return Image(self, record, *self._images.familiar(names))

    def _image_for(self, name: str, platform: str, pull: str, emit: EventSink) -> ImageRecord:
        record = None if pull == "always" else self._images.lookup(name)
        if record is not None and (not platform or self._images.serves(record, platform)):
            return record
        if record is not None and pull == "never":
            raise ImageNotFoundError(
                f"no such image for {platform}: {name}",
                hint="the image of that name that is here is for another platform",
            )
        if pull == "never":
            return self._images.find(name)
        return self._pull(Reference.parse(name), platform, emit, CancelToken())

    def _pull(
        self, reference: Reference, platform: str, emit: EventSink, cancel: CancelToken
    ) -> ImageRecord:
        from jupyter_containers.engine.transfer import pull

        wanted = Platform.parse(platform) if platform else Platform.host()
        return pull(self._rooms, reference, wanted, emit=emit, cancel=cancel)

    def pull(
        self,
        name: str,
        *,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Image:
        """Fetch an image from its registry."""
        record = self._pull(Reference.parse(name), platform or "", emit, cancel or CancelToken())
        return self._image(record)

    def push(
        self, name: str, *, emit: EventSink = discard, cancel: CancelToken | None = None
    ) -> str:
        """Send an image to the registry that its name names; return the manifest's digest."""
        from jupyter_containers.engine.transfer import push

        reference = Reference.parse(name)
        record = self._images.lookup(name)
        if record is None:
            raise ImageNotFoundError(
                f"no such image: {reference.familiar}",
                hint=f"give it that name first: tag IMAGE {reference.familiar}",
            )
        return push(self._rooms, record, reference, emit=emit, cancel=cancel or CancelToken())

    @cached_property
    def _builds(self) -> Builds:
        from jupyter_containers.engine.builds import Builds

        return Builds(self._rooms, self._images, self._networks, self._pull)

    def build(
        self,
        context: str | Path = ".",
        *,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        **flags: Any,
    ) -> Image:
        """Build an image from a folder with a Dockerfile (or ``dockerfile="…text…"``)."""
        options = BuildOptions.of(context, **flags)
        return self._image(self._builds.build(options, emit, cancel or CancelToken()))

    def bootstrap(
        self, name: str, *, emit: EventSink = discard, cancel: CancelToken | None = None
    ) -> Image:
        """Make a base image from Debian's packages, without a registry.

        An image of that name that is here already is returned as it is.
        """
        from jupyter_containers.engine.bootstrap import Bootstrap

        reference = Reference.parse(name)
        existing = self._images.lookup(name)
        if existing is not None:
            return self._image(existing)
        token = cancel or CancelToken()

        def build(text: str, tag: str) -> ImageRecord:
            return self._builds.build_text(text, tag, emit, token)

        made = Bootstrap(self._rooms, self._images, build).make(reference, emit, token)
        return self._image(made)

    def import_image(
        self,
        source: str | Path | BinaryIO | bytes,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        cancel: CancelToken | None = None,
    ) -> Image:
        """Make an image of one layer from a tar of a root file system.

        ``changes`` are Dockerfile instructions (CMD, ENV …) for its configuration.
        """
        reference = Reference.parse(name) if name else None
        config = self._builds.changed_config(changes)
        with open_archive(source) as (file, origin):
            note = message or f"Imported from {origin}"
            token = cancel or CancelToken()
            record = self._images.import_tar(file, reference, config, note, cancel=token)
        return self._image(record)

    def tag(self, source: str, target: str) -> None:
        """Give an image one more name."""
        self._images.tag(source, target)

    def remove_image(self, name: str, *, force: bool = False) -> list[str]:
        """Remove a name, or an image with its last name; return Docker's lines about it.

        Layers and blobs that nothing else needs go too.
        """
        users = [
            (record.name, record.manifest_digest, record.state.status.alive)
            for record in self._containers.all()
        ]
        lines = self._images.remove(name, users, force=force)
        if any(line.startswith("Deleted: ") for line in lines):
            self._upkeep.collect()
        return lines

    def history(self, name: str) -> list[HistoryEntry]:
        """Return how an image came to be, newest step first."""
        return self._images.history(name)

    def login(self, registry: str, username: str, password: str) -> None:
        """Check credentials against a registry and keep them for later."""
        from jupyter_containers.registry import Credential

        credential = Credential(username, password)
        with self._rooms.registry(registry, credential) as client:
            client.ping()
        self._rooms.credentials.store(registry, credential)

    def logout(self, registry: str = "docker.io") -> None:
        """Forget the credentials of a registry."""
        self._rooms.credentials.erase(registry)

    # -- networks and volumes ---------------------------------------------------------------------

    def networks(self) -> list[NetworkSummary]:
        """Return the networks, the predefined ones first."""
        bridges = [NetworkSummary.of(item) for item in self._networks.all()]
        words = [NetworkSummary("", "host", "host"), NetworkSummary("", "none", "null")]
        return [*bridges[:1], *words, *bridges[1:]]

    def create_network(
        self,
        name: str,
        *,
        subnet: str = "",
        gateway: str = "",
        internal: bool = False,
        label: Any = (),
    ) -> NetworkSummary:
        """Create a bridge network; without ``subnet`` a free one is chosen."""
        item = self._networks.create(
            name, subnet=subnet, gateway=gateway, internal=internal, labels=parse_labels(label)
        )
        return NetworkSummary.of(item)

    def remove_network(self, name: str) -> None:
        """Remove a network that no container uses."""
        network = self._networks.find(name)
        members = [
            record.name
            for record in self._containers.all()
            if record.options.network in (network.name, network.id)
        ]
        self._networks.remove(name, members)

    def volumes(self) -> list[VolumeSummary]:
        """Return the volumes."""
        return [self._volume(item.name) for item in self._volumes.all()]

    def create_volume(self, name: str | None = None, *, label: Any = ()) -> VolumeSummary:
        """Create a volume; one that exists is returned as it is."""
        return self._volume(self._volumes.create(name or "", parse_labels(label)).name)

    def _volume(self, name: str) -> VolumeSummary:
        item = self._volumes.find(name)
        created = datetime.fromtimestamp(item.created, UTC)
        return VolumeSummary(
            item.name, str(self._volumes.mountpoint(item.name)), created, dict(item.labels)
        )

    def remove_volume(self, name: str) -> None:
        """Remove a volume and its files; one that a container has is refused."""
        users = [(record.name, record.mounts) for record in self._containers.all()]
        self._volumes.remove(name, users)

    # -- everything -------------------------------------------------------------------------------

    def inspect(self, name: str, kind: str | None = None) -> dict[str, Any]:
        """Return Docker's ``inspect`` document of a container, image, network or volume.

        Without ``kind`` the first that has the name is taken, in that order.
        """
        if kind is not None and kind not in _KINDS:
            raise InvalidArgumentError(f"invalid kind {kind!r}", hint=f"one of {', '.join(_KINDS)}")
        for candidate in (kind,) if kind else _KINDS:
            try:
                return self._inspect(candidate, name)
            except (NotFoundError, InvalidArgumentError):
                if kind is not None:
                    raise
        raise ContainerNotFoundError(f"no such object: {name}")

    def _inspect(self, kind: str, name: str) -> dict[str, Any]:
        if kind == "container":
            record = self._containers.find(name)
            networks = {item.id: item for item in self._rooms.networks.all()}
            runtime = self._rooms.host.runtime
            folder = self._lifecycle.bundle(record.id).folder
            return container_document(record, networks, folder, runtime.name if runtime else "")
        if kind == "image":
            image = self._images.find(name)
            names, digests = self._images.familiar(self._images.names_of(image))
            return image_document(image, self._images.config(image), names, digests)
        if kind == "network":
            network = self._networks.find(name)
            members = [
                record
                for record in self._containers.all()
                if record.state.status.alive
                and record.endpoint is not None
                and record.endpoint.network_id == network.id
            ]
            return network_document(network, members)
        volume = self._volumes.find(name)
        return volume_document(volume, self._volumes.mountpoint(volume.name))

    def system_df(self) -> list[DiskUsage]:
        """Return what images, containers, volumes and build cache take on disk."""
        return self._upkeep.disk_usage()

    def prune_containers(self) -> PruneResult:
        """Remove all containers that do not run."""
        return self._upkeep.prune_containers()

    def prune_images(self, *, all: bool = False) -> PruneResult:
        """Remove images without a name; with ``all``, all that no container uses."""
        return self._upkeep.prune_images(all=all)

    def prune_networks(self) -> PruneResult:
        """Remove networks that no container uses."""
        used = {record.options.network for record in self._containers.all()}
        unused = [item for item in self._networks.removable() if not {item.name, item.id} & used]
        for item in unused:
            self._networks.remove(item.id, ())
        return PruneResult(tuple(item.name for item in unused))

    def prune_volumes(self, *, all: bool = False) -> PruneResult:
        """Remove anonymous volumes (with ``all`` also named ones) that no container has."""
        return self._upkeep.prune_volumes(all=all)

    def prune_builder(self, *, all: bool = False) -> PruneResult:
        """Forget the build cache; every step of it counts as unused, with ``all`` or without."""
        del all
        return self._upkeep.prune_builder()

    def prune(self, *, all: bool = False, volumes: bool = False) -> PruneResult:
        """Remove stopped containers, unused networks and images, and the build cache."""
        results = [self.prune_containers(), self.prune_networks()]
        if volumes:
            results.append(self.prune_volumes())
        results += [self.prune_images(all=all), self.prune_builder()]
        removed = tuple(name for result in results for name in result.removed)
        return PruneResult(removed, sum(result.freed for result in results))

    def info(self) -> dict[str, Any]:
        """Return what engine and host are, for people and bug reports."""
        from jupyter_containers.engine.doctor import info

        states = [str(record.state.status) for record in self._containers.all()]
        return info(self._rooms, states, len(self._images.all()))

    def doctor(self) -> DoctorReport:
        """Return what this host can do, what is missing and what would provide it."""
        from jupyter_containers.engine.doctor import examine

        return examine(self._rooms)


def _name_of(image: str | Image) -> str:
    return image.name if isinstance(image, Image) else image
