"""Transfers images between a registry and the store: pull and push.

A pull resolves the name, walks from index to manifest to config, then downloads, verifies and
unpacks the layers in one pipeline (:mod:`.intake`).  Documents and blobs are stored exactly as
received.  The image's record is written last, so an interrupted pull leaves no image but verified
blobs, which the next pull reuses.  OCI Distribution Specification 1.1, "Pull" and "Push".
"""

from __future__ import annotations

import time
from contextlib import ExitStack
from typing import TYPE_CHECKING

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.copy import choose, copy
from jupyter_containers.engine.images.intake import reporting_failure
from jupyter_containers.engine.images.places.base import Target, Transfer, ignore_progress
from jupyter_containers.engine.images.places.registry import RegistryPlace, open_repository
from jupyter_containers.engine.images.places.store import StorePlace, open_store
from jupyter_containers.engine.images.rate_limits import record_limit
from jupyter_containers.engine.images.recipes import OFFLINE, bootstrap_hint
from jupyter_containers.errors import (
    ImageNotFoundError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    Outcome,
    TaskFinished,
    TaskStarted,
    discard,
)
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.oci.descriptor import (
    CONFIG,
    DOCKER_CONFIG,
    Descriptor,
    Platform,
    RawDocument,
)
from jupyter_containers.oci.image import Index, Manifest, parse_manifest
from jupyter_containers.oci.reference import DEFAULT_REGISTRY, Reference
from jupyter_containers.store import ImageRecord

if TYPE_CHECKING:
    from jupyter_containers.engine.images.recompression import Compression

# Old builders gave the configuration a generic media type; Docker accepts it too.
_CONFIG_TYPES = (CONFIG, DOCKER_CONFIG, "application/octet-stream")


def pull(
    context: EngineContext,
    reference: Reference,
    platform: Platform,
    *,
    emit: EventSink,
    cancel: CancelToken,
) -> ImageRecord:
    """Pull an image for ``platform`` into the store, name it, and return its record.

    If the image is stored already, one HEAD request checks whether its tag has changed; a digest
    needs no request at all.  Raises :class:`ImageNotFoundError` if the registry does not have it
    (or not for the platform), other :class:`RegistryError` and :class:`VerificationError`.
    """
    transfer = Transfer(emit, cancel)
    title, started = reference.familiar, time.monotonic()
    with (
        open_repository(context, reference, transfer) as there,
        open_store(
            context, transfer, check=lambda size: context.quotas.check_disk(context, size)
        ) as here,
    ):
        emit(TaskStarted(title, f"pull {title}"))
        words = "Image is up to date"
        with reporting_failure(emit, title, reason=False):
            record, target = _up_to_date(there, here, reference, platform)
            if record is None:
                words = "Downloaded newer image"
                record, target = _fetch(there, here, reference, platform, transfer)
            else:
                context.store.put_image(record, [str(_target_name(reference, target))], target)
        outcome: Outcome = "done" if words.startswith("Down") else "exists"
        seconds = time.monotonic() - started
        emit(TaskFinished(title, outcome, f"{words} · {target[:19]}", seconds))
        if left := record_limit(context.store, there.client.registry, there.client.rate_limit):
            emit(TaskStarted(left, f"{there.client.registry}: {left}"))
            emit(TaskFinished(left, "done"))
    context.journal.record("image", "pull", title, {"name": reference.familiar_name})
    return record


def _target_name(reference: Reference, target: str) -> Reference:
    if reference.tag:
        return Reference(reference.registry, reference.repository, reference.tag)
    return reference.with_digest(target)


def _up_to_date(
    there: RegistryPlace, here: StorePlace, reference: Reference, platform: Platform
) -> tuple[ImageRecord | None, str]:
    """Return the stored image and its name's digest if the registry has none newer."""
    records = here.store.records
    entry = records.get_name(str(reference.with_tag(reference.tag or "latest")))
    if reference.digest:
        entry = records.get_name(str(reference.with_digest(reference.digest)))
    record = records.get_image(entry.manifest_digest) if entry else None
    if entry is None or record is None or platform.match_score(record.platform) == 0:
        return None, ""
    here.hold(entry.target_digest, record.manifest.digest, *record.chain_ids)
    if not _is_whole(here, record):
        return None, ""
    if reference.digest:
        return record, entry.target_digest
    found = there.client.resolve(there.repository, reference.tag or "latest")
    return (record, found.digest) if found.digest == entry.target_digest else (None, "")


