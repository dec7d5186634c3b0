"""The store as a place: what arrives is unpacked on the way (:mod:`..intake`).

Everything that is read or written is protected by the place's lease.  An image is recorded when
all of it is here, so what ends early leaves verified blobs, which the next copy finds, and no
image.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
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
    """Allow any number of bytes."""


@dataclass(frozen=True, slots=True)
class StorePlace:
    """One store under one lease.

    ``check`` is called with the bytes that are missing here before any of them is fetched, and
    raises where they are too many.
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
        """What this source is like."""
        return Facts(verified=True)

    def find(self, name: str) -> RawDocument:
        """Return what a whole name (``docker.io/library/app:1``) or a digest means."""
        entry = self.store.records.get_name(name)
        record = self.store.records.get_image(entry.manifest_digest if entry else name)
        if entry is None and record is None:
            raise NotFoundError(f"no image {name} in {self.store.root}")
        if record is not None and (entry is None or entry.target_digest == record.manifest.digest):
            return self.manifest(record.manifest)
        assert entry is not None  # one of them was found
        parsed = parse_manifest(RawDocument(self.store.content.read(entry.target_digest), ""))
        return self.manifest(Descriptor(parsed.media_type, entry.target_digest, 0))

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return the manifest or index that a descriptor means."""
        return RawDocument(self.store.content.read(target.digest), target.media_type)

    def has(self, digest: str) -> bool:
        """Return whether a blob is here."""
        return self.store.content.has(digest)

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Give a blob's bytes, always from the beginning."""
        del offset
        return file_pieces(self.store.content.open(blob.digest), self.cancel)

    def file(self, blob: Descriptor) -> BinaryIO:
        """Return a blob as a file."""
        return self.store.content.open(blob.digest)

    def hold(self, *digests: str) -> None:
        """Protect blobs and layers by the lease."""
        self.lease.add(*digests)

    # -- a destination ----------------------------------------------------------------------------

    def expect(self, targets: Sequence[Target]) -> None:
        """Check that there may be as many bytes as are missing here."""
        images = [image for target in targets for image in target.images]
        sizes = {blob.digest: blob.size for image in images for blob in image.blobs}
        self.check(sum(size for digest, size in sizes.items() if not self.has(digest)))

    def write(self, blob: Descriptor, source: Source, progress: Progress) -> Outcome:
        """Bring a blob here, going on from where an earlier attempt ended."""
        with self.store.content.ingest(blob, cancel=self.cancel) as ingest:
            present = ingest.present
            with _incoming(ingest, source) as pieces:
                for chunk in pieces:
                    ingest.write(chunk)
                    progress(ingest.offset)
            ingest.commit()
        self._remember(blob, source)
        return "exists" if present else "uploaded"

    def receive(self, image: Image, source: Source, transfer: Transfer) -> Image:
        """Bring an image here and unpack it; one without a manifest gets its manifest."""
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
            image = self._made(image, blobs)
        assert image.document is not None  # it has one now
        self.put(image.document)
        self._configs[image.digest] = config
        return image

    def put(self, document: RawDocument) -> None:
        """Keep a manifest or index."""
        self.store.content.put(document.data, document.media_type, self.lease)

    def tag(self, target: Target) -> None:
        """Record images that have been received; names mean the one for this machine."""
        if target.index is not None:
            self.put(target.index)
        host = Platform.host()
        records = [self._recorded(image, target) for image in target.images]
        named = max(records, key=lambda record: host.match_score(record.platform))
        for record in records:
            names = map(str, target.names) if record is named else ()
            self.store.put_image(record, names, target.document.digest)

    def record(self, image: Image) -> ImageRecord:
        """Return the record of an image that has been recorded by this place."""
        return self._records[image.digest]

    def _recorded(self, image: Image, target: Target) -> ImageRecord:
        if image.digest not in self._records:
            assert image.document is not None  # made when it was received
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
        """Bring the blob of one layer here while it is unpacked."""
        if not layer.named:
            layer.offer(partial(source.file, layer.blob))
            layer.settle(self._packed(layer, source, transfer))
            return
        blob, words = layer.blob, source.facts.words

        def report(done: int, status: str) -> None:
            if status:
                transfer.emit(TaskProgress(layer.task, done, blob.size, status))

        if not source.facts.streams:
            layer.offer(partial(source.file, blob))
        with self.store.content.ingest(blob, cancel=transfer.cancel) as ingest:
            with _incoming(ingest, source) as pieces:
                layer.offer(partial(self.file, blob) if ingest.present else ingest.follow)
                for chunk in pieces:
                    ingest.write(chunk)
                    report(ingest.offset, words.arriving)
                report(ingest.offset, words.verifying)
            ingest.commit()
        self._remember(blob, source)
        report(blob.size, words.arrived)
        layer.settle(blob)

    def _packed(self, layer: Arrival, source: Source, transfer: Transfer) -> Descriptor:
        """Keep a layer of an archive without manifests: as it comes, or a bare tar as gzip."""
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

    def _made(self, image: Image, blobs: Sequence[Descriptor]) -> Image:
        """Return an image without a manifest as one that is here, or with a new manifest."""
        config = image.manifest.config
        for record in self.store.records.find_images(config.digest):
            if record.config_digest == config.digest:
                known = stored_image(self.store, record)
                self._records[known.digest] = record
                return known
        manifest = new_manifest(config, tuple(blobs))
        return Image(manifest, RawDocument(encode_json(manifest), MANIFEST), image.platform)


