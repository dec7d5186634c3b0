"""Copies images from one place to another: the core of pull, push, load and save.

A copy protects its source and its destination from garbage collection, announces all targets to the
destination, copies every image once, and sets names last.  Documents are copied unchanged, so
digests stay the same; only a destination that recompresses layers gets new manifests.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import msgspec

from jupyter_containers.engine.images.places.base import (
    Destination,
    Image,
    Source,
    Target,
    Transfer,
)
from jupyter_containers.errors import VerificationError
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.oci.descriptor import Platform, RawDocument, encode_json
from jupyter_containers.oci.image import Index, Manifest, parse_manifest


def copy(
    source: Source, destination: Destination, targets: Sequence[Target], transfer: Transfer
) -> list[Target]:
    """Copy images with their names; return the targets as they are at the destination.

    An image of several targets is copied once.  Raises the errors of the two places; the first
    failure ends the copy.
    """
    for target in targets:
        wanted = _digests(target)
        source.hold(*wanted)
        destination.hold(*wanted)
    destination.expect(targets)
    copied: dict[str, Image] = {}
    found = []
    for target in targets:
        for image in target.images:
            if image.digest not in copied:
                copied[image.digest] = destination.receive(image, source, transfer)
            if target.index is not None and (document := copied[image.digest].document):
                destination.put(document)
        found.append(_rebuild_target(target, copied))
        destination.tag(found[-1])
    return found


def choose(
    source: Source, document: RawDocument, platform: Platform, subject: str = ""
) -> Target | None:
    """Return the image in a document for a platform; None if its index has none.

    Raises :class:`VerificationError`, naming ``subject``, for an index inside an index.
    """
    parsed = parse_manifest(document)
    if isinstance(parsed, Manifest):
        return Target((Image(parsed, document),))
    chosen = parsed.select(platform)
    if chosen is None:
        return None
    image = image_of(source.manifest(chosen), chosen.platform, subject)
    return Target((image,), index=document)


def image_of(document: RawDocument, platform: Platform | None = None, subject: str = "") -> Image:
    """Return the image of a manifest; raise :class:`VerificationError` for an index."""
    parsed = parse_manifest(document)
    if not isinstance(parsed, Manifest):
        raise VerificationError(f"{subject}: an index inside an index".removeprefix(": "))
    return Image(parsed, document, platform)


def _digests(target: Target) -> list[str]:
    """Return the digests of all parts of a target."""
    found = [target.index.digest] if target.index else []
    for image in target.images:
        found += [image.digest, *(blob.digest for blob in image.blobs)]
    return found


def _rebuild_target(target: Target, copied: Mapping[str, Image]) -> Target:
    """Return the target as it is at the destination, with an index of the copied images."""
    images = tuple(copied[image.digest] for image in target.images)
    if target.index is None or images == target.images:
        return replace(target, images=images)
    became = {image.digest: copied[image.digest].document for image in target.images}
    parsed = parse_manifest(target.index)
    assert isinstance(parsed, Index)  # it joins several images
    entries = []
    for entry in parsed.manifests:
        document = became.get(entry.digest)
        if document is not None:
            entry = msgspec.structs.replace(
                entry,
                media_type=document.media_type,
                digest=document.digest,
                size=len(document.data),
            )
        entries.append(entry)
    changed = msgspec.structs.replace(parsed, manifests=tuple(entries))
    return replace(
        target,
        images=images,
        index=RawDocument(encode_json(changed), target.index.media_type),
    )
