"""The mounts of one RUN step: binds, caches, files and tmpfs; all end with the step."""

from __future__ import annotations

import os
from contextlib import ExitStack
from pathlib import Path

from jupyter_containers.build.copying import Copier, CopyRules
from jupyter_containers.build.seams import StepMount
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.cachemounts import CacheMounts
from jupyter_containers.engine.forwarding import forwarded
from jupyter_containers.engine.naming import step_name
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.errors import BuildError
from jupyter_containers.events import CancelToken
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.spec import BindMount, TmpfsMount
from jupyter_containers.trees.owners import give
from jupyter_containers.trees.rooted import Root


class StepMounts:
    """Turns the mounts of a RUN step into mounts of the runtime; all end with the step."""

    def __init__(
        self,
        rooms: Rooms,
        mounts: PrivateMounts,
        bundle: Bundle,
        stack: ExitStack,
        cancel: CancelToken,
    ) -> None:
        self._rooms, self._mounts, self._bundle = rooms, mounts, bundle
        self._stack, self._cancel = stack, cancel
        self._count = 0

    def resolve(self, mount: StepMount) -> BindMount | TmpfsMount:
        """Return the runtime's form of one mount."""
        if mount.type == "tmpfs":
            # A build compiles there: only set-user-id counts for nothing, as in BuildKit.
            return TmpfsMount(mount.target, mount.size, options=("exec", "dev"))
        if mount.type == "file":
            return self._file(mount)
        if mount.type == "cache":
            return self._cache(mount)
        if mount.type == "socket":
            return self._socket(mount)
        source = mount.source or "/"
        if mount.chain_id is not None:
            source = self._inside(self._stage(mount.chain_id, mount.read_only), source)
        elif not mount.read_only and os.path.isdir(source):
            source = str(self._writable(Path(source)))
        return BindMount(source, mount.target, mount.read_only)

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
        caches = CacheMounts(self._rooms)
        folder = self._stack.enter_context(caches.hold(mount, fill, self._cancel))
        return BindMount(str(folder), mount.target, mount.read_only)

    def _fill(self, mount: StepMount, folder: Path) -> None:
        """Copy what a new cache begins with out of a stage or image."""
        stage = self._stage(mount.chain_id or "", read_only=True)

        def copy(*, cancel: CancelToken) -> None:
            with Root(stage) as source, Root(folder) as target:
                tree = SourceTree(source, keep_owner=True)
                found = tree.find(mount.source or "/")
                if not all(one.is_folder for one in found):
                    raise BuildError(f"mount source {mount.source!r} is not a folder")
                for one in found:
                    status = source.stat(one.path)
                    assert status is not None  # it was found
                    Copier(target, "/", CopyRules(), cancel).copy(tree, (one,))
                    give(folder, status.st_uid, status.st_gid)
                    os.chmod(folder, status.st_mode & 0o7777)

        self._mounts.call(copy, cancel=self._cancel)

    def _stage(self, chain_id: str, read_only: bool) -> Path:
        target, snapshots = self._fresh("stage"), self._rooms.store.snapshots
        key = None
        # A copy of several layers needs a place, also to be read only.
        if not read_only or snapshots.copying:
            key = step_name()
            snapshots.prepare(key, chain_id, transient=True)
            self._stack.callback(snapshots.discard, key)
        self._mounts.overlay(snapshots.mount(chain_id, key), target)
        return target

    def _writable(self, source: Path) -> Path:
        """Show a host folder in which whatever is written is lost."""
        target, snapshots, key = self._fresh("bind"), self._rooms.store.snapshots, step_name()
        self._stack.callback(snapshots.discard, key)
        self._mounts.overlay(snapshots.prepare_over(source, key), target)
        return target

    def _inside(self, folder: Path, source: str) -> str:
        """Return where ``source`` of a mounted stage lies, its links resolved inside the stage."""

        def find() -> str:
            with Root(folder) as root:
                path = root.resolve(source)
                if root.stat(path) is None:
                    raise BuildError(f"mount source {source!r} not found")
                return str(folder / path)

        return self._mounts.call(find)
