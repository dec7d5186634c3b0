"""Images between a registry and the store: pull and push.

A pull resolves the name, walks index → manifest → config, then downloads, verifies and unpacks
the layers as one pipeline (:mod:`.intake`).  Documents and blobs are kept exactly as received.
The image's record is written last, so an interrupted pull leaves verified blobs (found again by
the next pull) and no image.  OCI Distribution Specification 1.1, "Pull" and "Push".
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from jupyter_containers.engine.context import Rooms
from jupyter_containers.engine.images.intake import Arrival, announce, arrivals, take_in, told
from jupyter_containers.engine.images.rate_limits import note
from jupyter_containers.engine.images.recipes import OFFLINE, bootstrap_hint
from jupyter_containers.engine.work import in_parallel
from jupyter_containers.errors import (
    ImageNotFoundError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
    VerificationError,
)
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    Outcome,
    TaskFinished,
    TaskProgress,
    TaskStarted,
    discard,
)
from jupyter_containers.oci.descriptor import (
    CONFIG,
    DOCKER_CONFIG,
    MANIFEST,
    Descriptor,
    Platform,
    RawDocument,
    chain_id,
    encode_json,
    short_id,
)
from jupyter_containers.oci.image import (
    ImageConfig,
    Index,
    Manifest,
    new_manifest,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import DEFAULT_REGISTRY, Reference
from jupyter_containers.store import ImageRecord, Ingest, Lease

if TYPE_CHECKING:
    from jupyter_containers.engine.images.recompression import Compression
    from jupyter_containers.registry import RegistryClient

# Old builders wrote the configuration's type as that of any bytes; Docker takes it too.
_CONFIG_TYPES = (CONFIG, DOCKER_CONFIG, "application/octet-stream")


@dataclass(frozen=True, slots=True)
class Job:
    """One transfer: what to talk to, where progress goes, and how to stop it."""

    rooms: Rooms
    client: RegistryClient
    repository: str
    emit: EventSink
    cancel: CancelToken


def pauses(emit: EventSink) -> Callable[[str, float], None]:
    """Return what tells people of a pause before a registry is asked again."""

    def told_of(host: str, seconds: float) -> None:
        task = f"pause of {host}"
        emit(TaskStarted(task, f"{host} is asked again in {seconds:.0f} s"))
        emit(TaskFinished(task, "done"))

    return told_of


def pull(
    rooms: Rooms,
    reference: Reference,
    platform: Platform,
    *,
    emit: EventSink,
    cancel: CancelToken,
) -> ImageRecord:
    """Fetch an image for ``platform`` into the store, name it, and return its record.

    Where the image is here already, one HEAD tells whether its tag still means it, and a digest
    needs no request at all.  Raises :class:`ImageNotFoundError` when the registry does not have it
    (or not for the platform), other :class:`RegistryError` and :class:`VerificationError` as they
    happen.
    """
    with (
        rooms.registry(
            reference.registry,
            cancel=cancel,
            repository=reference.repository,
            on_wait=pauses(emit),
        ) as client,
        rooms.store.leases.hold() as lease,
    ):
        job = Job(rooms, client, reference.repository, emit, cancel)
        title, started = reference.familiar, time.monotonic()
        emit(TaskStarted(title, f"pull {title}"))
        words = "Image is up to date"
        with told(emit, title, reason=False):
            record, target = _up_to_date(job, reference, platform, lease)
            if record is None:
                words = "Downloaded newer image"
                record, target = _fetch(job, reference, platform, lease)
        rooms.store.put_image(record, [str(_named(reference, target))], target)
        outcome: Outcome = "done" if words.startswith("Down") else "exists"
        seconds = time.monotonic() - started
        emit(TaskFinished(title, outcome, f"{words} · {target[:19]}", seconds))
        if left := note(rooms.store, client.registry, client.rate_limit):
            emit(TaskStarted(left, f"{client.registry}: {left}"))
            emit(TaskFinished(left, "done"))
    rooms.journal.record("image", "pull", title, {"name": reference.familiar_name})
    return record


def _named(reference: Reference, target: str) -> Reference:
    if reference.tag:
        return Reference(reference.registry, reference.repository, reference.tag)
    return reference.with_digest(target)


def _up_to_date(
    job: Job, reference: Reference, platform: Platform, lease: Lease
) -> tuple[ImageRecord | None, str]:
    """Return the image that is here, with what its name means, when the registry has no newer."""
    store = job.rooms.store
    entry = store.records.get_name(str(reference.with_tag(reference.tag or "latest")))
    if reference.digest:
        entry = store.records.get_name(str(reference.with_digest(reference.digest)))
    record = store.records.get_image(entry.manifest_digest) if entry else None
    if entry is None or record is None or platform.match_score(record.platform) == 0:
        return None, ""
    lease.add(entry.target_digest, record.manifest.digest, *record.chain_ids)
    if not _is_whole(job.rooms, record, lease):
        return None, ""
    if reference.digest:
        return record, entry.target_digest
    told = job.client.resolve(job.repository, reference.tag or "latest")
    return (record, told.digest) if told.digest == entry.target_digest else (None, "")


def _is_whole(rooms: Rooms, record: ImageRecord, lease: Lease) -> bool:
    """Return whether everything of an image is here, and stays so for as long as the lease."""
    content, snapshots = rooms.store.content, rooms.store.snapshots
    if not content.has(record.manifest.digest):
        return False
    manifest = parse_manifest(
        RawDocument(content.read(record.manifest.digest), record.manifest.media_type)
    )
    if not isinstance(manifest, Manifest):
        return False
    blobs = [blob.digest for blob in (manifest.config, *manifest.layers)]
    lease.add(*blobs)
    return all(content.has(digest) for digest in blobs) and all(
        snapshots.has(chain) for chain in record.chain_ids
    )


def _fetch(
    job: Job, reference: Reference, platform: Platform, lease: Lease
) -> tuple[ImageRecord, str]:
    """Bring an image here; return its record and the digest of what its name means."""
    rooms = job.rooms
    target, document, manifest = _fetch_documents(job, reference, platform, lease)
    blobs = (manifest.config, *manifest.layers)
    lease.add(target.digest, document.digest, *(blob.digest for blob in blobs))
    if manifest.config.media_type not in _CONFIG_TYPES:
        raise UnsupportedError(
            f"{reference.familiar} is no container image: {manifest.config.media_type[:100]}",
            capability="artifacts of other kinds than images",
            hint="a tool made for that kind of artifact can fetch it",
        )
    missing = {blob.digest: blob.size for blob in blobs if not rooms.store.content.has(blob.digest)}
    rooms.quotas.check_disk(rooms, sum(missing.values()))
    download(job, manifest.config)
    config = parse_image_config(rooms.store.content.read(manifest.config.digest))
    _check_layers(manifest, config)
    take_in(
        rooms,
        arrivals(manifest.layers, config.rootfs.diff_ids),
        lambda layer: _receive(job, layer),
        words="Pull complete",
        lease=lease,
        emit=job.emit,
        cancel=job.cancel,
    )
    return image_record(rooms, document, manifest, config, target), target.digest


def _fetch_documents(
    job: Job, reference: Reference, platform: Platform, lease: Lease
) -> tuple[Descriptor, RawDocument, Manifest]:
    wanted = reference.digest or reference.tag or "latest"
    try:
        document = job.client.manifest(job.repository, wanted)
    except (RegistryError, NotFoundError) as error:
        here = bootstrap_hint(reference)
        silent = isinstance(error, RegistryError) and not error.status
        if silent and reference.registry == DEFAULT_REGISTRY:
            here = here or "; ".join(filter(None, (error.hint, OFFLINE)))
        error.hint = here or error.hint
        raise
    content = job.rooms.store.content
    target = content.put(document.data, document.media_type, lease)
    parsed = parse_manifest(document)
    if isinstance(parsed, Index):
        chosen = parsed.select(platform)
        if chosen is None:
            offered = sorted({str(entry.platform) for entry in parsed.manifests if entry.platform})
            raise ImageNotFoundError(
                f"{reference.familiar} has no image for {platform}",
                hint=f"it is offered for {', '.join(offered)}" if offered else "",
            )
        document = job.client.manifest(job.repository, chosen.digest)
        content.put(document.data, document.media_type, lease)
        parsed = parse_manifest(document)
    if not isinstance(parsed, Manifest):
        raise VerificationError(f"{reference.familiar}: an index inside an index")
    return target, document, parsed


def _check_layers(manifest: Manifest, config: ImageConfig) -> None:
    if len(manifest.layers) != len(config.rootfs.diff_ids):
        raise VerificationError(
            f"the manifest lists {len(manifest.layers)} layers, "
            f"the configuration {len(config.rootfs.diff_ids)}"
        )


def _receive(job: Job, layer: Arrival) -> None:
    """Bring a layer's blob into the store; it can be unpacked while it arrives."""
    content, blob = job.rooms.store.content, layer.blob
    with _ingest(job, blob) as (ingest, pieces):
        if ingest.present:
            layer.offer(lambda: content.open(blob.digest))
        else:
            layer.offer(ingest.follow)
        for chunk in pieces:
            ingest.write(chunk)
            job.emit(TaskProgress(layer.task, ingest.offset, blob.size, "Downloading"))
        job.emit(TaskProgress(layer.task, ingest.offset, blob.size, "Verifying"))
        ingest.commit()
    _remember(job, blob)
    job.emit(TaskProgress(layer.task, blob.size, blob.size, "Download complete"))
    layer.settle(blob)


