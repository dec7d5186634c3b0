"""The layers of a build's result, in the compression of an output.

Layers are stored as gzip; another compression is created on first use and remembered by diff_id
while its blob exists.  Without ``force`` the base image's layers stay unchanged.
"""

from __future__ import annotations

import msgspec

from jupyter_containers.build.image import write_image
from jupyter_containers.build.result import BuildResult
from jupyter_containers.build.seams import BlobStore, LayerRef
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.work import in_parallel
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.oci.descriptor import (
    DOCKER_MANIFEST,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    Descriptor,
    short_id,
)
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.options.output import Compressed, LayerCompression
from jupyter_containers.store import Lease
from jupyter_containers.store.compression import compressed, decompressed_stream

_TYPES: dict[LayerCompression, str] = {
    "gzip": LAYER_GZIP,
    "zstd": LAYER_ZSTD,
    "none": LAYER_TAR,
}
_SUFFIXES = {"gzip": ("gzip",), "zstd": ("zstd",), "none": (".tar",)}


class CompressedAs(msgspec.Struct, frozen=True):
    """A layer in one compression and level."""

    blob: Descriptor


@dataclass(frozen=True, slots=True)
class BuiltLayers:
    """Compresses layers of one store for one build."""

    engine_context: EngineContext
    lease: Lease
    cancel: CancelToken

    def of(self, result: BuildResult, wish: Compressed) -> tuple[LayerRef, ...]:
        """Return the layers of a result as an output requires them."""
        if wish == Compressed():
            return result.layers
        first = 0 if wish.force else result.inherited
        made = in_parallel(
            lambda layer: self._compress(layer, wish),
            result.layers[first:],
            workers=2,
            cancel=self.cancel,
        )
        return (*result.layers[:first], *made)

    def _compress(self, layer: LayerRef, wish: Compressed) -> LayerRef:
        blob = layer.descriptor
        if wish.level is None and blob.media_type.endswith(_SUFFIXES[wish.kind]):
            return layer
        records, content = self.engine_context.store.records, self.engine_context.store.content
        known = records.collection("layers of builds", CompressedAs)
        key = f"{layer.diff_id} {wish.kind} {wish.level}"
        earlier = known.get(key)
        if earlier is not None:
            self.lease.add(earlier.blob.digest)
            if content.has(earlier.blob.digest):
                return LayerRef(earlier.blob, layer.diff_id)
        with (
            content.open(blob.digest) as source,
            content.writer() as writer,
        ):
            with compressed(writer.write, wish.kind, wish.level) as write:
                for chunk in decompressed_stream(source, f"layer {short_id(blob.digest)}"):
                    self.cancel.check()
                    write(chunk)
            made = writer.commit(_TYPES[wish.kind], self.lease)
        if earlier is None:
            known.insert(key, None, CompressedAs(made))
        return LayerRef(made, layer.diff_id)


def for_store(
    built: BuiltLayers, blobs: BlobStore, result: BuildResult, options: BuildOptions
) -> BuildResult:
    """Return the result with the image for the store, compressed as the last output says."""
    wishes = [one.compressed for one in options.outputs if one.in_store]
    if not wishes or wishes[-1] == Compressed():
        return result
    layers = built.of(result, wishes[-1])
    annotations = dict(options.annotations.manifest)
    for output in options.outputs:
        if output.in_store:
            annotations |= output.annotations
    docker = result.manifest.media_type == DOCKER_MANIFEST and wishes[-1].kind != "zstd"
    manifest, config_digest = write_image(
        blobs,
        result.config,
        layers,
        form="docker" if docker else "oci",
        annotations=annotations,
        extra=result.extra,
    )
    return replace(result, manifest=manifest, config_digest=config_digest, layers=layers)
