"""The store as a place: arriving layers are unpacked on the way (:mod:`..intake`).

The place's lease protects everything that is read or written.  An image is recorded once it is
complete, so an interrupted copy leaves no image but verified blobs, which the next copy reuses.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from functools import partial
from typing import TYPE_CHECKING, BinaryIO

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.places.base import (
    TITLE,
    Facts,
    Image,
    Outcome,
    Pieces,
    Progress,
    Source,
    Target,
    Transfer,
    ignore_progress,
)
from jupyter_containers.engine.images.places.blobs import file_pieces
from jupyter_containers.errors import DigestMismatchError, NotFoundError, VerificationError
from jupyter_containers.events import CancelToken, TaskProgress
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import (
    LAYER_GZIP,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
    Platform,
    RawDocument,
    chain_id,
    encode_json,
)
from jupyter_containers.oci.image import (
    ImageConfig,
    Manifest,
    new_manifest,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.store import ImageRecord, Ingest, Lease, Store

if TYPE_CHECKING:
    from jupyter_containers.engine.images.intake import Arrival
    from jupyter_containers.engine.images.places.registry import RegistryPlace

_CHUNK = 1024 * 1024
_COMPRESSED_LAYERS = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}


def _no_check(size: int) -> None:
    """Accept any number of bytes."""


@dataclass(frozen=True, slots=True)
class StorePlace:
    """One store under one lease.

    ``check`` is called with the number of missing bytes before any of them is fetched; it raises if
    they are too many.
    """

    store: Store
    lease: Lease
    cancel: CancelToken
    workers: int = 3
    check: Callable[[int], object] = _no_check
    _configs: dict[str, ImageConfig] = field(default_factory=dict)
    _records: dict[str, ImageRecord] = field(default_factory=dict)

    # -- a source ---------------------------------------------------------------------------------

    @property
    def facts(self) -> Facts:
        """The properties of this source."""
        return Facts(verified=True)

    def find(self, name: str) -> RawDocument:
        """Return the document of a full name (``docker.io/library/app:1``) or a digest."""
        entry = self.store.records.get_name(name)
        record = self.store.records.get_image(entry.manifest_digest if entry else name)
        if entry is None and record is None:
            raise NotFoundError(f"no image {name} in {self.store.root}")
        if record is not None and (entry is None or entry.target_digest == record.manifest.digest):
            return self.manifest(record.manifest)
        assert entry is not None  # find_images() found one of them
        parsed = parse_manifest(RawDocument(self.store.content.read(entry.target_digest), ""))
        return self.manifest(Descriptor(parsed.media_type, entry.target_digest, 0))

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return the manifest or index of a descriptor."""
        return RawDocument(self.store.content.read(target.digest), target.media_type)

    def has(self, digest: str) -> bool:
        """Return whether the store has a blob."""
        return self.store.content.has(digest)

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Return a blob's bytes, always from the beginning."""
        del offset
        return file_pieces(self.store.content.open(blob.digest), self.cancel)

    def file(self, blob: Descriptor) -> BinaryIO:
        """Return a blob as a file."""
        return self.store.content.open(blob.digest)

    def hold(self, *digests: str) -> None:
        """Add blobs and layers to the lease."""
        self.lease.add(*digests)

    # -- a destination ----------------------------------------------------------------------------

    def expect(self, targets: Sequence[Target]) -> None:
        """Check whether the missing bytes may be fetched."""
        images = [image for target in targets for image in target.images]
        sizes = {blob.digest: blob.size for image in images for blob in image.blobs}
        self.check(sum(size for digest, size in sizes.items() if not self.has(digest)))

    def write(self, blob: Descriptor, source: Source, progress: Progress) -> Outcome:
        """Store a blob, resuming an earlier attempt."""
        with self.store.content.ingest(blob, cancel=self.cancel) as ingest:
            present = ingest.present
            with _missing_bytes(ingest, source) as pieces:
                for chunk in pieces:
                    ingest.write(chunk)
                    progress(ingest.offset)
            ingest.commit()
        self._remember(blob, source)
        return "exists" if present else "uploaded"

    def receive(self, image: Image, source: Source, transfer: Transfer) -> Image:
        """Store and unpack an image; create its manifest if it has none."""
        from jupyter_containers.engine.images.intake import arrivals, take_in

        self.write(image.manifest.config, source, ignore_progress)
        config = parse_image_config(self.store.content.read(image.manifest.config.digest))
        layers, diff_ids = image.manifest.layers, config.rootfs.diff_ids
        words, named = source.facts.words, image.document is not None
        if len(layers) != len(diff_ids):
            raise VerificationError(
                f"{words.counted} {len(layers)} layers, the configuration {len(diff_ids)}"
            )
        blobs = take_in(
            self.store,
            arrivals(layers, diff_ids, named=named),
            lambda layer: self._layer(layer, source, transfer),
            words=words.done,
            lease=self.lease,
            workers=self.workers,
            emit=transfer.emit,
            cancel=transfer.cancel,
        )
        if image.document is None:
            image = self._with_manifest(image, blobs)
        assert image.document is not None  # it has one now
        self.put(image.document)
        self._configs[image.digest] = config
        return image

    def put(self, document: RawDocument) -> None:
        """Store a manifest or index."""
        self.store.content.put(document.data, document.media_type, self.lease)

    def tag(self, target: Target) -> None:
        """Record received images; names refer to the one for this machine."""
        if target.index is not None:
            self.put(target.index)
        host = Platform.host()
        records = [self._record_of(image, target) for image in target.images]
        named = max(records, key=lambda record: host.match_score(record.platform))
        for record in records:
            names = map(str, target.names) if record is named else ()
            self.store.put_image(record, names, target.document.digest)

    def record(self, image: Image) -> ImageRecord:
        """Return the record of an image that this place has recorded."""
        return self._records[image.digest]

    def _record_of(self, image: Image, target: Target) -> ImageRecord:
        if image.digest not in self._records:
            assert image.document is not None  # created when it was received
            self._records[image.digest] = image_record(
                self.store,
                image.document,
                image.manifest,
                self._configs[image.digest],
                target.document.descriptor,
            )
        return self._records[image.digest]

    def _remember(self, blob: Descriptor, source: Source) -> None:
        if home := source.facts.home:
            self.store.records.remember_blob_source(blob.digest, home.registry, home.repository)

    def _layer(self, layer: Arrival, source: Source, transfer: Transfer) -> None:
        """Receive the blob of one layer while it is unpacked."""
        if not layer.named:
            layer.offer(partial(source.file, layer.blob))
            layer.settle(self._store_layer(layer, source, transfer))
            return
        blob, words = layer.blob, source.facts.words

        def report(done: int, status: str) -> None:
            if status:
                transfer.emit(TaskProgress(layer.task, done, blob.size, status))

        if not source.facts.streams:
            layer.offer(partial(source.file, blob))
        with self.store.content.ingest(blob, cancel=transfer.cancel) as ingest:
            with _missing_bytes(ingest, source) as pieces:
                layer.offer(partial(self.file, blob) if ingest.present else ingest.follow)
                for chunk in pieces:
                    ingest.write(chunk)
                    report(ingest.offset, words.arriving)
                report(ingest.offset, words.verifying)
            ingest.commit()
        self._remember(blob, source)
        report(blob.size, words.arrived)
        layer.settle(blob)

    def _store_layer(self, layer: Arrival, source: Source, transfer: Transfer) -> Descriptor:
        """Store a layer of an archive without manifests: unchanged, or a plain tar as gzip."""
        from jupyter_containers.store.compression import compression_of, decompressed_stream
        from jupyter_containers.store.recompress import LayerWriter

        content = self.store.content

        def pieces(file: BinaryIO) -> Iterator[bytes]:
            done = 0
            while chunk := file.read(_CHUNK):
                transfer.cancel.check()
                yield chunk
                done += len(chunk)
                transfer.emit(
                    TaskProgress(layer.task, done, layer.blob.size, source.facts.words.arriving)
                )

        with source.file(layer.blob) as front:
            kind = compression_of(front.read(6))
        with source.file(layer.blob) as file:
            if kind in _COMPRESSED_LAYERS:
                with content.writer() as writer:
                    for chunk in pieces(file):
                        writer.write(chunk)
                    return writer.commit(_COMPRESSED_LAYERS[kind], self.lease)
            with LayerWriter(content) as packing:
                chunks = pieces(file) if not kind else decompressed_stream(file, layer.task)
                for chunk in chunks:
                    packing.write(chunk)
                blob, diff_id = packing.commit(LAYER_GZIP, self.lease)
        if diff_id != layer.diff_id:
            raise DigestMismatchError(
                f"layer {layer.blob.annotations.get(TITLE, layer.task)}: the content's digest is"
                f" {diff_id},"
                f" the image's configuration says {layer.diff_id}"
            )
        return blob

    def _with_manifest(self, image: Image, blobs: Sequence[Descriptor]) -> Image:
        """Return a stored image with this configuration, or create a manifest for it."""
        config = image.manifest.config
        for record in self.store.records.find_images(config.digest):
            if record.config_digest == config.digest:
                known = stored_image(self.store, record)
                self._records[known.digest] = record
                return known
        manifest = new_manifest(config, tuple(blobs))
        return Image(manifest, RawDocument(encode_json(manifest), MANIFEST), image.platform)