def download(job: Job, blob: Descriptor) -> None:
    """Bring a blob into the store."""
    with _ingest(job, blob) as (ingest, pieces):
        for chunk in pieces:
            ingest.write(chunk)
        ingest.commit()
    _remember(job, blob)


@contextmanager
def _ingest(job: Job, blob: Descriptor) -> Iterator[tuple[Ingest, Iterable[bytes]]]:
    """Yield where a blob goes and what is missing of it: an earlier download is continued."""
    with job.rooms.store.content.ingest(blob, cancel=job.cancel) as ingest:
        if ingest.present:
            yield ingest, ()
            return
        with job.client.blob(job.repository, blob, offset=ingest.offset, cancel=job.cancel) as body:
            if body.offset != ingest.offset:
                ingest.restart()
            yield ingest, body


def fetch(
    rooms: Rooms, registry: str, repository: str, blob: Descriptor, *, cancel: CancelToken
) -> None:
    """Bring one blob from a registry into the store."""
    with rooms.registry(registry, cancel=cancel, repository=repository) as client:
        download(Job(rooms, client, repository, discard, cancel), blob)


def _remember(job: Job, blob: Descriptor) -> None:
    source = (job.client.registry, job.repository)
    job.rooms.store.records.remember_blob_source(blob.digest, *source)


