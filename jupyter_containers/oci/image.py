"""Manifests, indexes and image configurations, validated when they are parsed.

OCI Image Specification 1.1 (manifest.md, image-index.md, config.md) and Docker's Image Manifest
version 2, schema 2, which differ only in media types.  The raw bytes are kept beside the parsed
values (:class:`~jupyter_containers.oci.descriptor.RawDocument`): documents are never re-encoded.
"""

from __future__ import annotations

import posixpath
from datetime import UTC, datetime
from typing import Any, TypeVar

import msgspec

from jupyter_containers.errors import UnsupportedError, VerificationError
from jupyter_containers.oci.decoding import DECODE_ERRORS, converted, decode_json
from jupyter_containers.oci.descriptor import (
    INDEX,
    INDEX_TYPES,
    MANIFEST,
    MAX_MANIFEST_BYTES,
    Descriptor,
    Platform,
    RawDocument,
)

MAX_LAYERS = 1000
# The kernel's limit on stacked layers (OVL_MAX_STACK of fs/overlayfs).
MAX_DEPTH = 500

NEVER = "0001-01-01T00:00:00Z"


class Manifest(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """An image: one configuration and its layers, lowest first."""

    schema_version: int
    config: Descriptor
    layers: tuple[Descriptor, ...]
    media_type: str = ""
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}


