"""The build cache of other places: ``--cache-from`` and ``--cache-to``.

An import is opened when the first step is not found here; its layers are fetched one by one, as
steps are found in it, and stay in this store's own cache.  A place that cannot be read is told of
and passed over: a cache is never needed.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import msgspec

from jupyter_containers.build.sharing import (
    MEDIA_TYPE,
    SharedStep,
    SharedSteps,
    decode,
    inline_steps,
)
from jupyter_containers.engine.context import Rooms
from jupyter_containers.engine.images.saving import blob_path
from jupyter_containers.engine.images.transfer import Job, download, upload
from jupyter_containers.engine.work import in_parallel
from jupyter_containers.errors import (
    ContainersError,
    NotFoundError,
    OperationCancelledError,
    VerificationError,
)
from jupyter_containers.events import CancelToken, EventSink, TaskFinished, TaskStarted
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.descriptor import (
    CONFIG,
    DOCKER_CONFIG,
    MANIFEST,
    Descriptor,
    Platform,
    RawDocument,
    encode_json,
)
from jupyter_containers.oci.image import Index, Manifest, parse_manifest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.buildcache import CachePlace
from jupyter_containers.store import Lease
from jupyter_containers.store.content import LAYOUT, REF_NAME
from jupyter_containers.store.faults import storage_errors

_BUILDKITS = "application/vnd.buildkit.cacheconfig.v0"


@dataclass(frozen=True, slots=True)
class Exchange:
    """What import and export share: the store, the build's lease, progress, how to stop."""

    rooms: Rooms
    lease: Lease
    emit: EventSink
    cancel: CancelToken

    @contextmanager
    def told(self, task: str, title: str, *, optional: bool) -> Iterator[None]:
        """Tell of one step; a failure is told too, and passes only when it is not ``optional``."""
        self.emit(TaskStarted(task, title))
        try:
            yield
        except OperationCancelledError:
            self.emit(TaskFinished(task, "cancelled"))
            raise
        except ContainersError as error:
            self.emit(TaskFinished(task, "failed", error.message))
            if not optional:
                raise
        else:
            self.emit(TaskFinished(task))


class _Place(Protocol):
    """Where documents and blobs come from and go to."""

    def manifest(self) -> RawDocument:
        """Return the document that the place names."""
        ...

    def bring(self, blob: Descriptor) -> None:
        """Make a blob part of this store."""
        ...


class _Registry:
    def __init__(self, exchange: Exchange, place: CachePlace) -> None:
        self._exchange = exchange
        self._reference = Reference.parse(place.ref)

    @contextmanager
    def _job(self, push: bool = False) -> Iterator[Job]:
        exchange = self._exchange
        registry, repository = self._reference.registry, self._reference.repository
        with exchange.rooms.registry(
            registry, cancel=exchange.cancel, repository=repository, push=push
        ) as client:
            yield Job(exchange.rooms, client, repository, exchange.emit, exchange.cancel)

    @property
    def _name(self) -> str:
        return self._reference.digest or self._reference.tag or "latest"

    def manifest(self) -> RawDocument:
        with self._job() as job:
            document = job.client.manifest(job.repository, self._name)
            parsed = parse_manifest(document)
            if isinstance(parsed, Index):
                _refuse_buildkits([one.media_type for one in parsed.manifests])
                chosen = parsed.select(Platform.host())
                if chosen is None:
                    raise NotFoundError(f"{self._reference.familiar} has nothing for this platform")
                document = job.client.manifest(job.repository, chosen.digest)
            return document

    def bring(self, blob: Descriptor) -> None:
        with self._job() as job:
            download(job, blob)

    def take(self, document: RawDocument, blobs: Sequence[Descriptor]) -> None:
        """Keep blobs and the document that names them."""
        with self._job(push=True) as job:
            in_parallel(
                lambda blob: upload(job, blob),
                blobs,
                workers=job.rooms.settings.max_concurrent_downloads,
                cancel=job.cancel,
            )
            job.client.push_manifest(job.repository, self._name, document)


def _descriptor(entry: dict[str, Any]) -> Descriptor:
    try:
        return msgspec.convert(entry, Descriptor).checked()
    except DECODE_ERRORS as error:
        raise VerificationError(f"a malformed entry of a build cache: {error}") from error


