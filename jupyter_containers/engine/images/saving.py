"""Saves images of the store in one archive: ``save``."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.copy import copy
from jupyter_containers.engine.images.places.archive import FORMATS, ArchiveWriter, Format
from jupyter_containers.engine.images.places.base import Target, Transfer
from jupyter_containers.engine.images.places.store import open_store, stored_image
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store import ImageRecord
from jupyter_containers.store.compression import compressed
from jupyter_containers.store.faults import storage_error, storage_errors

__all__ = ["FORMATS", "Format", "Saved", "archive_output", "chosen", "save"]


@dataclass(frozen=True, slots=True)
class Saved:
    """An image in an archive, with its names there."""

    record: ImageRecord
    target: Target


def chosen(
    context: EngineContext, images: Iterable[tuple[ImageRecord, Sequence[str]]]
) -> list[Saved]:
    """Return the contents of an archive: every image once, with all requested names."""
    names: dict[str, dict[str, None]] = {}
    records: dict[str, ImageRecord] = {}
    for record, wanted in images:
        records[record.manifest.digest] = record
        names.setdefault(record.manifest.digest, {}).update(dict.fromkeys(wanted))
    found = []
    for digest, record in records.items():
        image = stored_image(context.store, record)
        found.append(Saved(record, Target((image,), tuple(map(Reference.parse, names[digest])))))
    return found


def save(
    context: EngineContext,
    images: Sequence[Saved],
    write: Callable[[bytes], object],
    *,
    format: Format,
    emit: EventSink,
    cancel: CancelToken,
) -> None:
    """Write the archive of ``images`` through ``write``."""
    transfer = Transfer(emit, cancel)
    with open_store(context, transfer) as here, ArchiveWriter(write, transfer, format) as archive:
        copy(here, archive, [image.target for image in images], transfer)


@contextmanager
def archive_output(
    output: str | Path | BinaryIO, compression: str | None
) -> Iterator[Callable[[bytes], object]]:
    """Yield a function that writes to a stream, or to a file that appears once complete.

    ``compression`` is gzip, zstd or none; None chooses by the file's suffix (``.gz``, ``.zst``).
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
