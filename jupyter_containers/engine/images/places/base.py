"""The protocol of places, which images are read from and written to.

A *source* finds documents by name and returns manifests and blobs by descriptor.  A *destination*
takes blobs, manifests and, last of all, names; a *place* is both.  The implementations are
:class:`~.store.StorePlace`, :class:`~.registry.RegistryPlace`, :class:`~.layout.LayoutPlace` and an
archive (:class:`~.archive.ArchiveReader`, :class:`~.archive.ArchiveWriter`);
:func:`jupyter_containers.engine.images.copy.copy` copies images between any two of them.

The order makes a copy safe: first blobs, then the manifests that name them, then the names.  An
interrupted copy leaves only unreferenced blobs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import BinaryIO, Literal, Protocol

import msgspec

from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Descriptor, Platform, RawDocument
from jupyter_containers.oci.image import Manifest
from jupyter_containers.oci.reference import Reference

# The annotation with the file name of a layer without a manifest (image-spec, annotations.md).
TITLE = "org.opencontainers.image.title"
Outcome = Literal["exists", "mounted", "uploaded"]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its manifest as bytes and parsed.

    ``document`` is None if the source has no manifest (an archive of Docker's): ``manifest`` then
    lists the layers as stored there, and the store creates the real manifest.
    """

    manifest: Manifest
    document: RawDocument | None
    platform: Platform | None = None

    @property
    def digest(self) -> str:
        """The key of this image among those of its source."""
        return self.document.digest if self.document else self.manifest.config.digest

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The layers and the configuration, each once."""
        unique = {blob.digest: blob for blob in (*self.manifest.layers, self.manifest.config)}
        return tuple(unique.values())


@dataclass(frozen=True, slots=True)
class Target:
    """The target of names: one image, or images that an index joins.

    A copy for one platform has only one of the index's images.  ``annotations`` are those of the
    entry in a layout's index.
    """

    images: tuple[Image, ...]
    names: tuple[Reference, ...] = ()
    index: RawDocument | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> RawDocument:
        """The index, or the manifest of the one image."""
        document = self.index or self.images[0].document
        assert document is not None  # a destination creates the missing manifest
        return document

    @property
    def entry(self) -> Descriptor:
        """The entry of the target in a layout's index."""
        platform = None if self.index else self.images[0].platform
        return msgspec.structs.replace(
            self.document.descriptor, platform=platform, annotations=dict(self.annotations)
        )


@dataclass(frozen=True, slots=True)
class Home:
    """A repository of a registry."""

    registry: str
    repository: str


@dataclass(frozen=True, slots=True)
class Words:
    """Texts for reports on a source's layers on their way into the store.

    ``verifying`` and ``arrived`` may be empty; ``counted`` begins the message about a manifest and
    a configuration that disagree.
    """

    arriving: str = "Loading"
    verifying: str = ""
    arrived: str = ""
    done: str = "Loaded"
    counted: str = "the archive has"


@dataclass(frozen=True, slots=True)
class Facts:
    """The properties of a source.

    ``home`` is the repository if the source is one: other repositories may mount blobs from it.
    The blobs of a ``verified`` source are known to match their digests.  A source that ``streams``
    can only be read sequentially: it has no :meth:`Source.file`.
    """

    words: Words = Words()
    verified: bool = False
    streams: bool = False
    home: Home | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """Progress reports and cancellation of a copy."""

    emit: EventSink
    cancel: CancelToken


class Pieces(Protocol):
    """The bytes of a blob from ``offset`` on; iterate once."""

    @property
    def offset(self) -> int:
        """The position of the first byte; 0 if the source cannot start where requested."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


class Source(Protocol):
    """A source of images; usable from several threads."""

    @property
    def facts(self) -> Facts:
        """The properties of this source."""
        ...

    def find(self, name: str) -> RawDocument:
        """Return the manifest or index with this name or digest.

        Raises :class:`~jupyter_containers.errors.NotFoundError`.
        """
        ...

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return the manifest or index of a descriptor, verified."""
        ...

    def has(self, digest: str) -> bool:
        """Return whether the complete blob is stored here."""
        ...

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Return a blob's bytes, from ``offset`` on if possible; they are not verified here."""
        ...

    def file(self, blob: Descriptor) -> BinaryIO:
        """Return a blob as a new file with random access."""
        ...

    def hold(self, *digests: str) -> None:
        """Protect blobs, present or future, from removal until the place is closed."""
        ...


class Destination(Protocol):
    """A destination of images."""

    @property
    def workers(self) -> int:
        """The number of blobs that may be written in parallel."""
        ...

    def has(self, digest: str) -> bool:
        """Return whether the complete blob is stored here."""
        ...

    def hold(self, *digests: str) -> None:
        """Protect blobs, present or future, from removal until the place is closed."""
        ...

    def expect(self, targets: Sequence[Target]) -> None:
        """Prepare for all targets, before the first blob is written."""
        ...

    def write(self, blob: Descriptor, source: Source, progress: Progress) -> Outcome:
        """Store a blob: completely and verified, or not at all.

        ``progress`` is called with the number of bytes written so far.
        """
        ...

    def receive(self, image: Image, source: Source, transfer: Transfer) -> Image:
        """Store an image's blobs and report progress; return the image as stored here."""
        ...

    def put(self, document: RawDocument) -> None:
        """Store a manifest or index by its digest; its references are stored already."""
        ...

    def tag(self, target: Target) -> None:
        """Store a target's document and set its names; without names, as :meth:`put`."""
        ...


class Place(Source, Destination, Protocol):
    """A source and a destination."""


def ignore_progress(done: int) -> None:
    """Ignore the progress."""