def image_record(
    rooms: Rooms,
    document: RawDocument,
    manifest: Manifest,
    config: ImageConfig,
    target: Descriptor | None = None,
) -> ImageRecord:
    """Return the record of an image whose blobs and layers are all in the store.

    Without a ``target`` it stays in the index of which it is known to be.
    """
    diff_ids, snapshots = config.rootfs.diff_ids, rooms.store.snapshots
    known = rooms.store.records.get_image(document.digest) if target is None else None
    index = known.index_digest if known else target.digest if target else ""
    chains = tuple(chain_id(diff_ids[: depth + 1]) for depth in range(len(diff_ids)))
    return ImageRecord(
        manifest=document.descriptor,
        config_digest=manifest.config.digest,
        platform=config.platform,
        created=config.created,
        size=sum(snapshots.usage(chain) for chain in chains),
        diff_ids=diff_ids,
        chain_ids=chains,
        index_digest=index if index != document.digest else "",
        labels=config.config.labels,
    )


def push(
    rooms: Rooms,
    record: ImageRecord,
    reference: Reference,
    *,
    compression: Compression | None = None,
    emit: EventSink,
    cancel: CancelToken,
) -> str:
    """Send an image to ``reference``; return the digest under which the registry keeps it."""
    sent = send(rooms, record, reference, compression=compression, emit=emit, cancel=cancel)
    note_push(rooms, reference)
    return sent.digest


