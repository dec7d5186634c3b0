"""The file systems of containers: view, copy, export, diff, commit.

A *view* is an open root of a container's files.  A running container's view is that of its first
process, volumes included; a stopped one's is mounted in a private mount namespace, and the
container cannot be started until the view is closed.  Every path inside is resolved by the kernel
below that root (:mod:`~jupyter_containers.trees.rooted`), so no link in a container leads out of
it, even while the container changes its files.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.engine.containers.inspect import effective_config
from jupyter_containers.engine.containers.lifecycle import Lifecycle
from jupyter_containers.engine.containers.volume_views import mount_volumes
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import (
    InvalidArgumentError,
    InvalidStateError,
    NotFoundError,
    OCIRuntimeError,
    StorageError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.image import ExecutionConfig, History, rfc3339
from jupyter_containers.oci.reference import Reference
from jupyter_containers.oci.state import Status
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.store import ImageRecord, LayerRecord
from jupyter_containers.store.differ import Differ
from jupyter_containers.store.extract import extract_archive
from jupyter_containers.store.layertree import changes_on
from jupyter_containers.store.tarwrite import ChunkedOutput
from jupyter_containers.trees import at
from jupyter_containers.trees.folders import Folders
from jupyter_containers.trees.handover import Handover
from jupyter_containers.trees.rooted import Root, split

_KINDS = {"added": "A", "changed": "C", "removed": "D"}
# The mount points that the runtime creates in every container, as Docker's init layer has them.
_PLACES = (
    "etc/hosts", "etc/hostname", "etc/resolv.conf", "proc", "sys", "dev/pts", "dev/shm",
    "dev/mqueue", "dev/console", "dev", "etc",
)  # fmt: skip
_ENDING_SECONDS = 2.0
_FOLDER = os.O_RDONLY | os.O_DIRECTORY


@dataclass(frozen=True, slots=True)
class FileChange:
    """One line of ``diff``: ``kind`` is A (added), C (changed) or D (deleted)."""

    kind: str
    path: str


class FileSystems:
    """The file systems of one store's containers."""

    def __init__(self, context: EngineContext, lifecycle: Lifecycle, images: Images) -> None:
        self._context, self._lifecycle, self._images = context, lifecycle, images

    @contextmanager
    def view(self, record: ContainerRecord, *, volumes: bool = True) -> Iterator[Root]:
        """Yield the root of a container's files, with or without its volumes and binds."""
        bundle = self._lifecycle.bundle(record.id)
        with ExitStack() as stack:
            if not self._lifecycle.running(record):
                stack.enter_context(self._lifecycle.locked(record.id))
                record = self._context.containers.get(record.id) or record
            process = record.state.process
            if self._lifecycle.running(record) and process is not None:
                if volumes:
                    yield stack.enter_context(Root(f"/proc/{process.pid}/root"))
                    return
                mounts = stack.enter_context(PrivateMounts())
                bundle.create()
                mounts.graft(process.pid, "/", bundle.rootfs)
            else:
                mounts = stack.enter_context(PrivateMounts())
                bundle.create()
                overlay = self._context.store.snapshots.mount(record.chain_id, record.id)
                mounts.overlay(overlay, bundle.rootfs)
                if volumes:
                    mounts.call(mount_volumes, record, bundle.rootfs, mounts)
            yield stack.enter_context(mounts.call(Root, bundle.rootfs))

    def diff(self, record: ContainerRecord) -> list[FileChange]:
        """Return a container's changes to its image's files, sorted by path."""
        snapshots = self._context.store.snapshots
        with snapshots.uppers.changes(record.id) as upper:
            skipped = {f"/{os.fsdecode(path)}" for path in mount_points(upper)}
            found = {
                change.path: _KINDS[change.kind]
                for change in changes_on(snapshots.lower_folders(record.chain_id), upper)
                if change.path not in skipped
                and not any(change.path.startswith(f"{path}/") for path in skipped)
            }
        # As with Docker, a folder in which something changed is itself changed.
        for path in list(found):
            parent = os.path.dirname(path)
            while parent != "/" and parent not in found:
                found[parent] = "C"
                parent = os.path.dirname(parent)
        return [FileChange(found[path], path) for path in sorted(found)]

    def export(self, record: ContainerRecord, write: Callable[[bytes], object]) -> None:
        """Write a container's files, without its volumes, as one tar."""
        with self.view(record, volumes=False) as root:
            self._pack(root.descriptor, None, b"", write)

    def _pack(
        self, folder: int, name: bytes | None, path: bytes, write: Callable[[bytes], object]
    ) -> None:
        differ = Differ(Path(at.path_of(folder)), ChunkedOutput(write))
        if name is None:
            differ.write_contents(folder, dotted=path == b"./")
        else:
            differ.write_as(folder, name, path)

    def pack(
        self, root: Root, path: str, write: Callable[[bytes], object], *, follow: bool
    ) -> None:
        """Write a file or tree of a view as a tar whose names begin with the path's last part."""
        source = locate(root, path, follow=follow)
        if source.contents:
            with _open_folder(root, source.canonical) as inner:
                self._pack(inner, None, b"./", write)
            return
        with _open_folder(root, source.parent) as folder:
            self._pack(folder, os.fsencode(source.name), os.fsencode(source.shown), write)

    def copy(
        self,
        source_root: Root,
        source_path: str,
        target_root: Root,
        target_path: str,
        *,
        follow: bool,
        owner: tuple[int, int] | None,
        handover: Handover | None = None,
    ) -> None:
        """Copy a file or tree from one view into another, following Docker's rules for the target.

        ``owner`` replaces every owner; ``handover`` filters what must not reach the host.  Raises
        :class:`NotFoundError`, and :class:`InvalidArgumentError` for a file over a folder or a
        folder over a file.
        """
        source = locate(source_root, source_path, follow=follow)
        folder, name = _place(target_root, target_path, source)
        with ExitStack() as stack:
            target = stack.enter_context(_open_folder(target_root, folder))
            if source.contents and name is None:
                inner = stack.enter_context(_open_folder(source_root, source.canonical))
                packed = _pipe(lambda write: self._pack(inner, None, b"", write))
            else:
                parent = stack.enter_context(_open_folder(source_root, source.parent))
                shown, original = os.fsencode(name or source.shown), os.fsencode(source.name)
                packed = _pipe(lambda write: self._pack(parent, original, shown, write))
            stream = stack.enter_context(packed)
            place = Path(at.path_of(target))
            extract_archive(
                stream, place, owner=owner, handover=handover, keep_kinds=True, label="copy"
            )

    def unpack(
        self,
        stream: BinaryIO,
        root: Root,
        path: str,
        *,
        owner: tuple[int, int] | None,
        keep_kinds: bool = True,
    ) -> None:
        """Extract a tar into a folder of a view; with ``keep_kinds`` only files replace files."""
        canonical = root.resolve(path)
        state = root.stat(canonical)
        if state is None:
            raise NotFoundError(f"could not find the file {path} in container")
        if not stat.S_ISDIR(state.st_mode):
            raise InvalidArgumentError(f"destination {path!r} must be a directory")
        with _open_folder(root, canonical) as target:
            extract_archive(stream, Path(at.path_of(target)), owner=owner, keep_kinds=keep_kinds)

    def commit(
        self,
        record: ContainerRecord,
        reference: Reference | None,
        change: Callable[[ExecutionConfig], ExecutionConfig],
        *,
        message: str,
        author: str,
        pause: bool,
        cancel: CancelToken,
    ) -> ImageRecord:
        """Create an image from a container's files and configuration, paused if possible."""
        store = self._context.store
        config = change(effective_config(record))
        layers = [self._layer(chain) for chain in self._chains(record)]
        # A user without control groups cannot freeze it: files that change during the copy may be
        # torn.
        freeze = pause and self._lifecycle.can_pause and record.state.status is Status.RUNNING
        with store.leases.hold() as lease:
            freeze = freeze and self._freeze(record)
            try:
                with store.snapshots.uppers.changes(record.id) as upper:
                    skip = mount_points(upper)
                layer = store.snapshots.commit(
                    record.id, record.chain_id, consume=False, skip=skip, lease=lease, cancel=cancel
                )
            finally:
                if freeze:
                    self._lifecycle.unpause(record)
            created = rfc3339(time.time())
            words = " ".join(_words(record))
            empty = not layer.entries  # nothing changed: no layer, as with Docker
            step = History(
                created=created,
                created_by=words,
                author=author,
                comment=message,
                empty_layer=empty,
            )
            history = [*self._history(record), step]
            image = self._images.compose(
                layers if empty else [*layers, layer],
                config,
                history,
                created,
                reference,
                lease=lease,
                author=author,
                parent=record.image_id,
            )
        attributes = {"comment": message, "imageID": image.config_digest}
        if reference is not None:
            attributes["imageRef"] = str(reference)
        self._lifecycle.note(record, "commit", **attributes)
        return image

    def _freeze(self, record: ContainerRecord) -> bool:
        """Pause a running container; return False for one that has just ended."""
        try:
            self._lifecycle.pause(record, passing=True)
        except (InvalidStateError, OCIRuntimeError):
            deadline = time.monotonic() + _ENDING_SECONDS
            while (now := self._lifecycle.look(record)) and now.state.status.alive:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.01)
            return False
        return True

    def _chains(self, record: ContainerRecord) -> tuple[str, ...]:
        chains: list[str] = []
        chain = record.chain_id
        while chain:
            chains.append(chain)
            chain = self._layer(chain).parent_chain_id
        return tuple(reversed(chains))

    def _layer(self, chain: str) -> LayerRecord:
        layer = self._context.store.snapshots.get(chain)
        if layer is None:
            raise NotFoundError(f"a layer of the container's image is missing: {chain[7:19]}")
        return layer

    def _history(self, record: ContainerRecord) -> tuple[History, ...]:
        image = self._context.store.records.get_image(record.manifest_digest)
        return self._images.config(image).history if image is not None else ()


