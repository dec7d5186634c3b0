"""Images from an archive or a folder: ``load``.

Two forms are understood, compressed or not.  An *OCI image layout* (``oci-layout``, ``index.json``)
is taken as it is: manifests keep their bytes and so their digests.  A *docker-archive*
(``manifest.json``) has no manifests: they are made here, bare layers being compressed on the way;
the configuration, and so the image's ID, stays.  What Docker has written since version 25 is both.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import msgspec

from jupyter_containers.engine.context import Rooms
from jupyter_containers.engine.images.intake import Arrival, arrivals, take_in
from jupyter_containers.engine.images.saving import FULL_NAME, blob_path
from jupyter_containers.engine.images.transfer import image_record
from jupyter_containers.errors import (
    ArchiveError,
    DigestMismatchError,
    ImageNotFoundError,
    InvalidReferenceError,
    VerificationError,
)
from jupyter_containers.events import CancelToken, EventSink, TaskProgress
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.descriptor import (
    CONFIG,
    DOCKER_CONFIG,
    LAYER_GZIP,
    LAYER_TAR,
    LAYER_ZSTD,
    MANIFEST,
    Descriptor,
    Platform,
    RawDocument,
    digest_of,
    encode_json,
)
from jupyter_containers.oci.image import (
    ImageConfig,
    Index,
    Manifest,
    new_manifest,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store import ImageRecord, Lease
from jupyter_containers.store.compression import compression_of, decompressed_stream
from jupyter_containers.store.content import REF_NAME
from jupyter_containers.store.recompress import LayerWriter
from jupyter_containers.store.tarfiles import Files, open_files

_CHUNK = 1024 * 1024
_COMPRESSED_LAYERS = {"gzip": LAYER_GZIP, "zstd": LAYER_ZSTD}


class _Entry(msgspec.Struct, rename="pascal"):
    """One image of ``manifest.json``."""

    config: str
    layers: list[str] = []
    repo_tags: list[str] | None = None


@dataclass(frozen=True, slots=True)
class _Packed:
    """One image of an archive: its documents, the files of its layers, and its names.

    ``document`` and ``manifest`` are None where the archive has no manifest.
    """

    config_descriptor: Descriptor
    config_data: bytes
    files: tuple[str, ...]
    names: tuple[Reference, ...]
    document: RawDocument | None = None
    manifest: Manifest | None = None
    target: RawDocument | None = None

    @property
    def digest(self) -> str:
        """What tells this image from others of the archive."""
        return self.document.digest if self.document else self.config_descriptor.digest


@dataclass(frozen=True, slots=True)
class Loaded:
    """An image that is now in the store, and the names that it came with."""

    record: ImageRecord
    names: tuple[Reference, ...]


def load(
    rooms: Rooms,
    source: BinaryIO | Path,
    platform: Platform | None,
    *,
    emit: EventSink,
    cancel: CancelToken,
) -> list[Loaded]:
    """Bring all images of an archive (or of a layout's folder) into the store.

    ``platform`` chooses from what is there for several; without it the host's is preferred.
    Raises :class:`ArchiveError`, :class:`VerificationError`, :class:`ImageNotFoundError` when
    nothing fits the platform.
    """
    store = rooms.store
    with store.scratch() as scratch, open_files(source, scratch, cancel=cancel) as files:
        packed = list(_images(files, platform))
        if not packed:
            raise ArchiveError("the archive holds no image", hint="save writes such archives")
        loaded: dict[str, Loaded] = {}
        with store.leases.hold() as lease:
            for image in packed:
                earlier = loaded.get(
                    image.digest
                )  # an image with several names comes several times
                record = (
                    earlier.record if earlier else _take(rooms, files, image, lease, emit, cancel)
                )
                names = (*(earlier.names if earlier else ()), *image.names)
                loaded[image.digest] = Loaded(record, tuple(dict.fromkeys(names)))
                target = image.target.digest if image.target else ""
                store.put_image(record, map(str, image.names), target)
    return list(loaded.values())


# -- reading the archive ------------------------------------------------------------------------


def _images(files: Files, platform: Platform | None) -> Iterator[_Packed]:
    docker = _docker_entries(files) if files.has("manifest.json") else []
    if files.has("index.json"):
        tags: dict[str, list[str]] = {}
        for entry in docker:
            tags.setdefault(entry.config, []).extend(entry.repo_tags or ())
        yield from _layout_images(files, platform, tags)
    elif docker:
        yield from _docker_images(files, docker, platform)
    elif files.has("repositories"):
        raise ArchiveError(
            "the archive is of the form that Docker wrote before version 1.10",
            hint="load and save it once with a recent engine to convert it",
        )


def _layout_images(
    files: Files, platform: Platform | None, tags: dict[str, list[str]]
) -> Iterator[_Packed]:
    index = _parsed(files.read("index.json"), "index.json")
    if not isinstance(index, Index):
        raise VerificationError("index.json is not an index")
    fitting, refused = 0, []
    for entry in index.manifests:
        found = _chosen(files, entry, platform)
        if found is None:
            refused.append(str(entry.platform or "another platform"))
            continue
        target, document, manifest = found
        if manifest.config.media_type not in (CONFIG, DOCKER_CONFIG):
            continue  # an artifact or an attestation, not an image
        fitting += 1
        named = _names([entry.annotations.get(FULL_NAME) or entry.annotations.get(REF_NAME, "")])
        path = blob_path(manifest.config.digest)
        yield _Packed(
            manifest.config,
            _verified(files, manifest.config),
            tuple(blob_path(layer.digest) for layer in manifest.layers),
            tuple(dict.fromkeys([*named, *_names(tags.get(path, []))])),
            document,
            manifest,
            target,
        )
    if refused and not fitting:
        raise ImageNotFoundError(
            f"the archive has no image for {platform or Platform.host()}",
            hint=f"it has {', '.join(sorted(set(refused)))}; choose with --platform",
        )


def _chosen(
    files: Files, entry: Descriptor, platform: Platform | None
) -> tuple[RawDocument, RawDocument, Manifest] | None:
    """Return target, manifest document and manifest of an index's entry; None when none fits."""
    target = RawDocument(_verified(files, entry), entry.media_type)
    parsed = parse_manifest(target)
    if isinstance(parsed, Manifest):
        if platform and entry.platform and not platform.match_score(entry.platform):
            return None
        return target, target, parsed
    chosen = parsed.select(platform or Platform.host())
    if chosen is None and platform is None and len(parsed.manifests) == 1:
        chosen = parsed.manifests[0]
    if chosen is None:
        return None
    document = RawDocument(_verified(files, chosen), chosen.media_type)
    manifest = parse_manifest(document)
    if isinstance(manifest, Index):
        raise VerificationError("an index inside an index")
    return target, document, manifest


def _docker_entries(files: Files) -> list[_Entry]:
    try:
        return msgspec.json.decode(files.read("manifest.json"), type=list[_Entry])
    except DECODE_ERRORS as error:
        raise VerificationError(f"manifest.json is malformed: {error}") from error


def _docker_images(
    files: Files, entries: Sequence[_Entry], platform: Platform | None
) -> Iterator[_Packed]:
    for entry in entries:
        data = files.read(entry.config)
        if platform and not platform.match_score(parse_image_config(data).platform):
            raise ImageNotFoundError(
                f"the archive has no image for {platform}",
                hint=f"it is for {parse_image_config(data).platform}",
            )
        yield _Packed(
            Descriptor(CONFIG, digest_of(data), len(data)),
            data,
            tuple(entry.layers),
            _names(entry.repo_tags or ()),
        )


def _parsed(data: bytes, what: str) -> Manifest | Index:
    try:
        return parse_manifest(RawDocument(data, ""))
    except VerificationError as error:
        raise VerificationError(f"{what}: {error}") from error


def _verified(files: Files, descriptor: Descriptor) -> bytes:
    data = files.read(blob_path(descriptor.checked().digest))
    algorithm = descriptor.digest.partition(":")[0]
    found = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
    if found != descriptor.digest:
        raise DigestMismatchError(f"blob {descriptor.digest}: the content's digest is {found}")
    return data


def _names(texts: Sequence[str]) -> tuple[Reference, ...]:
    """Return the names; a bare tag, which some layouts use as a name, is none."""
    names = []
    for text in texts:
        try:
            if "/" in text or ":" in text:
                names.append(Reference.parse(text))
        except InvalidReferenceError:
            continue
    return tuple(names)


# -- bringing it into the store -----------------------------------------------------------------


def _take(
    rooms: Rooms,
    files: Files,
    image: _Packed,
    lease: Lease,
    emit: EventSink,
    cancel: CancelToken,
) -> ImageRecord:
    config = parse_image_config(image.config_data)
    diff_ids = config.rootfs.diff_ids
    if len(image.files) != len(diff_ids):
        raise VerificationError(
            f"the archive has {len(image.files)} layers, the configuration {len(diff_ids)}"
        )
    content = rooms.store.content
    known = image.manifest.layers if image.manifest else _bare(files, image.files, diff_ids)
    sources = dict(zip(diff_ids, image.files, strict=True))
    lease.add(*(blob.digest for blob in known))
    blobs = take_in(
        rooms,
        arrivals(known, diff_ids, named=image.manifest is not None),
        lambda layer: _receive(
            rooms, files, sources[layer.diff_id], layer, image.manifest is None, lease, emit, cancel
        ),
        words="Loaded",
        lease=lease,
        emit=emit,
        cancel=cancel,
    )
    content.put(image.config_data, image.config_descriptor.media_type, lease)
    if image.document is None or image.manifest is None:
        return _made(rooms, image, config, blobs, lease)
    for document in {image.document.digest: image.document, **_by_digest(image.target)}.values():
        content.put(document.data, document.media_type, lease)
    target = image.target.descriptor if image.target else None
    return image_record(rooms, image.document, image.manifest, config, target)


def _by_digest(document: RawDocument | None) -> dict[str, RawDocument]:
    return {document.digest: document} if document else {}


def _made(
    rooms: Rooms, image: _Packed, config: ImageConfig, blobs: list[Descriptor], lease: Lease
) -> ImageRecord:
    """Return the record of an image without a manifest: one that is here, or a new one."""
    for record in rooms.store.records.find_images(image.config_descriptor.digest):
        if record.config_digest == image.config_descriptor.digest:
            return record
    manifest = new_manifest(image.config_descriptor, tuple(blobs))
    document = RawDocument(encode_json(manifest), MANIFEST)
    rooms.store.content.put(document.data, MANIFEST, lease)
    return image_record(rooms, document, manifest, config)


def _bare(files: Files, names: Sequence[str], diff_ids: Sequence[str]) -> tuple[Descriptor, ...]:
    """Return what is known of the layers of a docker-archive before they are read."""
    return tuple(
        Descriptor(LAYER_TAR, diff_id, files.size(name))
        for name, diff_id in zip(names, diff_ids, strict=True)
    )


def _receive(
    rooms: Rooms,
    files: Files,
    name: str,
    layer: Arrival,
    bare: bool,
    lease: Lease,
    emit: EventSink,
    cancel: CancelToken,
) -> None:
    """Bring the blob of one layer into the store while it is unpacked from the archive."""
    content = rooms.store.content
    layer.offer(lambda: files.open(name))

    def pieces() -> Iterator[bytes]:
        done = 0
        while chunk := file.read(_CHUNK):
            cancel.check()
            yield chunk
            done += len(chunk)
            emit(TaskProgress(layer.task, done, layer.blob.size, "Loading"))

    with files.open(name) as file:
        if not bare:
            with content.ingest(layer.blob, cancel) as ingest:
                if not ingest.present:
                    ingest.restart()
                    for chunk in pieces():
                        ingest.write(chunk)
                ingest.commit()
            layer.settle(layer.blob)
            return
        with files.open(name) as front:
            kind = compression_of(front.read(6))
        if kind in _COMPRESSED_LAYERS:
            with content.writer() as writer:
                for chunk in pieces():
                    writer.write(chunk)
                layer.settle(writer.commit(_COMPRESSED_LAYERS[kind], lease))
            return
        with LayerWriter(content) as packing:
            chunks = pieces() if not kind else decompressed_stream(file, layer.task)
            for chunk in chunks:
                packing.write(chunk)
            blob, diff_id = packing.commit(LAYER_GZIP, lease)
        if diff_id != layer.diff_id:
            raise DigestMismatchError(
                f"layer {name}: the content's digest is {diff_id},"
                f" the image's configuration says {layer.diff_id}"
            )
        layer.settle(blob)
