"""Images of the store as one archive: ``save``.

The archive is an OCI image layout (``oci-layout``, ``index.json``, ``blobs/``) that also carries
Docker's ``manifest.json`` and ``repositories``, so that every engine loads it.  Blobs are written
as they are, compressed layers too: nothing is compressed again, and digests stay.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Literal

from jupyter_containers.engine.context import Rooms
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.oci.descriptor import Descriptor, RawDocument, encode_json
from jupyter_containers.oci.image import Manifest, new_index, parse_manifest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store import ImageRecord
from jupyter_containers.store.compression import compressed
from jupyter_containers.store.content import LAYOUT, REF_NAME
from jupyter_containers.store.faults import storage_error, storage_errors
from jupyter_containers.store.tarread import BLOCK, FILE
from jupyter_containers.store.tarwrite import END, encode_header

Format = Literal["docker-archive", "oci-archive"]
FORMATS: tuple[Format, ...] = ("docker-archive", "oci-archive")
FULL_NAME = "io.containerd.image.name"
_CHUNK = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Saved:
    """One image of an archive, and the names that it has there."""

    record: ImageRecord
    names: tuple[Reference, ...]
    manifest: Manifest

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything of the image that is a blob."""
        return (self.record.manifest, self.manifest.config, *self.manifest.layers)


