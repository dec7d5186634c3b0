"""Remote build caches: ``--cache-from`` and ``--cache-to``.

An import is opened when the first step is not found in this store; its layers are fetched one by
one when their steps are needed, and stay in this store's cache.  A cache that cannot be read is
reported and skipped, because a cache is never required.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol

from jupyter_containers.build.sharing import (
    MEDIA_TYPE,
    SharedStep,
    SharedSteps,
    decode,
    inline_steps,
)
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.copy import choose, copy
from jupyter_containers.engine.images.places.base import (
    Image,
    Target,
    Transfer,
    ignore_progress,
)
from jupyter_containers.engine.images.places.layout import LayoutPlace
from jupyter_containers.engine.images.places.registry import RegistryPlace, open_repository
from jupyter_containers.engine.images.places.store import StorePlace, store_place
from jupyter_containers.errors import (
    ContainersError,
    NotFoundError,
    OperationCancelledError,
    VerificationError,
)
from jupyter_containers.events import CancelToken, EventSink, TaskFinished, TaskStarted
from jupyter_containers.lazy_dataclasses import dataclass, field, replace
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
from jupyter_containers.store.content import REF_NAME

_BUILDKITS = "application/vnd.buildkit.cacheconfig.v0"


@dataclass(frozen=True, slots=True)
class Exchange:
    """The shared context of import and export: store, lease, progress, cancellation."""

    engine_context: EngineContext
    lease: Lease
    emit: EventSink
    cancel: CancelToken

    @property
    def transfer(self) -> Transfer:
        """The progress reports and cancellation of copies."""
        return Transfer(self.emit, self.cancel)

    @property
    def here(self) -> StorePlace:
        """The store under the build's lease."""
        return store_place(self.engine_context, self.lease, self.cancel)

    @contextmanager
    def reporting(self, task: str, title: str, *, optional: bool) -> Iterator[None]:
        """Report a task and its failure; with ``optional``, suppress the failure."""
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


class _Cache(Protocol):
    """A place with the cache's name in it."""

    def manifest(self) -> RawDocument:
        """Return the document of the name."""
        ...

    def bring(self, blob: Descriptor) -> None:
        """Copy a blob into this store."""
        ...

    def take(self, target: Target) -> None:
        """Store a cache of this store under the name; keep the other contents."""
        ...


@dataclass(frozen=True, slots=True)
class _Repository:
    """A tag of a repository; a client is opened for each use."""

    exchange: Exchange
    reference: Reference

    def _open(self, push: bool = False) -> AbstractContextManager[RegistryPlace]:
        exchange = self.exchange
        return open_repository(
            exchange.engine_context, self.reference, exchange.transfer, push=push
        )

    def manifest(self) -> RawDocument:
        with self._open() as place:
            document = place.find(self.reference.digest or self.reference.tag or "latest")
            parsed = parse_manifest(document)
            if isinstance(parsed, Index):
                _refuse_buildkits([one.media_type for one in parsed.manifests])
            chosen = choose(place, document, Platform.host())
            if chosen is None:
                raise NotFoundError(f"{self.reference.familiar} has nothing for this platform")
            return chosen.images[0].document or document

    def bring(self, blob: Descriptor) -> None:
        with self._open() as place:
            self.exchange.here.write(blob, place, ignore_progress)

    def take(self, target: Target) -> None:
        exchange = self.exchange
        with self._open(push=True) as place:
            named = replace(target, names=(self.reference,))
            copy(exchange.here, place, [named], exchange.transfer)


@dataclass(frozen=True, slots=True)
class _Layout:
    """A tag of an image layout."""

    exchange: Exchange
    place: LayoutPlace
    tag: str

    def manifest(self) -> RawDocument:
        try:
            return self.place.find(self.tag)
        except NotFoundError as error:
            raise NotFoundError(f"no build cache {self.tag!r} in {self.place.folder}") from error

    def bring(self, blob: Descriptor) -> None:
        self.exchange.here.write(blob, self.place, ignore_progress)

    def take(self, target: Target) -> None:
        exchange = self.exchange
        named = replace(target, annotations={REF_NAME: self.tag})
        copy(exchange.here, self.place, [named], exchange.transfer)


def _refuse_buildkits(media_types: Sequence[str]) -> None:
    """Raise for a cache written by BuildKit: its keys are digests of its own graph of steps."""
    if _BUILDKITS in media_types:
        raise VerificationError(
            "a cache written by BuildKit; its keys mean nothing to another builder"
        )


def _cache(exchange: Exchange, place: CachePlace) -> _Cache:
    if place.type == "local":
        return _Layout(exchange, LayoutPlace.at(place.folder, exchange.cancel), place.tag)
    return _Repository(exchange, Reference.parse(place.ref))


@dataclass(slots=True)
class ImportedSteps:
    """The steps of all ``--cache-from`` caches, opened on first use; thread-safe."""

    exchange: Exchange
    places: tuple[CachePlace, ...]
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _known: dict[str, tuple[_Cache, SharedStep]] | None = None

    def find(self, key: str) -> SharedStep | None:
        """Return the step with this key, its layer unpacked in this store, or None."""
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
            return None  # run the step instead
        return shared

    def _open(self) -> dict[str, tuple[_Cache, SharedStep]]:
        known: dict[str, tuple[_Cache, SharedStep]] = {}
        for number, place in enumerate(self.places):
            title = f"importing the build cache from {place}"
            with self.exchange.reporting(f"cache-from-{number}", title, optional=True):
                source = _cache(self.exchange, place)
                for key, step in self._steps(source).by_key().items():
                    known.setdefault(key, (source, step))
        return known

    def _steps(self, source: _Cache) -> SharedSteps:
        manifest = parse_manifest(source.manifest())
        if not isinstance(manifest, Manifest):
            _refuse_buildkits([one.media_type for one in manifest.manifests])
            raise VerificationError("an index is not a build cache")
        config = manifest.config
        _refuse_buildkits([config.media_type])
        if config.media_type not in (MEDIA_TYPE, CONFIG, DOCKER_CONFIG):
            raise VerificationError(
                f"not a build cache: {config.media_type}",
                hint="caches of other engines cannot be read",
            )
        self.exchange.lease.add(config.digest)
        source.bring(config)
        data = self.exchange.engine_context.store.content.read(config.digest)
        if config.media_type == MEDIA_TYPE:
            return decode(data)
        steps = inline_steps(data)
        if steps is None:
            raise NotFoundError("the image carries no build cache")
        return steps

    def _unpack(self, place: _Cache, shared: SharedStep) -> None:
        step, store = shared.step, self.exchange.engine_context.store
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
    with exchange.reporting(f"cache-to-{place}", title, optional=place.ignore_error):
        content = exchange.engine_context.store.content
        config = content.put(steps.encode(), MEDIA_TYPE, exchange.lease)
        blobs = {one.step.blob.digest: one.step.blob for one in steps.steps if one.step.entries}
        layers = tuple(blobs.values())
        manifest = Manifest(2, config, layers, media_type=MANIFEST, artifact_type=MEDIA_TYPE)
        document = RawDocument(encode_json(manifest), MANIFEST)
        _cache(exchange, place).take(Target((Image(manifest, document),)))