@contextmanager
def _missing_bytes(ingest: Ingest, source: Source) -> Iterator[Iterator[bytes]]:
    """Yield the missing bytes of a blob."""
    if ingest.present:
        yield iter(())
        return
    with source.open(ingest.descriptor, ingest.offset) as pieces:
        if pieces.offset != ingest.offset:
            ingest.restart()
        yield iter(pieces)


@dataclass(frozen=True, slots=True)
class ThroughStore:
    """A repository as a source with files: each blob is stored before it is opened."""

    here: StorePlace
    origin: RegistryPlace

    @property
    def facts(self) -> Facts:
        """The properties of this source."""
        return Facts(home=self.origin.home)

    def find(self, name: str) -> RawDocument:
        """Return the document of a tag or digest in the repository."""
        return self.origin.find(name)

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return a manifest, from the store if it has it."""
        if self.here.has(target.digest):
            return self.here.manifest(target)
        return self.origin.client.manifest(self.origin.repository, target.digest, target)

    def has(self, digest: str) -> bool:
        """Return whether the store or the repository has a blob."""
        return self.here.has(digest) or self.origin.has(digest)

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Return a blob's bytes, always from the beginning."""
        del offset
        return file_pieces(self.file(blob), self.here.cancel)

    def file(self, blob: Descriptor) -> BinaryIO:
        """Return a blob as a file, after fetching it if necessary."""
        if not self.here.has(blob.digest):
            self.here.write(blob, self.origin, ignore_progress)
        return self.here.file(blob)

    def hold(self, *digests: str) -> None:
        """Protect blobs in the store, present or future."""
        self.here.hold(*digests)