class _Folder:
    """An OCI image layout; each tag of its index is one cache."""

    def __init__(self, exchange: Exchange, place: CachePlace) -> None:
        self._exchange, self._folder, self._tag = exchange, place.folder, place.tag

    def manifest(self) -> RawDocument:
        for entry in self._index():
            if entry.get("annotations", {}).get(REF_NAME) == self._tag:
                target = _descriptor(entry)
                with storage_errors(f"read {self._folder}"):
                    data = (self._folder / blob_path(target.digest)).read_bytes()
                document = RawDocument(data, target.media_type)
                if document.digest != target.digest:
                    raise VerificationError(f"{self._folder}: {target.digest} is damaged")
                return document
        raise NotFoundError(f"no build cache {self._tag!r} in {self._folder}")

    def _index(self) -> list[dict[str, Any]]:
        try:
            entries = json.loads((self._folder / "index.json").read_bytes())["manifests"]
        except FileNotFoundError:
            return []
        except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
            raise VerificationError(f"{self._folder} is not an image layout") from error
        return [entry for entry in entries if isinstance(entry, dict)]

    def bring(self, blob: Descriptor) -> None:
        content, cancel = self._exchange.rooms.store.content, self._exchange.cancel
        with content.ingest(blob, cancel=cancel) as ingest:
            if ingest.present:
                return
            ingest.restart()
            with (
                storage_errors(f"read {self._folder}"),
                (self._folder / blob_path(blob.digest)).open("rb") as file,
            ):
                while chunk := file.read(1 << 20):
                    cancel.check()
                    ingest.write(chunk)
            ingest.commit()

    def take(self, document: RawDocument, blobs: Sequence[Descriptor]) -> None:
        """Keep blobs and the document that names them; what else is there stays."""
        content, folder = self._exchange.rooms.store.content, self._folder
        with storage_errors(f"write {folder}"):
            for blob in blobs:
                self._exchange.cancel.check()
                _put(folder / blob_path(blob.digest), content.path(blob.digest))
            target = folder / blob_path(document.digest)
            target.write_bytes(document.data)
            others = [
                entry
                for entry in self._index()
                if entry.get("annotations", {}).get(REF_NAME) != self._tag
            ]
            own = msgspec.structs.replace(document.descriptor, annotations={REF_NAME: self._tag})
            index = {"schemaVersion": 2, "manifests": [*others, msgspec.to_builtins(own)]}
            (folder / "oci-layout").write_bytes(LAYOUT)
            partial = folder / ".index.json.partial"
            partial.write_bytes(json.dumps(index).encode())
            partial.rename(folder / "index.json")


def _refuse_buildkits(media_types: Sequence[str]) -> None:
    """Say it of a cache that BuildKit wrote: its keys are digests of its own graph of steps."""
    if _BUILDKITS in media_types:
        raise VerificationError("a cache of BuildKit's; its keys mean nothing to another builder")


def _put(target: Path, source: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if not target.exists():
        partial = target.with_name(f".{target.name}.partial")
        shutil.copyfile(source, partial)
        partial.rename(target)


def _place(exchange: Exchange, place: CachePlace) -> _Registry | _Folder:
    return (_Folder if place.type == "local" else _Registry)(exchange, place)


@dataclass(slots=True)
class ImportedSteps:
    """The steps of all ``--cache-from`` places, opened on first use; thread-safe."""

    exchange: Exchange
    places: tuple[CachePlace, ...]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: dict[str, tuple[_Place, SharedStep]] | None = None

    def find(self, key: str) -> SharedStep | None:
        """Return the step under ``key``, its layer unpacked in this store, or None."""
        if not self.places:
            return None
        with self._lock:
            if self._known is None:
                self._known = self._open()
            found = self._known.get(key)
        if found is None:
            return None
        place, shared = found
        try:
            self._unpack(place, shared)
        except OperationCancelledError:
            raise
        except ContainersError:
            return None  # the step is carried out instead
        return shared

    def _open(self) -> dict[str, tuple[_Place, SharedStep]]:
        known: dict[str, tuple[_Place, SharedStep]] = {}
        for number, place in enumerate(self.places):
            title = f"importing the build cache from {place}"
            with self.exchange.told(f"cache-from-{number}", title, optional=True):
                source = _place(self.exchange, place)
                for key, step in self._steps(source).by_key().items():
                    known.setdefault(key, (source, step))
        return known

    def _steps(self, source: _Place) -> SharedSteps:
        manifest = parse_manifest(source.manifest())
        if not isinstance(manifest, Manifest):
            _refuse_buildkits([one.media_type for one in manifest.manifests])
            raise VerificationError("an index is no build cache")
        config = manifest.config
        _refuse_buildkits([config.media_type])
        if config.media_type not in (MEDIA_TYPE, CONFIG, DOCKER_CONFIG):
            raise VerificationError(
                f"not a build cache: {config.media_type}",
                hint="the cache of another engine is not read here",
            )
        self.exchange.lease.add(config.digest)
        source.bring(config)
        data = self.exchange.rooms.store.content.read(config.digest)
        if config.media_type == MEDIA_TYPE:
            return decode(data)
        steps = inline_steps(data)
        if steps is None:
            raise NotFoundError("the image carries no build cache")
        return steps

    def _unpack(self, place: _Place, shared: SharedStep) -> None:
        step, store = shared.step, self.exchange.rooms.store
        if not step.entries:
            return
        self.exchange.lease.add(step.chain_id, step.blob.digest)
        if store.snapshots.has(step.chain_id):
            return
        place.bring(step.blob)
        made = store.snapshots.unpack(
            shared.parent, step.diff_id, step.blob, cancel=self.exchange.cancel
        )
        if made.chain_id != step.chain_id:
            raise VerificationError(f"the build cache has a wrong chain id: {step.chain_id}")


def export_steps(exchange: Exchange, place: CachePlace, steps: SharedSteps) -> None:
    """Write the steps of a build to one place; an inline cache is in the image already."""
    if place.type == "inline":
        return
    title = f"exporting the build cache to {place}"
    with exchange.told(f"cache-to-{place}", title, optional=place.ignore_error):
        content = exchange.rooms.store.content
        config = content.put(steps.encode(), MEDIA_TYPE, exchange.lease)
        blobs = {one.step.blob.digest: one.step.blob for one in steps.steps if one.step.entries}
        layers = tuple(blobs.values())
        manifest = Manifest(2, config, layers, media_type=MANIFEST, artifact_type=MEDIA_TYPE)
        document = RawDocument(encode_json(manifest), MANIFEST)
        exchange.lease.add(*blobs)
        _place(exchange, place).take(document, [*layers, config])
