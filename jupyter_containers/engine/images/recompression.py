"""Recompression of layers during a push (``push --compression``).

Each layer is decompressed, compressed again and uploaded in one pipeline, several layers in
parallel: the first bytes are uploaded long before the last are compressed.  The result is recorded
by diff_id: a later push only asks the registry whether it still has those blobs.  The stored image
is not changed.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import msgspec

from jupyter_containers.engine.images.places.base import Image, Source, Transfer
from jupyter_containers.engine.work import in_parallel
from jupyter_containers.errors import InvalidArgumentError, RegistryError
from jupyter_containers.events import TaskFinished, TaskProgress, TaskStarted
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import (
    CONFIG,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
    RawDocument,
    encode_json,
    short_id,
)
from jupyter_containers.oci.image import new_manifest, parse_image_config
from jupyter_containers.store import Lease, Store
from jupyter_containers.store.compression import compressed, decompressed_stream
from jupyter_containers.store.pipeline import Stage

if TYPE_CHECKING:
    from jupyter_containers.engine.images.places.registry import RegistryPlace
    from jupyter_containers.registry.streaming import BlobStream

Compression = Literal["gzip", "zstd", "none"]
_TYPES: dict[str, str] = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD, "none": LAYER_TAR}
_SUFFIXES = {"gzip": ("+gzip", ".gzip"), "zstd": ("+zstd", ".zstd"), "none": (".tar",)}


class CompressedLayer(msgspec.Struct, frozen=True):
    """A layer in one compression."""

    blob: Descriptor


def checked(text: str) -> Compression:
    """Return the name of a compression; raise :class:`InvalidArgumentError`."""
    for name in ("gzip", "zstd", "none"):
        if text == name:
            return name
    raise InvalidArgumentError(f"invalid compression {text!r}", hint="one of gzip, zstd, none")


@dataclass(frozen=True, slots=True)
class Recompression:
    """Pushes stored images with their layers in one compression."""

    store: Store
    lease: Lease
    compression: Compression

    def send(
        self, image: Image, source: Source, registry: RegistryPlace, transfer: Transfer
    ) -> Image:
        """Push an image except its manifest; return the image as it is in the repository."""
        manifest = image.manifest
        config = parse_image_config(self.store.content.read(manifest.config.digest))
        registry.send([manifest.config], source, transfer)
        layers = in_parallel(
            lambda pair: _Layer(self, source, registry, transfer, *pair).send(),
            zip(manifest.layers, config.rootfs.diff_ids, strict=True),
            workers=registry.workers,
            cancel=transfer.cancel,
        )
        if tuple(layers) == manifest.layers:
            return image
        described = Descriptor(CONFIG, manifest.config.digest, manifest.config.size)
        changed = new_manifest(described, tuple(layers))
        return Image(changed, RawDocument(encode_json(changed), MANIFEST), image.platform)


@dataclass(frozen=True, slots=True)
class _Layer:
    """One layer during the push; ``blob`` is its stored form."""

    work: Recompression
    source: Source
    registry: RegistryPlace
    transfer: Transfer
    blob: Descriptor
    diff_id: str

    def send(self) -> Descriptor:
        """Push the layer in this compression; return its new descriptor."""
        kind, registry, emit = self.work.compression, self.registry, self.transfer.emit
        if self.blob.media_type.endswith(_SUFFIXES[kind]):
            self._upload(self.blob)
            return self.blob
        known = self.work.store.records.collection("compressed layers", CompressedLayer)
        key = f"{self.diff_id} {kind}"
        earlier = known.get(key)
        if earlier is not None and registry.has(earlier.blob.digest):
            task = short_id(earlier.blob.digest)
            emit(TaskStarted(task, task, earlier.blob.size))
            emit(TaskFinished(task, "exists", "Layer already exists"))
            return earlier.blob
        made, sent = self._compress()
        if sent:
            home = registry.home
            registry.ledger.remember_blob_source(made.digest, home.registry, home.repository)
        else:
            self._upload(made)
        if earlier is None:
            known.insert(key, None, CompressedLayer(made))
        elif earlier.blob != made:
            known.replace(key, CompressedLayer(made))
        return made

    def _upload(self, blob: Descriptor) -> None:
        self.registry.send([blob], self.source, self.transfer)

    def _compress(self) -> tuple[Descriptor, bool]:
        """Compress the layer into the store and upload it at the same time.

        Returns its descriptor, and whether the upload is complete.
        """
        content, blob, emit = self.work.store.content, self.blob, self.transfer.emit
        task, started = short_id(blob.digest), time.monotonic()
        emit(TaskStarted(task, task, blob.size))
        with (
            content.open(blob.digest) as source,
            content.writer() as writer,
            _Upload(self.registry) as sending,
        ):

            def put(data: bytes) -> None:
                writer.write(data)
                sending.put(data)

            with compressed(put, self.work.compression) as write:
                stage = Stage("compress", write)
                try:
                    for chunk in decompressed_stream(source, f"layer {task}"):
                        self.transfer.cancel.check()
                        stage.put(chunk)
                        emit(TaskProgress(task, min(source.tell(), blob.size), status="Pushing"))
                    stage.finish()
                finally:
                    stage.abandon()
            made = writer.commit(_TYPES[self.work.compression], self.work.lease)
            sent = sending.finish(made.digest)
        words = "Pushed" if sent else "Compressed"
        emit(TaskFinished(task, "done", words, time.monotonic() - started))
        return made, sent


class _Upload:
    """The upload of a compressed layer; a failure is only reported at the end."""

    def __init__(self, registry: RegistryPlace) -> None:
        self._stream: BlobStream | None = None
        self._stage: Stage | None = None
        try:
            self._stream = registry.client.stream_blob(registry.repository)
            self._stage = Stage("send", self._stream.write)
        except RegistryError:
            registry.cancel.check()

    def __enter__(self) -> _Upload:
        return self

    def __exit__(self, *_: object) -> None:
        self._give_up()

    def put(self, data: bytes) -> None:
        """Upload compressed bytes."""
        if self._stage is not None:
            try:
                self._stage.put(data)
            except RegistryError:
                self._give_up()

    def finish(self, digest: str) -> bool:
        """Complete the blob in the registry; return False if the upload has failed."""
        if self._stage is None or self._stream is None:
            return False
        try:
            self._stage.finish()
            self._stream.finish(digest)
        except RegistryError:
            self._give_up()
            return False
        self._stage = self._stream = None
        return True

    def _give_up(self) -> None:
        stage, stream = self._stage, self._stream
        self._stage = self._stream = None
        if stage is not None:
            stage.abandon()
        if stream is not None:
            stream.abandon()