class Index(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A list of manifests, usually one for each platform."""

    schema_version: int
    manifests: tuple[Descriptor, ...]
    media_type: str = ""
    artifact_type: str = ""
    subject: Descriptor | None = None
    annotations: dict[str, str] = {}

    def select(self, wished: Platform) -> Descriptor | None:
        """Return the manifest that fits ``wished`` best, or None.

        The first of equal matches wins; attestations (platform ``unknown/unknown``) never match.
        """
        scored = [
            (wished.match_score(entry.platform), entry)
            for entry in self.manifests
            if entry.platform is not None and entry.platform.os != "unknown"
        ]
        best = max(scored, key=lambda pair: pair[0], default=(0, None))
        return best[1] if best[0] > 0 else None


class Healthcheck(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """A HEALTHCHECK; durations in nanoseconds, 0 means inherit or default."""

    test: tuple[str, ...] = ()
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


def clean_path(path: str) -> str:
    """Return a path without ``.``, ``..``, double and final slashes, as Go's ``path.Clean``."""
    return posixpath.normpath(path).replace("//", "/", 1)


class ExecutionConfig(msgspec.Struct, frozen=True, omit_defaults=True, rename="pascal"):
    """The defaults for a container: the ``config`` object of the image configuration."""

    user: str = ""
    exposed_ports: dict[str, dict[str, Any]] = {}
    env: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = None
    cmd: tuple[str, ...] | None = None
    volumes: dict[str, dict[str, Any]] = {}
    working_dir: str = ""
    labels: dict[str, str] = {}
    stop_signal: str = ""
    shell: tuple[str, ...] = ()
    healthcheck: Healthcheck | None = None
    on_build: tuple[str, ...] = ()

    @property
    def cwd(self) -> str:
        """The normalized working directory; ``working_dir`` keeps the text as written."""
        return clean_path(self.working_dir or "/")


class RootFS(msgspec.Struct, frozen=True):
    """The image's layers by diff_id, lowest first."""

    type: str = "layers"
    diff_ids: tuple[str, ...] = ()


class History(msgspec.Struct, frozen=True, omit_defaults=True):
    """One step of the image's history; ``empty_layer`` steps changed only the config."""

    created: str = ""
    created_by: str = ""
    author: str = ""
    comment: str = ""
    empty_layer: bool = False


class ImageConfig(msgspec.Struct, frozen=True, omit_defaults=True):
    """The image configuration; its digest is the image ID."""

    architecture: str
    os: str
    created: str = ""
    author: str = ""
    variant: str = ""
    config: ExecutionConfig = ExecutionConfig()
    rootfs: RootFS = msgspec.field(default_factory=RootFS)
    history: tuple[History, ...] = ()

    @property
    def platform(self) -> Platform:
        """The platform this image runs on."""
        return Platform(self.architecture, self.os, self.variant)


_Document = TypeVar("_Document", Manifest, Index, ImageConfig)


def parse_manifest(document: RawDocument) -> Manifest | Index:
    """Return the manifest or index in ``document``.

    The shape must agree with the media type (a manifest that also lists ``manifests`` is refused:
    OCI Image Specification 1.1, "mediaType" confusion).  Raises :class:`VerificationError` for a
    malformed document and :class:`UnsupportedError` for schema 1.
    """
    value = _json_object(document.data, "manifest")
    media_type = str(value.get("mediaType") or document.media_type)
    if value.get("schemaVersion") == 1 or "v1+prettyjws" in media_type:
        raise UnsupportedError(
            "the image uses manifest schema 1, which was retired in 2019",
            capability="manifest schema 1",
            provided_by="pull and push it once with a recent engine to convert it",
        )
    if "manifests" in value and ("layers" in value or "config" in value):
        raise VerificationError("manifest is both an index and an image")
    is_index = media_type in INDEX_TYPES or (media_type not in (MANIFEST,) and "manifests" in value)
    parsed: Manifest | Index = (
        _convert(value, Index, "index") if is_index else _convert(value, Manifest, "manifest")
    )
    entries = parsed.manifests if isinstance(parsed, Index) else (parsed.config, *parsed.layers)
    if len(entries) > MAX_LAYERS:
        raise VerificationError(f"manifest lists {len(entries)} entries, the limit is {MAX_LAYERS}")
    for entry in entries:
        entry.checked()
    return parsed


def parse_image_config(data: bytes) -> ImageConfig:
    """Return the image configuration in ``data``; raise :class:`VerificationError` if malformed."""
    return _convert(_json_object(data, "image configuration"), ImageConfig, "image configuration")


def check_depth(layers: int) -> None:
    """Raise :class:`UnsupportedError` for more layers than the kernel can stack."""
    if layers > MAX_DEPTH:
        raise UnsupportedError(
            f"max depth exceeded: an image of {layers} layers, and the kernel stacks {MAX_DEPTH}",
            capability=f"images of more than {MAX_DEPTH} layers",
            provided_by="flatten it on another machine (export a container, import the archive), "
            "or join the RUN and COPY instructions that it is built from",
        )


def new_manifest(config: Descriptor, layers: tuple[Descriptor, ...]) -> Manifest:
    """Return a new OCI image manifest."""
    return Manifest(schema_version=2, media_type=MANIFEST, config=config, layers=layers)


def new_index(manifests: tuple[Descriptor, ...]) -> Index:
    """Return a new OCI image index."""
    return Index(schema_version=2, media_type=INDEX, manifests=manifests)


def _json_object(data: bytes, what: str) -> dict[str, Any]:
    if len(data) > MAX_MANIFEST_BYTES:
        raise VerificationError(f"{what} of {len(data)} bytes is over the limit of 4 MiB")
    try:
        value = decode_json(data)
    except DECODE_ERRORS as error:
        raise VerificationError(f"{what} is not JSON: {error}") from error
    if not isinstance(value, dict):
        raise VerificationError(f"{what} is not a JSON object")
    return value


def _convert(value: dict[str, Any], kind: type[_Document], what: str) -> _Document:
    try:
        return converted(_without_nulls(value), kind)
    except DECODE_ERRORS as error:
        raise VerificationError(f"{what} is malformed: {error}") from error


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [_without_nulls(item) for item in value]
    return value


def rfc3339(seconds: float) -> str:
    """Return a time (seconds since the epoch) in UTC, formatted as in Go and Docker."""
    text = datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%S.%f")
    return text.rstrip("0").rstrip(".") + "Z"


def timestamp(seconds: float) -> str:
    """Return a time in Docker's format; 0 is its "never"."""
    return rfc3339(seconds) if seconds else NEVER