@contextmanager
def open_store(
    context: EngineContext, transfer: Transfer, *, check: Callable[[int], object] = _no_check
) -> Iterator[StorePlace]:
    """Yield the store under a new lease."""
    with context.store.leases.hold() as lease:
        yield store_place(context, lease, transfer.cancel, check=check)


def store_place(
    context: EngineContext,
    lease: Lease,
    cancel: CancelToken,
    *,
    check: Callable[[int], object] = _no_check,
) -> StorePlace:
    """Return the store under the caller's lease."""
    return StorePlace(
        context.store, lease, cancel, context.settings.max_concurrent_downloads, check
    )


def stored_image(store: Store, record: ImageRecord) -> Image:
    """Return an image of a store."""
    document = RawDocument(store.content.read(record.manifest.digest), record.manifest.media_type)
    manifest = parse_manifest(document)
    assert isinstance(manifest, Manifest)  # only manifests are recorded as images
    return Image(manifest, document, record.platform)


def stored_target(
    store: Store, records: Iterable[ImageRecord], index: RawDocument | None = None
) -> Target:
    """Return a stored image, or all images that an index joins, as a target."""
    return Target(tuple(stored_image(store, record) for record in records), index=index)


def image_record(
    store: Store,
    document: RawDocument,
    manifest: Manifest,
    config: ImageConfig,
    target: Descriptor | None = None,
) -> ImageRecord:
    """Return the record of an image whose blobs and layers are all in the store.

    Without a ``target`` it keeps the index it is known to belong to.
    """
    diff_ids, snapshots = config.rootfs.diff_ids, store.snapshots
    known = store.records.get_image(document.digest) if target is None else None
    index = known.index_digest if known else target.digest if target else ""
    chains = tuple(chain_id(diff_ids[: depth + 1]) for depth in range(len(diff_ids)))
    return ImageRecord(
        manifest=document.descriptor,
        config_digest=manifest.config.digest,
        platform=config.platform,
        created=config.created,
        size=sum(snapshots.usage(chain) for chain in chains),
        diff_ids=diff_ids,
        chain_ids=chains,
        index_digest=index if index != document.digest else "",
        labels=config.config.labels,
    )
