"""What a place is: somewhere that images are read from and written to.

A *source* finds documents by name and gives manifests and blobs by descriptor.  A *destination*
takes blobs, manifests and, last of all, names; a *place* is both.  The four are
:class:`~.store.StorePlace`, :class:`~.registry.RegistryPlace`, :class:`~.layout.LayoutPlace` and an
archive (:class:`~.archive.ArchiveReader`, :class:`~.archive.ArchiveWriter`);
:func:`jupyter_containers.engine.images.copy.copy` moves images between any two of them.

The order that makes a copy safe: blobs, then the manifests that name them, then the names.
What ends early leaves blobs that nothing names.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import BinaryIO, Literal, Protocol

import msgspec

from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.oci.descriptor import Descriptor, Platform, RawDocument
from jupyter_containers.oci.image import Manifest
from jupyter_containers.oci.reference import Reference

# By which a layer of an image without a manifest names its file (image-spec, annotations.md).
TITLE = "org.opencontainers.image.title"
Outcome = Literal["exists", "mounted", "uploaded"]
Progress = Callable[[int], None]


@dataclass(frozen=True, slots=True)
class Image:
    """One image: its manifest as bytes and parsed.

    ``document`` is None where the source has no manifest (an archive of Docker's): ``manifest``
    then lists the layers as they are there, and the store makes the real one.
    """

    manifest: Manifest
    document: RawDocument | None
    platform: Platform | None = None

    @property
    def digest(self) -> str:
        """What tells this image from others of its source."""
        return self.document.digest if self.document else self.manifest.config.digest

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """The layers and the configuration, each once."""
        unique = {blob.digest: blob for blob in (*self.manifest.layers, self.manifest.config)}
        return tuple(unique.values())


@dataclass(frozen=True, slots=True)
class Target:
    """What names mean: one image, or images that an index joins.

    A copy for one platform has one of the index's images only.  ``annotations`` are those of the
    entry by which a layout lists it.
    """

    images: tuple[Image, ...]
    names: tuple[Reference, ...] = ()
    index: RawDocument | None = None
    annotations: Mapping[str, str] = field(default_factory=dict)

    @property
    def document(self) -> RawDocument:
        """The index, or the manifest of the one image."""
        document = self.index or self.images[0].document
        assert document is not None  # a destination makes what the source had not
        return document

    @property
    def entry(self) -> Descriptor:
        """How a layout's index lists it."""
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
    """How a source's layers are reported on their way into the store.

    ``verifying`` and ``arrived`` may be empty; ``counted`` begins the complaint about a manifest
    and a configuration that do not agree.
    """

    arriving: str = "Loading"
    verifying: str = ""
    arrived: str = ""
    done: str = "Loaded"
    counted: str = "the archive has"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a source is like.

    ``home`` is the repository, where the source is one: others may mount blobs from it.  Blobs of
    a ``verified`` source are known to be what their digests say.  One that ``streams`` is read from
    the front only: it has no :meth:`Source.file`.
    """

    words: Words = Words()
    verified: bool = False
    streams: bool = False
    home: Home | None = None


@dataclass(frozen=True, slots=True)
class Transfer:
    """How a copy is reported and stopped."""

    emit: EventSink
    cancel: CancelToken


class Pieces(Protocol):
    """The bytes of a blob from ``offset`` on, to be iterated once."""

    @property
    def offset(self) -> int:
        """Where the bytes begin; 0 where the source cannot begin where it was asked to."""
        ...

    def __iter__(self) -> Iterator[bytes]: ...


class Source(Protocol):
    """Where images are read from; usable from several threads."""

    @property
    def facts(self) -> Facts:
        """What this source is like."""
        ...

    def find(self, name: str) -> RawDocument:
        """Return the manifest or index of a name or digest.

        Raises :class:`~jupyter_containers.errors.NotFoundError`.
        """
        ...

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return the manifest or index that a descriptor means, verified."""
        ...

    def has(self, digest: str) -> bool:
        """Return whether a blob is here, whole."""
        ...

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Give a blob's bytes, from ``offset`` on if possible; they are not verified here."""
        ...

    def file(self, blob: Descriptor) -> BinaryIO:
        """Return a blob as a file that can be read at any place; a new one with each call."""
        ...

    def hold(self, *digests: str) -> None:
        """Keep blobs from being removed, now or when they come, until the place is closed."""
        ...


class Destination(Protocol):
    """Where images are written to."""

    @property
    def workers(self) -> int:
        """How many blobs may be written at once."""
        ...

    def has(self, digest: str) -> bool:
        """Return whether a blob is here, whole."""
        ...

    def hold(self, *digests: str) -> None:
        """Keep blobs from being removed, now or when they come, until the place is closed."""
        ...

    def expect(self, targets: Sequence[Target]) -> None:
        """Learn all that will come, before the first of it does."""
        ...

    def write(self, blob: Descriptor, source: Source, progress: Progress) -> Outcome:
        """Make a blob be here: whole and verified, or not at all.

        ``progress`` gets the bytes so far.
        """
        ...

    def receive(self, image: Image, source: Source, transfer: Transfer) -> Image:
        """Make an image's blobs be here, and report it; return the image as it is here."""
        ...

    def put(self, document: RawDocument) -> None:
        """Keep a manifest or index by its digest; what it names is here already."""
        ...

    def tag(self, target: Target) -> None:
        """Keep what names mean, and let them mean it; without a name, as :meth:`put` does."""
        ...


class Place(Source, Destination, Protocol):
    """A source and a destination."""


def ignore_progress(done: int) -> None:
    """Take note of nothing."""
