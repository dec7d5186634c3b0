"""The mounts of one RUN step: binds, caches, files and tmpfs; all end with the step."""

from __future__ import annotations

import os
import stat
from contextlib import ExitStack
from pathlib import Path

from jupyter_containers.build.copying import Copier, CopyRules
from jupyter_containers.build.seams import ContextFile, StepMount
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.engine.builds.cache_mounts import CacheMounts
from jupyter_containers.engine.builds.socket_forwarding import forwarded
from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.naming import step_name
from jupyter_containers.errors import BuildError
from jupyter_containers.events import CancelToken
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.spec import BindMount, TmpfsMount
from jupyter_containers.trees import at
from jupyter_containers.trees.copying import copy_file, copy_tree
from jupyter_containers.trees.linux import O_PATH
from jupyter_containers.trees.owners import give
from jupyter_containers.trees.rooted import Root, split


class StepMounts:
    """Converts the mounts of a RUN step to mounts of the runtime; all end with the step."""

    def __init__(
        self,
        engine_context: EngineContext,
        mounts: PrivateMounts,
        bundle: Bundle,
        stack: ExitStack,
        cancel: CancelToken,
    ) -> None:
        self._engine_context, self._mounts, self._bundle = engine_context, mounts, bundle
        self._stack, self._cancel = stack, cancel
        self._count = 0

    def resolve(self, mount: StepMount) -> BindMount | TmpfsMount:
        """Return the runtime's form of one mount."""
        if mount.type == "tmpfs":
            # Builds compile there, so only set-user-ID bits are disabled, as in BuildKit.
            return TmpfsMount(mount.target, mount.size, options=("exec", "dev"))
        if mount.type == "file":
            return self._file(mount)
        if mount.type == "cache":
            return self._cache(mount)
        if mount.type == "socket":
            return self._socket(mount)
        if mount.context is not None:
            place = self._of_context(mount.context, mount.read_only)
        else:
            stage = self._stage(mount.chain_id or "", mount.read_only)
            place = self._inside(stage, mount.source or "/")
        return BindMount(str(place), mount.target, mount.read_only)

    def _fresh(self, kind: str) -> Path:
        self._count += 1
        folder = self._bundle.folder / f"{kind}{self._count}"
        folder.mkdir()
        return folder

    def _file(self, mount: StepMount) -> BindMount:
        path = self._fresh("file") / "data"
        path.write_bytes(mount.data)
        path.chmod(mount.mode)
        give(path, mount.uid, mount.gid)
        return BindMount(str(path), mount.target, read_only=True)

    def _socket(self, mount: StepMount) -> BindMount:
        path = self._fresh("socket") / "socket"
        served = forwarded(mount.source, path, mount.mode, mount.uid, mount.gid)
        self._stack.enter_context(served)
        return BindMount(str(path), mount.target, read_only=False)

    def _cache(self, mount: StepMount) -> BindMount:
        fill = None if mount.chain_id is None else lambda folder: self._fill(mount, folder)
        caches = CacheMounts(self._engine_context)
        folder = self._stack.enter_context(caches.hold(mount, fill, self._cancel))
        return BindMount(str(folder), mount.target, mount.read_only)

    def _fill(self, mount: StepMount, folder: Path) -> None:
        """Copy the initial contents of a new cache from a stage or an image."""
        stage = self._stage(mount.chain_id or "", read_only=True)

        self._mounts.call(fill_cache, mount, stage, folder, cancel=self._cancel)

    def _stage(self, chain_id: str, read_only: bool) -> Path:
        target, snapshots = self._fresh("stage"), self._engine_context.store.snapshots
        key = None
        # A copy of several layers needs a folder, even for reading.
        if not read_only or snapshots.copying:
            key = step_name()
            snapshots.prepare(key, chain_id, transient=True)
            self._stack.callback(snapshots.discard, key)
        self._mounts.overlay(snapshots.mount(chain_id, key), target)
        return target

    def _of_context(self, file: ContextFile, read_only: bool) -> Path:
        """Mount a file or folder of a build context.

        A container may have the context too, so what was opened without following a link is
        mounted.
        """
        place = self._fresh("bind") / "shown"
        source = self._mounts.call(open_in_context, file)
        try:
            if read_only:
                self._mounts.bind_open(source, place)
                return place
            if not stat.S_ISDIR(os.fstat(source).st_mode):
                copy_open(source, place)
                return place
            if self._engine_context.store.snapshots.copying:
                copy_open(source, place)
                return place
            self._mounts.bind_open(source, place, recursive=False)
            return self._writable(place)
        finally:
            os.close(source)

    def _writable(self, shown: Path) -> Path:
        """Mount a folder in this namespace such that all writes to it are discarded."""
        target, snapshots, key = (
            self._fresh("over"),
            self._engine_context.store.snapshots,
            step_name(),
        )
        self._stack.callback(snapshots.discard, key)
        # Run in the namespace: only there does a program that serves the overlay see the folder.
        self._mounts.call(self._mounts.overlay, snapshots.prepare_over(shown, key), target)
        return target

    def _inside(self, folder: Path, source: str) -> Path:
        """Mount ``source`` of a mounted stage, its links resolved inside the stage."""
        place = self._fresh("part") / "shown"

        def show() -> None:
            with Root(folder) as root:
                try:
                    found = root.open_path(source, O_PATH)
                except OSError as error:
                    raise BuildError(f"mount source {source!r} not found") from error
            try:
                self._mounts.bind_open(found, place)
            finally:
                os.close(found)

        if not source.strip("/"):
            return folder
        self._mounts.call(show)
        return place