@contextmanager
def _incoming(ingest: Ingest, source: Source) -> Iterator[Iterator[bytes]]:
    """Yield what is missing of a blob."""
    if ingest.present:
        yield iter(())
        return
    with source.open(ingest.descriptor, ingest.offset) as pieces:
        if pieces.offset != ingest.offset:
            ingest.restart()
        yield iter(pieces)


@dataclass(frozen=True, slots=True)
class ThroughStore:
    """A repository as a source whose blobs are read as files, each brought into a store before."""

    here: StorePlace
    origin: RegistryPlace

    @property
    def facts(self) -> Facts:
        """What this source is like."""
        return Facts(home=self.origin.home)

    def find(self, name: str) -> RawDocument:
        """Return what a tag or digest means in the repository."""
        return self.origin.find(name)

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return a manifest, from here where it is here."""
        if self.here.has(target.digest):
            return self.here.manifest(target)
        return self.origin.client.manifest(self.origin.repository, target.digest, target)

    def has(self, digest: str) -> bool:
        """Return whether a blob is here or there."""
        return self.here.has(digest) or self.origin.has(digest)

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Give a blob's bytes, always from the beginning."""
        del offset
        return file_pieces(self.file(blob), self.here.cancel)

    def file(self, blob: Descriptor) -> BinaryIO:
        """Return a blob as a file, which is fetched when it is not here."""
        if not self.here.has(blob.digest):
            self.here.write(blob, self.origin, ignore_progress)
        return self.here.file(blob)

    def hold(self, *digests: str) -> None:
        """Protect what is here, or comes here."""
        self.here.hold(*digests)


@contextmanager
def open_store(
    context: EngineContext, transfer: Transfer, *, check: Callable[[int], object] = _no_check
) -> Iterator[StorePlace]:
    """Yield the store under a lease of its own."""
    with context.store.leases.hold() as lease:
        yield store_place(context, lease, transfer.cancel, check=check)


def store_place(
    context: EngineContext,
    lease: Lease,
    cancel: CancelToken,
    *,
    check: Callable[[int], object] = _no_check,
) -> StorePlace:
    """Return the store under a lease that the caller holds."""
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
    """Return one image of a store, or all that an index joins."""
    return Target(tuple(stored_image(store, record) for record in records), index=index)


def image_record(
    store: Store,
    document: RawDocument,
    manifest: Manifest,
    config: ImageConfig,
    target: Descriptor | None = None,
) -> ImageRecord:
    """Return the record of an image whose blobs and layers are all in the store.

    Without a ``target`` it stays in the index of which it is known to be.
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
