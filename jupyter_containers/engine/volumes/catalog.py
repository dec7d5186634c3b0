"""The catalog of volumes: folders of the store that outlive containers."""

from __future__ import annotations

import os
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.naming import new_id
from jupyter_containers.engine.records import MountRecord, VolumeRecord
from jupyter_containers.errors import (
    AlreadyExistsError,
    InUseError,
    InvalidArgumentError,
    StorageError,
    VolumeNotFoundError,
)
from jupyter_containers.options import MountRequest
from jupyter_containers.options.values import check_name
from jupyter_containers.options.volumes import parse_driver_options
from jupyter_containers.runtime.mounts import is_bind
from jupyter_containers.trees.copying import copy_tree
from jupyter_containers.trees.rooted import Root, split


class Volumes:
    """The volumes of one store; a volume's files are in ``volumes/<name>/_data``."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context
        self._folder = context.settings.layout.volumes

    def all(self) -> list[VolumeRecord]:
        """Return all volumes."""
        return self._context.volumes.all()

    def find(self, name: str) -> VolumeRecord:
        """Return the volume ``name``, or raise :class:`VolumeNotFoundError`."""
        volume = self._context.volumes.by_name(name)
        if volume is None:
            raise VolumeNotFoundError(f"no such volume: {name}", hint="see `volume ls`")
        return volume

    def mountpoint(self, name: str) -> Path:
        """Return the host's folder with the volume's files."""
        return self._folder / name / "_data"

    def create(
        self,
        name: str = "",
        labels: dict[str, str] | None = None,
        *,
        anonymous: bool = False,
        driver_opts: dict[str, str] | None = None,
    ) -> VolumeRecord:
        """Return the volume ``name``, creating it if missing; without name a new anonymous one.

        ``driver_opts`` say what to mount in its place while a container uses it.
        """
        name = name or new_id()
        check_name(name, "volume")
        existing = self._context.volumes.by_name(name)
        if existing is not None:
            return existing
        options = driver_opts or {}
        # Resolve it now: a container that controls the parent folder could put a link there later.
        device = options.get("device", "")
        bound = os.path.realpath(device) if device and is_bind(options.get("o", "")) else ""
        volume = VolumeRecord(new_id(), name, time.time(), labels or {}, anonymous, options, bound)
        try:
            self._context.volumes.insert(volume.id, name, volume)
        except AlreadyExistsError:
            return self.find(name)
        self._make_folder(name)
        self._context.journal.record("volume", "create", name, {"driver": "local"})
        return volume

    def _make_folder(self, name: str) -> None:
        try:
            self.mountpoint(name).mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StorageError(f"cannot create volume {name}: {error.strerror}") from error

    def remove(self, name: str, users: Iterable[tuple[str, tuple[MountRecord, ...]]]) -> None:
        """Remove a volume and its files.

        ``users`` are the containers' names and mounts.  Raises :class:`InUseError` if one of them
        uses the volume.
        """
        volume = self.find(name)
        for container, mounts in users:
            if any(mount.type == "volume" and mount.name == volume.name for mount in mounts):
                raise InUseError(
                    f"volume {volume.name} is used by container {container}",
                    hint=f"remove it first: rm {container}",
                )
        self.destroy(volume)

    def destroy(self, volume: VolumeRecord) -> None:
        """Remove a volume and its files, even if it is used."""
        # A file that cannot be removed stays; a new volume of this name takes it over.
        with suppress(StorageError):
            self._context.store.remove_tree(self._folder / volume.name)
        # Delete the record last: a folder without a record would never be found.
        with self._context.journal.together():
            self._context.volumes.delete(volume.id)
            self._context.journal.record("volume", "destroy", volume.name, {"driver": "local"})

    def resolve(self, request: MountRequest) -> MountRecord:
        """Return a mount with its source on the host; :meth:`provide` creates a volume."""
        source, name, anonymous = request.source, "", False
        if request.type == "volume":
            anonymous = not request.source
            name = check_name(request.source or new_id(), "volume")
            source = str(self.mountpoint(name))
        elif request.type == "bind":
            source = _bind_source(request)
        return MountRecord(
            request.type,
            request.target,
            source,
            name,
            request.read_only,
            request.size,
            request.mode,
            request.options if request.copy else (*request.options, "nocopy"),
            anonymous,
            request.recursion,
            request.subpath,
            driver_opts=parse_driver_options(request.driver_options),
            relabel=request.relabel,
        )

    def provide(self, mount: MountRecord, labels: dict[str, str] | None = None) -> None:
        """Create the volume of a resolved mount if it does not exist."""
        if mount.type == "volume":
            self.create(
                mount.name, labels, anonymous=mount.anonymous, driver_opts=mount.driver_opts
            )
            self._make_folder(mount.name)


def _bind_source(request: MountRequest) -> str:
    try:
        path = os.path.realpath(os.path.expanduser(request.source))
    except OSError as error:  # a link that was replaced while it was read
        raise InvalidArgumentError(
            f"cannot use bind source path {request.source}: {error.strerror}"
        ) from error
    if os.path.exists(path):
        return path
    if not request.create_source:
        raise InvalidArgumentError(
            f"bind source path does not exist: {request.source}",
            hint="create it first, or use -v, which creates a folder",
        )
    try:
        os.makedirs(path)
    except OSError as error:
        raise InvalidArgumentError(f"cannot create {path} for a bind: {error.strerror}") from error
    return path


def fill_from_image(rootfs: Path, mount: MountRecord, source: str) -> None:
    """Copy the image's files at the mount's target into an empty volume.

    Call it where ``rootfs`` is mounted; ``source`` is a path of the volume that only the engine can
    reach.  Other containers may use the volume at the same time, so no link in it is followed.
    """
    if mount.type != "volume" or "nocopy" in mount.options or mount.subpath:
        return
    try:
        volume = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except NotADirectoryError:
        return  # a volume whose options name a file
    try:
        if os.listdir(volume):
            return
        with Root(rootfs) as root:
            try:
                inside = root.open(split(os.fsencode(mount.target)), os.O_RDONLY | os.O_DIRECTORY)
            except OSError:
                return  # the image has no folder there
        try:
            copy_tree(inside, volume)
        except OSError as error:
            raise StorageError(f"cannot fill volume {mount.name}: {error.strerror}") from error
        finally:
            os.close(inside)
    finally:
        os.close(volume)
