"""Manifest lists, which combine images for several platforms (``manifest create``).

A *draft* is kept in the store until it is pushed: a name and its *entries*, each a reference to an
image's manifest with its platform.  A push brings every entry's manifest and blobs into the list's
repository (by mounting if the registry can, else by copying) and then the list itself.  OCI Image
Specification 1.1, image-index.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.copy import copy, image_of
from jupyter_containers.engine.images.places.base import Target, Transfer
from jupyter_containers.engine.images.places.registry import RegistryPlace, open_repository
from jupyter_containers.engine.images.places.store import StorePlace, ThroughStore, open_store
from jupyter_containers.errors import (
    AlreadyExistsError,
    ImageNotFoundError,
    NotFoundError,
    VerificationError,
)
from jupyter_containers.events import CancelToken, EventSink, TaskFinished, TaskStarted
from jupyter_containers.lazy_dataclasses import replace as changed
from jupyter_containers.oci.descriptor import (
    DOCKER_LIST,
    DOCKER_MANIFEST,
    INDEX,
    Descriptor,
    Platform,
    RawDocument,
    encode_json,
)
from jupyter_containers.oci.image import (
    Index,
    Manifest,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import Reference

if TYPE_CHECKING:
    from jupyter_containers.engine.images.catalog import Images
    from jupyter_containers.registry import RegistryClient
    from jupyter_containers.store import Collection


class DraftEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """One image of a list; ``reference`` is its digest in a repository."""

    reference: str
    descriptor: Descriptor


class Draft(msgspec.Struct, frozen=True):
    """A list that has not been pushed yet."""

    name: str
    entries: tuple[DraftEntry, ...]

    def document(self) -> RawDocument:
        """Return the index; in Docker's format if all its images are Docker's."""
        descriptors = tuple(entry.descriptor for entry in self.entries)
        docker = all(entry.media_type == DOCKER_MANIFEST for entry in descriptors)
        kind = DOCKER_LIST if docker and descriptors else INDEX
        return RawDocument(
            encode_json(Index(schema_version=2, media_type=kind, manifests=descriptors)), kind
        )


class ManifestLists:
    """The drafts of one store, and the manifest lists of registries."""

    def __init__(self, context: EngineContext, images: Images, *, insecure: bool = False) -> None:
        self._context, self._images, self._insecure = context, images, insecure

    @property
    def _drafts(self) -> Collection[Draft]:
        return self._context.store.records.collection("manifest lists", Draft)

    def create(
        self, name: str, images: Sequence[str], *, amend: bool, cancel: CancelToken
    ) -> Draft:
        """Create a draft of images; with ``amend``, add to an existing draft.

        Raises :class:`AlreadyExistsError` for an existing draft without ``amend``.
        """
        key = str(Reference.parse(name))
        draft = self._drafts.get(key)
        if draft is not None and not amend:
            raise AlreadyExistsError(
                f"the manifest list {name} already exists", hint="add to it with --amend"
            )
        known = {entry.descriptor.digest: entry for entry in (draft.entries if draft else ())}
        for image in images:
            for entry in self._entries(image, cancel):
                known[entry.descriptor.digest] = entry
        made = Draft(key, tuple(known.values()))
        if draft is None:
            self._drafts.insert(key, None, made)
        else:
            self._drafts.replace(key, made)
        return made

    def annotate(self, name: str, image: str, **facts: Any) -> Draft:
        """Change the platform of an image in the list; empty fields stay unchanged."""
        draft = self._draft(name)
        wanted = Reference.parse(image)
        given = {key: value for key, value in facts.items() if value}
        entries, found = [], False
        for entry in draft.entries:
            if self._means(wanted, entry):
                found = True
                platform = entry.descriptor.platform or Platform("", "")
                entry = _with_platform(entry, msgspec.structs.replace(platform, **given))
            entries.append(entry)
        if not found:
            raise ImageNotFoundError(f"manifest list {name} does not hold {image}")
        made = Draft(draft.name, tuple(entries))
        self._drafts.replace(draft.name, made)
        return made

    def _means(self, wanted: Reference, entry: DraftEntry) -> bool:
        if wanted.digest:
            return wanted.digest == entry.descriptor.digest
        return entry.reference.partition("@")[0] == str(wanted)

    def inspect(self, name: str, cancel: CancelToken) -> RawDocument:
        """Return the document of a draft, or else the registry's, unchanged."""
        reference = Reference.parse(name)
        draft = self._drafts.get(str(reference))
        if draft is not None:
            return draft.document()
        with self._client(reference, cancel) as client:
            return client.manifest(
                reference.repository, reference.digest or reference.tag or "latest"
            )

    def inspect_entry(self, name: str, image: str) -> Descriptor:
        """Return the entry of an image in a draft."""
        wanted = Reference.parse(image)
        for entry in self._draft(name).entries:
            if self._means(wanted, entry):
                return entry.descriptor
        raise ImageNotFoundError(f"manifest list {name} does not hold {image}")

    def remove(self, name: str) -> None:
        """Delete a draft."""
        if not self._drafts.delete(str(Reference.parse(name))):
            raise NotFoundError(f"no manifest list {name} here")

    def push(self, name: str, *, purge: bool, emit: EventSink, cancel: CancelToken) -> str:
        """Push a draft and all its images to the registry; return its digest."""
        draft = self._draft(name)
        reference = Reference.parse(draft.name)
        transfer = Transfer(emit, cancel)
        with (
            open_store(self._context, transfer) as here,
            open_repository(
                self._context, reference, transfer, push=True, insecure=self._insecure
            ) as there,
        ):
            for entry in draft.entries:
                self._copy_entry(here, there, entry, transfer)
            target = Target((), (reference,), draft.document())
            there.tag(target)
        if purge:
            self._drafts.delete(draft.name)
        return target.document.digest

    def _copy_entry(
        self, here: StorePlace, there: RegistryPlace, entry: DraftEntry, transfer: Transfer
    ) -> None:
        """Copy an entry's image into the list's repository, by its digest."""
        reference = Reference.parse(entry.reference)
        transfer.emit(TaskStarted(entry.descriptor.digest, reference.familiar))
        with open_repository(
            self._context, reference, transfer, insecure=self._insecure
        ) as repository:
            source = ThroughStore(here, repository)
            here.hold(entry.descriptor.digest)
            image = image_of(source.manifest(entry.descriptor))
            copy(source, there, [Target((image,))], transfer)
        transfer.emit(TaskFinished(entry.descriptor.digest, "done", "Pushed"))

    def _entries(self, image: str, cancel: CancelToken) -> list[DraftEntry]:
        """Return the image, or all images of an index, as entries; the store is a fallback."""
        reference = Reference.parse(image)
        wanted = reference.digest or reference.tag or "latest"
        try:
            with self._client(reference, cancel) as client:
                document = client.manifest(reference.repository, wanted)
                parsed = parse_manifest(document)
                if isinstance(parsed, Index):
                    return [_entry(reference, each) for each in parsed.manifests]
                platform = platform_in(client, reference.repository, parsed)
        except ImageNotFoundError:
            record = self._images.lookup(image)
            if record is None:
                raise
            return [_entry(reference, changed_platform(record.manifest, record.platform))]
        return [_entry(reference, changed_platform(document.descriptor, platform))]

    def _draft(self, name: str) -> Draft:
        draft = self._drafts.get(str(Reference.parse(name)))
        if draft is None:
            raise NotFoundError(
                f"no manifest list {name} here", hint=f"create one: manifest create {name} IMAGE..."
            )
        return draft

    def _client(self, reference: Reference, cancel: CancelToken) -> RegistryClient:
        return self._context.registry(
            reference.registry,
            cancel=cancel,
            repository=reference.repository,
            insecure=self._insecure,
        )


def platform_in(client: RegistryClient, repository: str, manifest: Manifest) -> Platform:
    """Return the platform that an image's configuration names."""
    if manifest.config.size > _MAX_CONFIG:
        raise VerificationError(f"the configuration has {manifest.config.size} bytes")
    with client.blob(repository, manifest.config) as body:
        data = b"".join(body)
    if RawDocument(data, "").digest != manifest.config.digest:
        raise VerificationError(f"the configuration is not {manifest.config.digest}")
    return parse_image_config(data).platform


_MAX_CONFIG = 4 * 1024 * 1024


def changed_platform(descriptor: Descriptor, platform: Platform) -> Descriptor:
    """Return a manifest's descriptor for a list, with the platform changed."""
    return Descriptor(descriptor.media_type, descriptor.digest, descriptor.size, platform=platform)


def _entry(reference: Reference, descriptor: Descriptor) -> DraftEntry:
    where = changed(reference, digest=descriptor.digest)
    return DraftEntry(str(where), descriptor)


def _with_platform(entry: DraftEntry, platform: Platform) -> DraftEntry:
    return DraftEntry(entry.reference, msgspec.structs.replace(entry.descriptor, platform=platform))