def fill_cache(mount: StepMount, stage: Path, folder: Path, *, cancel: CancelToken) -> None:
    """Copy the initial contents of a new cache from the root of a stage or an image."""
    with Root(stage) as source, Root(folder) as target:
        tree = SourceTree(source, keep_owner=True)
        found = tree.find(mount.source or "/")
        if not all(one.is_folder for one in found):
            raise BuildError(f"mount source {mount.source!r} is not a folder")
        for one in found:
            status = source.stat(one.path)
            assert status is not None  # it was found before
            Copier(target, "/", CopyRules(), cancel).copy(tree, (one,))
            give(folder, status.st_uid, status.st_gid)
            os.chmod(folder, status.st_mode & 0o7777)


def copy_open(source: int, place: Path) -> None:
    """Copy an open file or folder (``O_PATH``) that a step may change to a new path."""
    kind = stat.S_IFMT(os.fstat(source).st_mode)
    if kind not in (stat.S_IFREG, stat.S_IFDIR):
        raise BuildError("only files and folders can be mounted for writing")
    folder = kind == stat.S_IFDIR
    place.mkdir() if folder else place.touch()
    reading = os.open(at.path_of(source), os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    flags = os.O_RDONLY | os.O_DIRECTORY if folder else os.O_WRONLY
    writing = os.open(place, flags | os.O_CLOEXEC)
    try:
        (copy_tree if folder else copy_file)(reading, writing)
    except OSError as error:
        raise BuildError(f"cannot copy a mount's files: {error.strerror}") from error
    finally:
        os.close(reading)
        os.close(writing)


def open_in_context(file: ContextFile) -> int:
    """Return a descriptor of a context's file, opened in the caller's mount namespace."""
    parts = split(os.fsencode(file.path))
    with Root("/") as host:
        try:
            folder = host.open_directory(split(os.fsencode(file.folder)), links=False)
        except OSError as error:
            raise _moved_error(file.folder) from error
    try:
        status = os.fstat(folder)
        if (status.st_dev, status.st_ino) != file.identity:
            raise _moved_error(file.folder)
        with Root(at.path_of(folder)) as root:
            return root.open(parts, O_PATH, links=False)
    except OSError as error:
        raise BuildError(
            f"mount source {file.path!r} changed while the build was using it: {error.strerror}"
        ) from error
    finally:
        os.close(folder)


def _moved_error(folder: str) -> BuildError:
    return BuildError(f"the build context {folder} was moved while the build was using it")