def _words(record: ContainerRecord) -> tuple[str, ...]:
    config = effective_config(record)
    return (*(config.entrypoint or ()), *(config.cmd or ()))


@dataclass(frozen=True, slots=True)
class Source:
    """The source of a copy: ``contents`` if its path ends with ``/.``; ``shown`` is its name."""

    canonical: str
    parent: str
    name: str
    shown: str
    is_folder: bool
    contents: bool


def locate(root: Root, path: str, *, follow: bool) -> Source:
    """Return the source that a path refers to; raise :class:`NotFoundError`."""
    contents = path.endswith("/.") or path in (".", "", "/")
    wants_folder = path.endswith("/") or contents
    canonical = root.resolve(path, follow_last=follow or wants_folder)
    state = root.stat(canonical)
    if state is None:
        raise NotFoundError(f"could not find the file {path}")
    is_folder = stat.S_ISDIR(state.st_mode)
    if wants_folder and not is_folder:
        raise InvalidArgumentError(f"{path} is not a directory")
    parent, _, name = canonical.rpartition("/")
    shown = os.path.basename(path.rstrip("/").removesuffix("/.").rstrip("/")) or name
    if shown in ("", ".", ".."):
        shown = name
    return Source(canonical, parent, name, shown, is_folder, (contents and is_folder) or not name)


