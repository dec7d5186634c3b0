"""The finished image as blobs: configuration and manifest."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec

from jupyter_containers.build.seams import BlobStore, LayerRef
from jupyter_containers.oci.descriptor import (
    CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_TAR,
    LAYER_GZIP,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    encode_json,
)
from jupyter_containers.oci.image import ImageConfig, new_manifest

_OCI_TYPES = {DOCKER_LAYER: LAYER_GZIP, DOCKER_LAYER_TAR: LAYER_TAR}


def write_image(
    blobs: BlobStore, config: ImageConfig, layers: Iterable[LayerRef]
) -> tuple[Descriptor, str]:
    """Return the manifest's descriptor and the configuration's digest, both stored."""
    config_blob = blobs.put(encode_json(config), CONFIG)
    # An OCI manifest names layers by OCI media types, whatever the base image called them.
    descriptors = tuple(_oci_layer(layer.descriptor) for layer in layers)
    manifest = blobs.put(encode_json(new_manifest(config_blob, descriptors)), MANIFEST)
    return manifest, config_blob.digest


def _oci_layer(layer: Descriptor) -> Descriptor:
    kind = _OCI_TYPES.get(layer.media_type, layer.media_type)
    return msgspec.structs.replace(layer, media_type=kind)