def _is_whole(here: StorePlace, record: ImageRecord) -> bool:
    """Return whether all of an image is stored, and protected by the lease."""
    if not here.has(record.manifest.digest):
        return False
    manifest = parse_manifest(here.manifest(record.manifest))
    if not isinstance(manifest, Manifest):
        return False
    blobs = [blob.digest for blob in (manifest.config, *manifest.layers)]
    here.hold(*blobs)
    return all(map(here.has, blobs)) and all(map(here.store.snapshots.has, record.chain_ids))


def _fetch(
    there: RegistryPlace,
    here: StorePlace,
    reference: Reference,
    platform: Platform,
    transfer: Transfer,
) -> tuple[ImageRecord, str]:
    """Copy an image into the store; return its record and its name's digest."""
    target = _chosen(there, reference, platform)
    kind = target.images[0].manifest.config.media_type
    if kind not in _CONFIG_TYPES:
        raise UnsupportedError(
            f"{reference.familiar} is not a container image: {kind[:100]}",
            capability="artifacts that are not images",
            hint="use a tool for that kind of artifact",
        )
    digest = target.document.digest
    target = replace(target, names=(_target_name(reference, digest),))
    [copied] = copy(there, here, [target], transfer)
    return here.record(copied.images[0]), digest


def _chosen(there: RegistryPlace, reference: Reference, platform: Platform) -> Target:
    """Return the registry's image under a name for a platform."""
    document = _document(there, reference)
    target = choose(there, document, platform, reference.familiar)
    if target is not None:
        return target
    index = parse_manifest(document)
    assert isinstance(index, Index)  # choose() found it, or the document is a manifest
    offered = sorted({str(entry.platform) for entry in index.manifests if entry.platform})
    raise ImageNotFoundError(
        f"{reference.familiar} has no image for {platform}",
        hint=f"it is available for {', '.join(offered)}" if offered else "",
    )


def _document(there: RegistryPlace, reference: Reference) -> RawDocument:
    """Return the manifest or index of a name; an error's hint names other ways to get it."""
    try:
        return there.find(reference.digest or reference.tag or "latest")
    except (RegistryError, NotFoundError) as error:
        here = bootstrap_hint(reference)
        silent = isinstance(error, RegistryError) and not error.status
        if silent and reference.registry == DEFAULT_REGISTRY:
            here = here or "; ".join(filter(None, (error.hint, OFFLINE)))
        error.hint = here or error.hint
        raise


def fetch(
    context: EngineContext, registry: str, repository: str, blob: Descriptor, *, cancel: CancelToken
) -> None:
    """Fetch one blob from a registry into the store."""
    transfer = Transfer(discard, cancel)
    reference = Reference(registry, repository)
    with (
        open_repository(context, reference, transfer) as there,
        open_store(context, transfer) as here,
    ):
        here.write(blob, there, ignore_progress)


def push(
    context: EngineContext,
    target: Target,
    reference: Reference,
    *,
    compression: Compression | None = None,
    emit: EventSink,
    cancel: CancelToken,
) -> str:
    """Push an image, or all images of an index, to ``reference``; return its digest there.

    With ``compression``, layers stored in another one are recompressed during the push, and the
    registry gets matching manifests.
    """
    transfer = Transfer(emit, cancel)
    with ExitStack() as stack:
        here = stack.enter_context(open_store(context, transfer))
        recompression = None
        if compression is not None:
            from jupyter_containers.engine.images.recompression import Recompression

            recompression = Recompression(context.store, here.lease, compression)
        there = stack.enter_context(
            open_repository(context, reference, transfer, push=True, recompression=recompression)
        )
        [sent] = copy(here, there, [replace(target, names=(reference,))], transfer)
    context.journal.record("image", "push", reference.familiar, {"name": reference.familiar_name})
    return sent.document.digest
