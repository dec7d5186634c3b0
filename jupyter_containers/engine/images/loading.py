"""Loads images from an archive, a folder or another store: ``load`` and ``store share``."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.copy import copy
from jupyter_containers.engine.images.places.archive import ArchiveReader
from jupyter_containers.engine.images.places.base import Target, Transfer
from jupyter_containers.engine.images.places.store import StorePlace, open_store
from jupyter_containers.errors import ArchiveError
from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store import ImageRecord
from jupyter_containers.store.tarfiles import open_files


@dataclass(frozen=True, slots=True)
class Loaded:
    """A loaded image and its names in the source."""

    record: ImageRecord
    names: tuple[Reference, ...]


def load(
    context: EngineContext,
    source: BinaryIO | Path,
    platform: Platform | None,
    *,
    emit: EventSink,
    cancel: CancelToken,
) -> list[Loaded]:
    """Load all images of an archive or an image layout's folder into the store.

    ``platform`` selects images from an index; by default the host's is preferred.  Raises
    :class:`ArchiveError`, :class:`VerificationError`, and :class:`ImageNotFoundError` if no image
    is for the platform.
    """
    transfer = Transfer(emit, cancel)
    with (
        context.store.scratch() as scratch,
        open_files(source, scratch, cancel=cancel) as files,
    ):
        archive = ArchiveReader(files, cancel)
        targets = archive.targets(platform)
        if not targets:
            raise ArchiveError("the archive holds no image", hint="save writes such archives")
        with open_store(context, transfer) as here:
            return loaded(here, copy(archive, here, targets, transfer))


def take_over(
    owner: EngineContext,
    context: EngineContext,
    targets: Sequence[Target],
    *,
    emit: EventSink,
    cancel: CancelToken,
) -> list[Loaded]:
    """Copy images of the store ``owner`` into this one."""
    transfer = Transfer(emit, cancel)
    with open_store(owner, transfer) as there, open_store(context, transfer) as here:
        return loaded(here, copy(there, here, targets, transfer))


def loaded(here: StorePlace, targets: list[Target]) -> list[Loaded]:
    """Return the images of a copy, each once with all of its names."""
    names: dict[str, tuple[Reference, ...]] = {}
    records: dict[str, ImageRecord] = {}
    for target in targets:
        for image in target.images:
            records[image.digest] = here.record(image)
            earlier = names.get(image.digest, ())
            names[image.digest] = tuple(dict.fromkeys((*earlier, *target.names)))
    return [Loaded(records[digest], names[digest]) for digest in records]
