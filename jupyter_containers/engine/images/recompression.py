"""Layers that are pushed in another compression than they are stored in (``push --compression``).

Each layer is decompressed, compressed anew and sent in one pipeline, several layers at once: the
first bytes are on the wire long before the last are compressed.  What came out is remembered by
diff_id: a later push only asks the registry whether it still has those blobs.  The stored image
stays as it is.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Literal

import msgspec

from jupyter_containers.engine.images.transfer import Job, upload
from jupyter_containers.errors import InvalidArgumentError, RegistryError
from jupyter_containers.events import TaskFinished, TaskProgress, TaskStarted
from jupyter_containers.oci.descriptor import (
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    Descriptor,
    short_id,
)
from jupyter_containers.store import Lease
from jupyter_containers.store.compression import compressed, decompressed_stream
from jupyter_containers.store.pipeline import Stage

if TYPE_CHECKING:
    from jupyter_containers.registry.streaming import BlobStream

Compression = Literal["gzip", "zstd", "none"]
_TYPES: dict[str, str] = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD, "none": LAYER_TAR}
_SUFFIXES = {"gzip": ("+gzip", ".gzip"), "zstd": ("+zstd", ".zstd"), "none": (".tar",)}


class CompressedLayer(msgspec.Struct, frozen=True):
    """What a layer became in one compression."""

    blob: Descriptor


def checked(text: str) -> Compression:
    """Return the name of a compression; raise :class:`InvalidArgumentError`."""
    for name in ("gzip", "zstd", "none"):
        if text == name:
            return name
    raise InvalidArgumentError(f"invalid compression {text!r}", hint="one of gzip, zstd, none")


def push_layer(
    job: Job, blob: Descriptor, diff_id: str, compression: Compression, lease: Lease
) -> Descriptor:
    """Make a layer be in the repository in this compression; return what it is there."""
    if blob.media_type.endswith(_SUFFIXES[compression]):
        upload(job, blob)
        return blob
    known = job.rooms.store.records.collection("compressed layers", CompressedLayer)
    key = f"{diff_id} {compression}"
    earlier = known.get(key)
    if earlier is not None and job.client.has_blob(job.repository, earlier.blob.digest):
        task = short_id(earlier.blob.digest)
        job.emit(TaskStarted(task, task, earlier.blob.size))
        job.emit(TaskFinished(task, "exists", "Layer already exists"))
        return earlier.blob
    made, sent = _compress(job, blob, compression, lease)
    if sent:
        job.rooms.store.records.remember_blob_source(
            made.digest, job.client.registry, job.repository
        )
    else:
        upload(job, made)
    if earlier is None:
        known.insert(key, None, CompressedLayer(made))
    elif earlier.blob != made:
        known.replace(key, CompressedLayer(made))
    return made


def _compress(
    job: Job, blob: Descriptor, compression: Compression, lease: Lease
) -> tuple[Descriptor, bool]:
    """Compress a layer into the store and, at the same time, onto the wire.

    Returns its descriptor, and whether the registry has all of it.
    """
    content, task = job.rooms.store.content, short_id(blob.digest)
    started = time.monotonic()
    job.emit(TaskStarted(task, task, blob.size))
    with (
        content.open(blob.digest) as source,
        content.writer() as writer,
        _Sending(job) as sending,
    ):

        def put(data: bytes) -> None:
            writer.write(data)
            sending.put(data)

        with compressed(put, compression) as write:
            stage = Stage("compress", write)
            try:
                for chunk in decompressed_stream(source, f"layer {task}"):
                    job.cancel.check()
                    stage.put(chunk)
                    job.emit(TaskProgress(task, min(source.tell(), blob.size), status="Pushing"))
                stage.finish()
            finally:
                stage.abandon()
        made = writer.commit(_TYPES[compression], lease)
        sent = sending.finish(made.digest)
    words = "Pushed" if sent else "Compressed"
    job.emit(TaskFinished(task, "done", words, time.monotonic() - started))
    return made, sent


class _Sending:
    """The wire's end of a compression: it may fail, and then only says so at the end."""

    def __init__(self, job: Job) -> None:
        self._stream: BlobStream | None = None
        self._stage: Stage | None = None
        try:
            self._stream = job.client.stream_blob(job.repository)
            self._stage = Stage("send", self._stream.write)
        except RegistryError:
            job.cancel.check()

    def __enter__(self) -> _Sending:
        return self

    def __exit__(self, *_: object) -> None:
        self._give_up()

    def put(self, data: bytes) -> None:
        """Hand over compressed bytes."""
        if self._stage is not None:
            try:
                self._stage.put(data)
            except RegistryError:
                self._give_up()

    def finish(self, digest: str) -> bool:
        """Complete the blob in the registry; False when that has failed somewhere."""
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
