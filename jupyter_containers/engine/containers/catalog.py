"""The catalog of containers: create, find, list, rename; for all else see ``lifecycle``."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress

import msgspec

from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.containers.shared_namespaces import inherited
from jupyter_containers.engine.containers.validation import refuse
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.filters import Filters, Lookups, container_filter
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.naming import friendly_name, new_id
from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.engine.volumes.catalog import Volumes
from jupyter_containers.errors import (
    AlreadyExistsError,
    ContainerNotFoundError,
    InvalidArgumentError,
)
from jupyter_containers.oci.image import ImageConfig
from jupyter_containers.options import MountRequest, RunOptions
from jupyter_containers.options.values import check_name, local_path, parse_labels
from jupyter_containers.runtime.health import read_status
from jupyter_containers.runtime.resources import check_limits
from jupyter_containers.runtime.spec import process_args
from jupyter_containers.runtime.targets import Wish, check_target
from jupyter_containers.store import ImageRecord


class Containers:
    """The containers of one store."""

    def __init__(
        self, context: EngineContext, images: Images, volumes: Volumes, lifecycle: Lifecycle
    ) -> None:
        self._context, self._images = context, images
        self._volumes, self._lifecycle = volumes, lifecycle

    def find(self, text: str) -> ContainerRecord:
        """Return the current record of the container with this name, ID or unique ID prefix.

        Raises :class:`ContainerNotFoundError`, with similar names as a hint.
        """
        record = self._context.containers.find(text.removeprefix("/"))
        looked = None if record is None else self._lifecycle.look(record)
        if looked is not None and looked.phase == "ready":
            return looked
        raise ContainerNotFoundError(f"no such container: {text}", hint=self._hint(text))

    def _hint(self, text: str) -> str:
        import difflib

        names = [record.name for record in self._context.containers.all()]
        near = difflib.get_close_matches(text, names, n=3, cutoff=0.5)
        return f"did you mean {' or '.join(near)}?" if near else "see `ps -a` for what is here"

    def all(self) -> list[ContainerRecord]:
        """Return the current records of all containers, newest first."""
        looked = (self._lifecycle.look(record) for record in self._context.containers.all())
        ready = (record for record in looked if record is not None and record.phase == "ready")
        return sorted(ready, key=lambda item: item.created, reverse=True)

    def damaged(self) -> bool:
        """Return whether any container's record is damaged, so that its references are unknown."""
        return bool(self._context.containers.damaged())

    def create(
        self,
        options: RunOptions,
        image: ImageRecord,
        config: ImageConfig,
        *,
        owned: bool = False,
    ) -> ContainerRecord:
        """Record a container and prepare its writable layer and volumes.

        An ``owned`` container is about to be started by this process: until then no prune removes
        it, and if the process dies, a sweep removes it if it has ``rm``.

        Raises :class:`AlreadyExistsError` for a name in use, :class:`InvalidArgumentError` for a
        command that is missing.
        """
        process_args(config.config, options)
        refuse(options, self._context)
        options = self._context.quotas.capped(options)
        self._context.quotas.check_disk(self._context)
        check_limits(options, self._context.host)
        # A prune that began before the record existed checks again when the lease ends.
        with self._context.store.leases.hold([image.manifest.digest, image.chain_id]):
            record = self._insert(options, image, config)
        try:
            self._context.store.snapshots.prepare(record.id, record.chain_id)
            mounts = self._resolve_mounts(record)
            record = self._context.containers.update(
                record.id,
                lambda current: msgspec.structs.replace(
                    current,
                    mounts=mounts,
                    phase="ready",
                    owner=current.owner if owned else None,
                ),
            )
            self._lifecycle.note(record, "create")
            return record
        except BaseException:
            with deferred():
                self._lifecycle.remove(record, force=True, volumes=True)
            raise

    def _insert(
        self, options: RunOptions, image: ImageRecord, config: ImageConfig
    ) -> ContainerRecord:
        for attempt in range(100):
            container_id = new_id()
            name = options.name or friendly_name() + (str(attempt) if attempt > 2 else "")
            record = ContainerRecord(
                id=container_id,
                name=name,
                options=options,
                manifest_digest=image.manifest.digest,
                image_id=image.config_digest,
                chain_id=image.chain_id,
                config=config.config,
                networks=options.networks,
                created=time.time(),
                owner=self._context.process,
            )
            try:
                self._context.containers.insert(container_id, name, record)
            except AlreadyExistsError as error:
                if not options.name or self._is_free(name):
                    continue
                raise AlreadyExistsError(
                    f"the container name {name} is already in use",
                    hint=f"remove the other one (rm -f {name}) or choose another name",
                ) from error
            return record
        raise AlreadyExistsError("no free container name was found")

    def _is_free(self, name: str) -> bool:
        """Return whether a name is free, after settling the container that has it."""
        holder = self._context.containers.by_name(name)
        if holder is not None:
            return self._lifecycle.look(holder) is None
        # A damaged record keeps its name.
        return all(item.name != name for item in self._context.containers.damaged())

    def _resolve_mounts(self, record: ContainerRecord) -> tuple[MountRecord, ...]:
        wanted = list(record.options.mounts)
        taken = inherited(self._context, record.options.volumes_from)
        targets = {mount.target.rstrip("/") for mount in wanted}
        targets |= {target.rstrip("/") for target in taken}
        wanted += [
            MountRequest("volume", target)
            for target in record.config.volumes
            if target.rstrip("/") not in targets
        ]
        labels = {request.target: parse_labels(request.labels) for request in wanted}
        resolved: dict[str, MountRecord] = {}
        for request in wanted:
            mount = self._volumes.resolve(request)
            check_target(Wish(mount.target, mount.source))
            if mount.target in resolved:
                raise InvalidArgumentError(f"two mounts have the same target: {mount.target}")
            resolved[mount.target] = mount
        resolved = taken | resolved
        # Record them before creating them, so that a sweep finds the anonymous volumes of a dead
        # create.
        self._context.containers.update(
            record.id,
            lambda current: msgspec.structs.replace(current, mounts=tuple(resolved.values())),
        )
        for mount in resolved.values():
            self._volumes.provide(mount, labels.get(mount.target))
        return tuple(resolved.values())

    def locked(self, container_id: str) -> AbstractContextManager[None]:
        """Hold a container's lock: no other thread or process changes its state."""
        return self._lifecycle.locked(container_id)

    def rename(self, text: str, name: str) -> None:
        """Rename a container."""
        check_name(name, "container")
        record = self.find(text)
        if record.name == name:
            raise InvalidArgumentError(f"container {name} already has this name")
        renamed = self._context.containers.update(
            record.id, lambda current: msgspec.structs.replace(current, name=name), name=name
        )
        self._lifecycle.renamed(renamed, record.name)

    def matching(self, filters: Filters) -> Callable[[ContainerRecord], bool]:
        """Return the predicate of ``ps --filter`` values."""
        return container_filter(filters, Lookups(self.find, self._descendants, self._health))

    def _health(self, record: ContainerRecord) -> str:
        return read_status(self._lifecycle.bundle(record.id).folder)

    def _descendants(self, value: str) -> frozenset[str]:
        """Return the IDs of an image and its descendants, which continue its layers and history.

        Layers alone are not enough: an image may differ only in its configuration.
        """
        image = self._images.lookup(value)
        if image is None:
            return frozenset()
        count, steps = len(image.chain_ids), self._images.config(image).history
        return frozenset(
            other.config_digest
            for other, _ in self._images.all()
            if other.config_digest == image.config_digest
            or (
                other.chain_ids[:count] == image.chain_ids
                and len(history := self._images.config(other).history) > len(steps)
                and history[: len(steps)] == steps
            )
        )

    def image_shown(self, record: ContainerRecord) -> str:
        """Return the image's name as given, or its ID if that name now refers to another image."""
        named = self._images.lookup(record.options.image)
        same = named is not None and named.config_digest == record.image_id
        return record.options.image if same else record.image_id


@contextmanager
def id_file(name: str) -> Iterator[Callable[[str], None]]:
    """Yield a writer for ``--cidfile``; the file is removed if no container is created."""
    if not name:
        yield lambda _: None
        return
    path = local_path(name)
    try:
        with open(path, "x") as file:
            yield lambda container_id: print(container_id, end="", file=file)
    except FileExistsError as error:
        raise AlreadyExistsError(
            f"the container ID file {name} already exists",
            hint="make sure that its container does not run, or remove the file",
        ) from error
    except OSError as error:
        raise InvalidArgumentError(f"cannot write {name}: {error.strerror}") from error
    finally:
        with suppress(OSError):
            if path.stat().st_size == 0:
                path.unlink()
