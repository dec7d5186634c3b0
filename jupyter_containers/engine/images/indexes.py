"""Images for several platforms that one index joins.

A name refers to the image for this machine; the other images are recorded with the same index.  OCI
Image Specification 1.1, image-index.md.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.places.store import stored_target
from jupyter_containers.engine.images.transfer import push
from jupyter_containers.errors import ImageNotFoundError
from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import INDEX, Platform, RawDocument
from jupyter_containers.oci.image import Index, parse_manifest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store import ImageRecord

if TYPE_CHECKING:
    from jupyter_containers.engine.images.recompression import Compression


def related(context: EngineContext, record: ImageRecord) -> list[ImageRecord]:
    """Return the image and the other stored images of its index."""
    others = [
        other
        for other in context.store.records.images()
        if record.index_digest
        and other.index_digest == record.index_digest
        and other.manifest.digest != record.manifest.digest
    ]
    return [record, *others]


def for_platform(context: EngineContext, record: ImageRecord, platform: Platform) -> ImageRecord:
    """Return the image, or the one of its index, that matches ``platform`` best.

    Raises :class:`ImageNotFoundError` if none matches.
    """
    found = related(context, record)
    best = max(found, key=lambda one: platform.match_score(one.platform))
    if platform.match_score(best.platform) > 0:
        return best
    raise ImageNotFoundError(
        f"image {record.config_digest[7:19]} is not for {platform}",
        hint=f"it is for {', '.join(str(one.platform) for one in found)}; "
        "pull it for the other platform",
    )


def whole_index(
    context: EngineContext, record: ImageRecord
) -> tuple[RawDocument, list[ImageRecord]] | None:
    """Return the image's index with all its images; None unless all of them are stored."""
    content = context.store.content
    if not record.index_digest or not content.has(record.index_digest):
        return None
    document = RawDocument(content.read(record.index_digest), INDEX)
    index = parse_manifest(document)
    if not isinstance(index, Index):
        return None
    records = [context.store.records.get_image(entry.digest) for entry in index.manifests]
    found = [one for one in records if one is not None]
    document = RawDocument(document.data, index.media_type or INDEX)
    return (document, found) if len(found) == len(records) else None


@dataclass(frozen=True, slots=True)
class NamePush:
    """Pushes a name's image, or its whole index if all its images are stored."""

    context: EngineContext
    emit: EventSink
    cancel: CancelToken
    compression: Compression | None = None
    platform: Platform | None = None

    def push(self, record: ImageRecord, reference: Reference) -> str:
        """Push the image to ``reference``; return the digest of the name there."""
        whole = None if self.platform else whole_index(self.context, record)
        index, records = whole or (None, [record])
        if self.platform:
            records = [for_platform(self.context, record, self.platform)]
        return push(
            self.context,
            stored_target(self.context.store, records, index),
            reference,
            compression=self.compression,
            emit=self.emit,
            cancel=self.cancel,
        )