def _place(root: Root, path: str, source: Source) -> tuple[str, str | None]:
    """Return the folder that receives the copy, and its name there (None: the source's own)."""
    canonical = root.resolve(path)
    state = root.stat(canonical)
    if state is not None and stat.S_ISDIR(state.st_mode):
        if not source.contents:
            there = root.stat(f"{canonical}/{source.shown}" if canonical else source.shown)
            _same_kind(there, source, path)
        return canonical, None
    if state is None and path.endswith("/") and not source.is_folder:
        raise NotFoundError(f"no such directory: {path}")
    if state is not None and (source.is_folder or path.endswith("/")):
        raise InvalidArgumentError(f"cannot copy a directory over the file {path}")
    parent, _, name = canonical.rpartition("/")
    above = root.stat(parent)
    if above is None or not stat.S_ISDIR(above.st_mode):
        raise NotFoundError(f"no such directory: {os.path.dirname(path.rstrip('/')) or '/'}")
    return parent, name


def _same_kind(there: os.stat_result | None, source: Source, path: str) -> None:
    if there is None:
        return
    folder = stat.S_ISDIR(there.st_mode)
    if folder and not source.is_folder:
        raise InvalidArgumentError(f"cannot overwrite directory {path}/{source.shown} with a file")
    if source.is_folder and not folder:
        raise InvalidArgumentError(
            f"cannot overwrite the file {path}/{source.shown} with a directory"
        )


def mount_points(upper: Path) -> frozenset[bytes]:
    """Return the empty mount points that the runtime created in an upper directory."""
    places: set[str] = set()
    with Root(upper) as root, Folders(root) as folders:
        for name in _PLACES:
            with suppress(OSError):
                state = at.stat(*folders.above(name))
                if stat.S_ISREG(state.st_mode) and state.st_size == 0:
                    places.add(name)
                elif stat.S_ISDIR(state.st_mode):
                    inside = {f"{name}/{entry}" for entry in at.names(folders.open(name))}
                    # A folder of the image stays; one that contains only such mount points is
                    # skipped too.
                    if inside <= places:
                        places.add(name)
    return frozenset(os.fsencode(name) for name in places)


@contextmanager
def _open_folder(root: Root, canonical: str) -> Iterator[int]:
    """Yield a descriptor of a folder of a view; raise if a link is in the way."""
    descriptor = root.open(split(os.fsencode(canonical)), _FOLDER, links=False)
    try:
        yield descriptor
    finally:
        os.close(descriptor)


@contextmanager
def _pipe(produce: Callable[[Callable[[bytes], object]], None]) -> Iterator[BinaryIO]:
    """Yield a stream of what ``produce`` writes; raise its error at the end."""
    reader, writer = os.pipe()
    failures: list[BaseException] = []

    def work() -> None:
        def write(data: bytes) -> None:
            view = memoryview(data)
            while view:
                view = view[os.write(writer, view) :]

        try:
            produce(write)
        except BrokenPipeError:
            pass  # the reader failed and raises its own error
        except BaseException as error:  # noqa: BLE001  # raised in the waiting thread
            failures.append(error)
        finally:
            os.close(writer)

    thread = threading.Thread(target=work, name="pack", daemon=True)
    thread.start()
    try:
        with os.fdopen(reader, "rb", buffering=0) as stream:
            try:
                yield stream
            except BaseException:
                if failures:
                    raise _as_storage_error(failures[0]) from failures[0]
                raise
    finally:
        thread.join()
    if failures:
        raise _as_storage_error(failures[0]) from failures[0]


def _as_storage_error(error: BaseException) -> BaseException:
    if isinstance(error, OSError):
        return StorageError(f"cannot read the files to copy: {error.strerror}")
    return error