@dataclass(frozen=True, slots=True)
class SavedIndex:
    """Images of one archive that an index joins under one name."""

    target: Descriptor
    names: tuple[Reference, ...]
    images: tuple[Saved, ...]

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything of the images, and the index."""
        return (self.target, *(blob for image in self.images for blob in image.blobs))


def chosen(rooms: Rooms, images: Iterable[tuple[ImageRecord, Sequence[str]]]) -> list[Saved]:
    """Return what goes into an archive: every image once, with all names asked for."""
    names: dict[str, dict[str, None]] = {}
    records: dict[str, ImageRecord] = {}
    for record, wanted in images:
        records[record.manifest.digest] = record
        names.setdefault(record.manifest.digest, {}).update(dict.fromkeys(wanted))
    found = []
    for digest, record in records.items():
        document = RawDocument(rooms.store.content.read(digest), record.manifest.media_type)
        manifest = parse_manifest(document)
        assert isinstance(manifest, Manifest)  # only manifests are recorded as images
        found.append(Saved(record, tuple(map(Reference.parse, names[digest])), manifest))
    return found


def save(
    rooms: Rooms,
    images: Sequence[Saved | SavedIndex],
    write: Callable[[bytes], object],
    *,
    format: Format,
    emit: EventSink,
    cancel: CancelToken,
) -> None:
    """Write the archive of ``images`` through ``write``."""
    blobs = {blob.digest: blob for image in images for blob in image.blobs}
    total = sum(blob.size for blob in blobs.values())
    with rooms.store.leases.hold(blobs):
        emit(TaskStarted("save", "Saving", total))
        for name, data in _documents(images, format):
            _member(write, name, len(data))
            write(data + bytes(-len(data) % BLOCK))
        written = 0
        for blob in blobs.values():
            _member(write, blob_path(blob.digest), blob.size)
            with rooms.store.content.open(blob.digest) as file:
                while chunk := file.read(_CHUNK):
                    cancel.check()
                    write(chunk)
                    written += len(chunk)
                    emit(TaskProgress("save", written, total, "Saving"))
            write(bytes(-blob.size % BLOCK))
        write(END)
        emit(TaskFinished("save"))


def save_folder(
    rooms: Rooms, images: Sequence[Saved | SavedIndex], folder: Path, *, cancel: CancelToken
) -> None:
    """Write ``images`` as an OCI image layout; the index appears when all it names is there."""
    with storage_errors(f"write {folder}"):
        for digest in {blob.digest for image in images for blob in image.blobs}:
            cancel.check()
            target = folder / blob_path(digest)
            target.parent.mkdir(parents=True, exist_ok=True)
            if not target.exists():
                partial = target.with_name(f".{target.name}.partial")
                shutil.copyfile(rooms.store.content.path(digest), partial)
                partial.rename(target)
        for name, data in _documents(images, "oci-archive"):
            (folder / name).write_bytes(data)


def blob_path(digest: str) -> str:
    """Return where a layout keeps a blob."""
    return "blobs/" + digest.replace(":", "/", 1)


def _member(write: Callable[[bytes], object], name: str, size: int) -> None:
    write(encode_header(name.encode(), FILE, mode=0o644, size=size))


def _documents(saved: Sequence[Saved | SavedIndex], format: Format) -> Iterator[tuple[str, bytes]]:
    yield "oci-layout", LAYOUT
    yield "index.json", encode_json(new_index(tuple(_entries(saved))))
    if format == "docker-archive":
        images = [image for image in saved if isinstance(image, Saved)]
        yield "manifest.json", encode_json([_docker_entry(image) for image in images])
        repositories: dict[str, dict[str, str]] = {}
        for image in images:
            for name in image.names:
                if name.tag and image.manifest.layers:
                    top = image.manifest.layers[-1].digest.rpartition(":")[2]
                    repositories.setdefault(name.familiar_name, {})[name.tag] = top
        if repositories:
            yield "repositories", encode_json(repositories)


def _entries(images: Sequence[Saved | SavedIndex]) -> Iterator[Descriptor]:
    for image in images:
        single = image.record if isinstance(image, Saved) else None
        target = image.target if isinstance(image, SavedIndex) else image.record.manifest
        for name in image.names or (None,):
            marks = {FULL_NAME: str(name), REF_NAME: name.tag or ""} if name else {}
            yield Descriptor(
                target.media_type,
                target.digest,
                target.size,
                annotations=target.annotations | {key: text for key, text in marks.items() if text},
                platform=single.platform if single else None,
            )


def _docker_entry(image: Saved) -> dict[str, Any]:
    tags = [name.familiar for name in image.names if name.tag]
    return {
        "Config": blob_path(image.manifest.config.digest),
        "RepoTags": tags or None,
        "Layers": [blob_path(layer.digest) for layer in image.manifest.layers],
    }


@contextmanager
def archive_output(
    output: str | Path | BinaryIO, compression: str | None
) -> Iterator[Callable[[bytes], object]]:
    """Yield the function that writes to a file (which appears when it is complete) or a stream.

    ``compression`` is gzip, zstd or none; None goes by the file's suffix (``.gz``, ``.zst``).
    """
    if compression not in (None, "gzip", "zstd", "none"):
        raise InvalidArgumentError(
            f"invalid compression {compression!r}", hint="one of gzip, zstd, none"
        )
    if not isinstance(output, (str, Path)):
        with compressed(lambda data: _all(output, data), compression or "none") as write:
            yield write
        return
    target = Path(output)
    if target.is_dir() or not target.parent.is_dir():
        problem = "is a folder" if target.is_dir() else "its folder does not exist"
        raise InvalidArgumentError(f"cannot write {target}: {problem}")
    if target.exists() and not target.is_file():
        with (
            storage_errors(f"write {target}"),
            target.open("wb", buffering=0) as device,
            compressed(lambda data: _all(device, data), compression or "none") as write,
        ):
            yield write
        return
    kind = compression or {".gz": "gzip", ".tgz": "gzip", ".zst": "zstd"}.get(target.suffix, "none")
    partial = target.with_name(f".{target.name}.{os.getpid()}.partial")
    try:
        with storage_errors(f"write {target}"):
            with (
                partial.open("wb", buffering=0) as file,
                compressed(lambda data: _all(file, data), kind) as write,
            ):
                yield write
            os.replace(partial, target)
    except BaseException:
        partial.unlink(missing_ok=True)
        raise


def _all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    try:
        while view:
            view = view[file.write(view) :]
    except OSError as error:
        raise storage_error("write the archive", error) from error
