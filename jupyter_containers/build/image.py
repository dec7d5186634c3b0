"""The finished image as blobs: configuration and manifest, in OCI's or in Docker's media types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import msgspec

from jupyter_containers.build.seams import BlobStore, LayerRef
from jupyter_containers.errors import UnsupportedError
from jupyter_containers.oci.descriptor import (
    CONFIG,
    DOCKER_CONFIG,
    DOCKER_LAYER,
    DOCKER_LAYER_TAR,
    DOCKER_MANIFEST,
    LAYER_GZIP,
    LAYER_TAR,
    MANIFEST,
    Descriptor,
    encode_json,
)
from jupyter_containers.oci.image import ImageConfig, Manifest
from jupyter_containers.options.output import ImageFormat

_OCI_TYPES = {DOCKER_LAYER: LAYER_GZIP, DOCKER_LAYER_TAR: LAYER_TAR}
_DOCKER_TYPES = {oci: docker for docker, oci in _OCI_TYPES.items()}


def write_image(
    blobs: BlobStore,
    config: ImageConfig,
    layers: Iterable[LayerRef],
    *,
    form: ImageFormat = "oci",
    annotations: Mapping[str, str] | None = None,
    extra: Mapping[str, object] | None = None,
) -> tuple[Descriptor, str]:
    """Store manifest and configuration; return the manifest's descriptor and the image ID.

    Docker's format has no annotations.  ``extra`` are further members of the configuration.
    """
    docker = form == "docker"
    if docker and annotations:
        raise UnsupportedError(
            "an image in Docker's format cannot have annotations",
            capability="annotations in Docker's image format",
            hint="leave --format docker (or oci-mediatypes=false) away",
        )
    document = encode_json({**msgspec.to_builtins(config), **extra} if extra else config)
    config_blob = blobs.put(document, DOCKER_CONFIG if docker else CONFIG)
    # A manifest uses its own media types for layers, whatever the base image called them.
    manifest = Manifest(
        schema_version=2,
        media_type=DOCKER_MANIFEST if docker else MANIFEST,
        config=config_blob,
        layers=tuple(_layer(layer.descriptor, form) for layer in layers),
        annotations=dict(sorted((annotations or {}).items())),
    )
    return blobs.put(encode_json(manifest), manifest.media_type), config_blob.digest


def _layer(layer: Descriptor, form: ImageFormat) -> Descriptor:
    if form == "oci":
        kind = _OCI_TYPES.get(layer.media_type, layer.media_type)
    else:
        kind = _DOCKER_TYPES.get(layer.media_type, layer.media_type)
        if kind not in _OCI_TYPES:
            raise UnsupportedError(
                f"a layer of type {kind} is not allowed in an image of Docker's format",
                capability=f"{kind} layers in Docker's image format",
                hint="build in OCI's format: --format oci",
            )
    return msgspec.structs.replace(layer, media_type=kind)
