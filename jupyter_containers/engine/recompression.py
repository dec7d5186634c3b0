"""Layers that are pushed in another compression than they are stored in (``push --compression``).

Each layer is decompressed, compressed anew and sent, several at once, so that one is compressed
while another is on the wire.  What came out is remembered by diff_id: a later push only asks the
registry whether it still has those blobs.  The stored image stays as it is.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from jupyter_containers.engine.transfer import Job, upload
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import TaskFinished, TaskStarted
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
    made = _compress(job, blob, compression, lease)
    upload(job, made)
    if earlier is None:
        known.insert(key, None, CompressedLayer(made))
    elif earlier.blob != made:
        known.replace(key, CompressedLayer(made))
    return made


def _compress(job: Job, blob: Descriptor, compression: Compression, lease: Lease) -> Descriptor:
    content, label = job.rooms.store.content, f"layer {short_id(blob.digest)}"
    with content.open(blob.digest) as source, content.writer() as writer:
        with compressed(writer.write, compression) as write:
            stage = Stage("compress", write)
            try:
                for chunk in decompressed_stream(source, label):
                    job.cancel.check()
                    stage.put(chunk)
                stage.finish()
            finally:
                stage.abandon()
        return writer.commit(_TYPES[compression], lease)
