"""A repository of a registry as a place.

A blob that the registry has in another repository is mounted instead of uploaded: from the source,
if that is a repository of the same registry, and from the repositories in the *ledger* (the store's
record of the locations of blobs).  A failed upload is repeated, so it reads its blob as a file;
blobs of a streaming source must first be stored (:class:`~.store.ThroughStore`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, BinaryIO, Protocol

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.intake import announce, reporting_failure
from jupyter_containers.engine.images.places.base import (
    Facts,
    Home,
    Image,
    Outcome,
    Pieces,
    Progress,
    Source,
    Target,
    Transfer,
    Words,
)
from jupyter_containers.engine.work import in_parallel
from jupyter_containers.errors import UnsupportedError
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.events import Outcome as TaskOutcome
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import Descriptor, RawDocument, short_id
from jupyter_containers.oci.reference import Reference

if TYPE_CHECKING:
    from jupyter_containers.engine.images.recompression import Recompression
    from jupyter_containers.registry import RegistryClient

_ENDS: dict[Outcome, str] = {
    "exists": "Layer already exists",
    "mounted": "Mounted",
    "uploaded": "Pushed",
}
_PULLING = Words(
    "Downloading", "Verifying", "Download complete", "Pull complete", "the manifest lists"
)


class Ledger(Protocol):
    """The known locations of blobs: (registry, repository) pairs by digest."""

    def blob_sources(self, digest: str) -> list[tuple[str, str]]:
        """Return the repositories known to have a blob."""

    def remember_blob_source(self, digest: str, registry: str, repository: str) -> None:
        """Record that a repository has a blob."""


@dataclass(frozen=True, slots=True)
class RegistryPlace:
    """A repository; ``recompression`` recompresses layers for it, None keeps them.

    Credentials and ``insecure`` are those of the client.
    """

    client: RegistryClient
    repository: str
    ledger: Ledger
    cancel: CancelToken
    workers: int = 3
    recompression: Recompression | None = None

    @property
    def home(self) -> Home:
        """This repository."""
        return Home(self.client.registry, self.repository)

    @property
    def facts(self) -> Facts:
        """The properties of this source."""
        return Facts(_PULLING, streams=True, home=self.home)

    def find(self, name: str) -> RawDocument:
        """Return the manifest or index of a tag or digest."""
        return self.client.manifest(self.repository, name)

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return the manifest or index of a descriptor."""
        return self.client.manifest(self.repository, target.digest)

    def has(self, digest: str) -> bool:
        """Return whether the repository has a blob."""
        return self.client.has_blob(self.repository, digest)

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Return a blob's bytes; interrupted downloads are resumed."""
        return self.client.blob(self.repository, blob, offset=offset, cancel=self.cancel)

    def file(self, blob: Descriptor) -> BinaryIO:
        """Raise: a registry has no files."""
        raise UnsupportedError(
            f"blob {blob.digest} of a registry can only be read sequentially",
            capability="random access to a registry's blobs",
        )

    def hold(self, *digests: str) -> None:
        """Do nothing: a registry decides for itself what to keep."""

    def expect(self, targets: Sequence[Target]) -> None:
        """Do nothing: a registry needs no announcement."""

    def write(self, blob: Descriptor, source: Source, progress: Progress) -> Outcome:
        """Store a blob: find it here, mount it, or upload it.

        Raises :class:`~jupyter_containers.errors.RegistryError`,
        :class:`~jupyter_containers.errors.DigestMismatchError` (the registry received other bytes).
        """
        known = [
            repository
            for registry, repository in self.ledger.blob_sources(blob.digest)
            if registry == self.client.registry and repository != self.repository
        ]
        outcome = self._mount_or_fetch(blob, source) or self.client.push_blob(
            self.repository,
            blob,
            lambda: source.file(blob),
            mount_from=known,
            progress=progress,
            cancel=self.cancel,
        )
        self.ledger.remember_blob_source(blob.digest, self.client.registry, self.repository)
        return outcome

    def _mount_or_fetch(self, blob: Descriptor, source: Source) -> Outcome | None:
        """Find or mount a blob of another repository without its bytes; else fetch it, return None.

        If the source is a repository, its blob may not be on this machine.
        """
        home = source.facts.home
        if home is None:
            return None
        if self.has(blob.digest):
            return "exists"
        if home.registry == self.client.registry and self.client.mount_blob(
            self.repository, blob.digest, home.repository
        ):
            return "mounted"
        source.file(blob).close()  # an upload must not wait for a download
        return None

    def receive(self, image: Image, source: Source, transfer: Transfer) -> Image:
        """Store an image's blobs in the repository, several in parallel."""
        if self.recompression is not None:
            return self.recompression.send(image, source, self, transfer)
        self.send(image.blobs, source, transfer)
        return image

    def send(self, blobs: Sequence[Descriptor], source: Source, transfer: Transfer) -> None:
        """Write blobs, several in parallel, reporting all of them from the beginning."""
        announce(blobs, transfer.emit)
        in_parallel(
            lambda blob: self._send(blob, source, transfer),
            blobs,
            workers=self.workers,
            cancel=transfer.cancel,
        )

    def _send(self, blob: Descriptor, source: Source, transfer: Transfer) -> None:
        task, started = short_id(blob.digest), time.monotonic()

        def progress(done: int) -> None:
            transfer.emit(TaskProgress(task, done, blob.size, "Pushing"))

        with reporting_failure(transfer.emit, task):
            outcome = self.write(blob, source, progress)
        seconds = time.monotonic() - started
        state: TaskOutcome = "exists" if outcome == "exists" else "done"
        transfer.emit(TaskFinished(task, state, _ENDS[outcome], seconds))

    def put(self, document: RawDocument) -> None:
        """Store a manifest or index by its digest."""
        self.client.push_manifest(self.repository, document.digest, document)

    def tag(self, target: Target) -> None:
        """Store a manifest or index under the tags of its names, or by its digest."""
        document = target.document
        tags = dict.fromkeys(name.tag for name in target.names if name.tag)
        for reference in tags or (document.digest,):
            self.client.push_manifest(self.repository, reference, document)


def pauses(emit: EventSink) -> Callable[[str, float], None]:
    """Return a function that reports the pause before a registry is retried."""

    def paused(host: str, seconds: float) -> None:
        task = f"pause of {host}"
        emit(TaskStarted(task, f"{host} is retried in {seconds:.0f} s"))
        emit(TaskFinished(task, "done"))

    return paused


@contextmanager
def open_repository(
    context: EngineContext,
    reference: Reference,
    transfer: Transfer,
    *,
    push: bool = False,
    insecure: bool = False,
    recompression: Recompression | None = None,
) -> Iterator[RegistryPlace]:
    """Yield the repository of a reference; ``push`` opens it for writing."""
    with context.registry(
        reference.registry,
        cancel=transfer.cancel,
        repository=reference.repository,
        push=push,
        insecure=insecure,
        on_wait=pauses(transfer.emit),
    ) as client:
        yield RegistryPlace(
            client,
            reference.repository,
            context.store.records,
            transfer.cancel,
            context.settings.max_concurrent_downloads,
            recompression,
        )