def note_push(rooms: Rooms, reference: Reference) -> None:
    """Write down that a name was pushed."""
    rooms.journal.record("image", "push", reference.familiar, {"name": reference.familiar_name})


def send(
    rooms: Rooms,
    record: ImageRecord,
    reference: Reference,
    *,
    compression: Compression | None,
    emit: EventSink,
    cancel: CancelToken,
) -> RawDocument:
    """Send an image to ``reference``; return its manifest there.

    With ``compression`` layers that are stored in another one are compressed anew on the way, and
    the registry gets a manifest of its own.
    """
    content = rooms.store.content
    document = RawDocument(content.read(record.manifest.digest), record.manifest.media_type)
    manifest = parse_manifest(document)
    assert isinstance(manifest, Manifest)  # only manifests are recorded as images
    with (
        rooms.registry(
            reference.registry,
            cancel=cancel,
            repository=reference.repository,
            push=True,
            on_wait=pauses(emit),
        ) as client,
        rooms.store.leases.hold() as lease,
    ):
        unique = {blob.digest: blob for blob in (*manifest.layers, manifest.config)}
        blobs = list(unique.values())
        lease.add(document.digest, *(blob.digest for blob in blobs))
        job = Job(rooms, client, reference.repository, emit, cancel)
        if compression is not None:
            document = _push_compressed(job, record, manifest, document, compression, lease)
        else:
            announce(blobs, emit)
            in_parallel(
                lambda blob: upload(job, blob, announced=True),
                blobs,
                workers=rooms.settings.max_concurrent_downloads,
                cancel=cancel,
            )
        client.push_manifest(reference.repository, reference.tag or document.digest, document)
    return document


def _push_compressed(
    job: Job,
    record: ImageRecord,
    manifest: Manifest,
    document: RawDocument,
    compression: Compression,
    lease: Lease,
) -> RawDocument:
    """Send the layers in one compression; return the manifest that fits them."""
    from jupyter_containers.engine.images.recompression import push_layer

    upload(job, manifest.config)
    layers = in_parallel(
        lambda pair: push_layer(job, *pair, compression, lease),
        zip(manifest.layers, record.diff_ids, strict=True),
        workers=job.rooms.settings.max_concurrent_downloads,
        cancel=job.cancel,
    )
    if tuple(layers) == manifest.layers:
        return document
    config = Descriptor(CONFIG, manifest.config.digest, manifest.config.size)
    changed = new_manifest(config, tuple(layers))
    return RawDocument(encode_json(changed), MANIFEST)


def upload(job: Job, blob: Descriptor, *, announced: bool = False) -> None:
    """Send a blob of the store, or find that the registry has it."""
    if not announced:
        announce([blob], job.emit)
    task = short_id(blob.digest)
    with told(job.emit, task):
        _upload(job, blob, task)


def _upload(job: Job, blob: Descriptor, task: str) -> None:
    store, started = job.rooms.store, time.monotonic()
    known = [
        repository
        for registry, repository in store.records.blob_sources(blob.digest)
        if registry == job.client.registry and repository != job.repository
    ]
    outcome = job.client.push_blob(
        job.repository,
        blob,
        lambda: store.content.open(blob.digest),
        mount_from=known,
        progress=lambda sent: job.emit(TaskProgress(task, sent, blob.size, "Pushing")),
        cancel=job.cancel,
    )
    store.records.remember_blob_source(blob.digest, job.client.registry, job.repository)
    words = {"exists": "Layer already exists", "mounted": "Mounted", "uploaded": "Pushed"}
    job.emit(
        TaskFinished(
            task,
            "exists" if outcome == "exists" else "done",
            words[outcome],
            time.monotonic() - started,
        )
    )
