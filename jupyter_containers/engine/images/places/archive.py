"""An archive as a place: a tar, read with random access and written sequentially.

Two formats are read.  An *OCI image layout* (``oci-layout``, ``index.json``) is read unchanged:
manifests keep their bytes and so their digests.  A *docker-archive* (``manifest.json``) has no
manifests: the store creates them; the configuration, and so the image's ID, stays.  Written
archives are both (``docker-archive``, as by Docker since version 25), or a layout alone
(``oci-archive``).  Blobs are written unchanged, compressed layers too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from jupyter_containers.engine.images.places.base import (
    TITLE,
    Image,
    Outcome,
    Progress,
    Source,
    Target,
    Transfer,
)
from jupyter_containers.engine.images.places.blobs import checked_pieces, write_in_order
from jupyter_containers.engine.images.places.layout import (
    FULL_NAME,
    LayoutReader,
    blob_path,
    entries,
    refuse_unmade,
)
from jupyter_containers.errors import (
    ArchiveError,
    ImageNotFoundError,
    InvalidReferenceError,
    VerificationError,
)
from jupyter_containers.events import TaskFinished, TaskProgress, TaskStarted
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.descriptor import (
    CONFIG,
    DOCKER_CONFIG,
    LAYER_TAR,
    Descriptor,
    Platform,
    RawDocument,
    digest_of,
    encode_json,
)
from jupyter_containers.oci.image import (
    Index,
    Manifest,
    new_index,
    new_manifest,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store.content import LAYOUT, REF_NAME
from jupyter_containers.store.tarread import BLOCK, FILE
from jupyter_containers.store.tarwrite import END, encode_header

Format = Literal["docker-archive", "oci-archive"]
FORMATS: tuple[Format, ...] = ("docker-archive", "oci-archive")


class _Entry(msgspec.Struct, rename="pascal"):
    """One image of ``manifest.json``."""

    config: str
    layers: list[str] = []
    repo_tags: list[str] | None = None


@dataclass(frozen=True, slots=True)
class ArchiveReader(LayoutReader):
    """The files of an archive, or of a folder with the same files, as a source."""

    _paths: dict[str, str] = field(default_factory=dict)

    def path(self, blob: Descriptor) -> str:
        """Return the name of a blob's file; a docker-archive chooses its own names."""
        return self._paths.get(blob.digest) or blob_path(blob.digest)

    def targets(self, platform: Platform | None) -> list[Target]:
        """Return all images for a platform, with their names.

        Without a platform the host's is preferred.  Raises :class:`ImageNotFoundError` if there are
        images but none for the platform, :class:`ArchiveError`, :class:`VerificationError`.
        """
        docker = self._docker_entries() if self.files.has("manifest.json") else []
        if self.files.has("index.json"):
            tags: dict[str, list[str]] = {}
            for entry in docker:
                tags.setdefault(entry.config, []).extend(entry.repo_tags or ())
            return list(self._layout_targets(platform, tags))
        if docker:
            return list(self._docker_targets(docker, platform))
        if self.files.has("repositories"):
            raise ArchiveError(
                "the archive has the format of Docker before version 1.10",
                hint="load and save it once with a recent engine to convert it",
            )
        return []

    def _layout_targets(
        self, platform: Platform | None, tags: Mapping[str, Sequence[str]]
    ) -> Iterator[Target]:
        index = _parse(self.files.read("index.json"), "index.json")
        if not isinstance(index, Index):
            raise VerificationError("index.json is not an index")
        fitting, refused = 0, []
        for entry in index.manifests:
            found = self._chosen(entry, platform)
            if found is None:
                refused.append(str(entry.platform or "another platform"))
                continue
            top, document, manifest = found
            if manifest.config.media_type not in (CONFIG, DOCKER_CONFIG):
                continue  # an artifact or an attestation, not an image
            fitting += 1
            self.read(manifest.config)
            marks = entry.annotations
            names = _names([marks.get(FULL_NAME) or marks.get(REF_NAME, "")])
            names += _names(tags.get(blob_path(manifest.config.digest), []))
            image = Image(manifest, document, entry.platform if top is document else None)
            index_document = top if top is not document else None
            yield Target((image,), tuple(dict.fromkeys(names)), index_document)
        if refused and not fitting:
            raise ImageNotFoundError(
                f"the archive has no image for {platform or Platform.host()}",
                hint=f"it has {', '.join(sorted(set(refused)))}; choose with --platform",
            )

    def _chosen(
        self, entry: Descriptor, platform: Platform | None
    ) -> tuple[RawDocument, RawDocument, Manifest] | None:
        """Return an entry's document, its manifest and the parsed manifest; None if unfit."""
        top = self.manifest(entry)
        parsed = parse_manifest(top)
        if isinstance(parsed, Manifest):
            if platform and entry.platform and not platform.match_score(entry.platform):
                return None
            return top, top, parsed
        chosen = parsed.select(platform or Platform.host())
        if chosen is None and platform is None and len(parsed.manifests) == 1:
            chosen = parsed.manifests[0]
        if chosen is None:
            return None
        document = self.manifest(chosen)
        manifest = parse_manifest(document)
        if isinstance(manifest, Index):
            raise VerificationError("an index inside an index")
        return top, document, manifest

    def _docker_entries(self) -> list[_Entry]:
        try:
            return msgspec.json.decode(self.files.read("manifest.json"), type=list[_Entry])
        except DECODE_ERRORS as error:
            raise VerificationError(f"manifest.json is malformed: {error}") from error

    def _docker_targets(
        self, found: Sequence[_Entry], platform: Platform | None
    ) -> Iterator[Target]:
        for entry in found:
            data = self.files.read(entry.config)
            config = parse_image_config(data)
            if platform and not platform.match_score(config.platform):
                raise ImageNotFoundError(
                    f"the archive has no image for {platform}",
                    hint=f"it is for {config.platform}",
                )
            diff_ids = config.rootfs.diff_ids
            if len(entry.layers) != len(diff_ids):
                raise VerificationError(
                    f"the archive has {len(entry.layers)} layers, the configuration {len(diff_ids)}"
                )
            described = Descriptor(CONFIG, digest_of(data), len(data))
            self._paths[described.digest] = entry.config
            layers = tuple(map(self._unread_layer, entry.layers, diff_ids))
            manifest = new_manifest(described, layers)
            yield Target((Image(manifest, None, config.platform),), _names(entry.repo_tags or ()))

    def _unread_layer(self, name: str, diff_id: str) -> Descriptor:
        """Return the descriptor of a docker-archive's layer, as known before it is read."""
        self._paths.setdefault(diff_id, name)
        size = self.files.size(name)
        return Descriptor(LAYER_TAR, diff_id, size, annotations={TITLE: name})


def _parse(data: bytes, subject: str) -> Manifest | Index:
    try:
        return parse_manifest(RawDocument(data, ""))
    except VerificationError as error:
        raise VerificationError(f"{subject}: {error}") from error


def _names(texts: Sequence[str]) -> tuple[Reference, ...]:
    """Return the parsed names; a bare tag, which some layouts use as a name, is skipped."""
    names = []
    for text in texts:
        try:
            if "/" in text or ":" in text:
                names.append(Reference.parse(text))
        except InvalidReferenceError:
            continue
    return tuple(names)


@dataclass(frozen=True, slots=True)
class ArchiveWriter:
    """An archive written through ``put_bytes``, in a ``with`` block that completes it.

    Its index comes first, so that a reader of a pipe knows what follows.
    """

    put_bytes: Callable[[bytes], object]
    transfer: Transfer
    format: Format = "docker-archive"
    workers: int = 1
    _sizes: dict[str, int] = field(default_factory=dict)
    _written: dict[str, int] = field(default_factory=dict)

    def __enter__(self) -> ArchiveWriter:
        return self

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            self.put_bytes(END)
            self.transfer.emit(TaskFinished("save"))

    def has(self, digest: str) -> bool:
        """Return whether a blob is in the archive."""
        return digest in self._written

    def hold(self, *digests: str) -> None:
        """Do nothing: blobs cannot be removed from an archive."""

    def expect(self, targets: Sequence[Target]) -> None:
        """Write the documents that describe the following blobs."""
        for target in targets:
            blobs = [target.document.descriptor] if target.images else []
            for image in target.images:
                refuse_unmade(image)
                assert image.document is not None  # expect() has refused others
                blobs += [image.document.descriptor, *image.blobs]
            self._sizes.update({blob.digest: blob.size for blob in blobs})
        self.transfer.emit(TaskStarted("save", "Saving", sum(self._sizes.values())))
        for name, data in _documents(targets, self.format):
            self._member(name, len(data))
            self._pad(data)
        for target in targets:
            if target.index is not None:
                self.put(target.index)

    def write(self, blob: Descriptor, source: Source, progress: Progress) -> Outcome:
        """Write a blob and verify it during the write; a wrong one leaves no archive."""
        if self.has(blob.digest):
            return "exists"
        self._member(blob_path(blob.checked().digest), blob.size)
        self._written[blob.digest] = 0
        for piece in checked_pieces(source, blob):
            self.transfer.cancel.check()
            self.put_bytes(piece)
            self._written[blob.digest] += len(piece)
            progress(self._written[blob.digest])
            self._report()
        self.put_bytes(bytes(-blob.size % BLOCK))
        return "uploaded"

    def receive(self, image: Image, source: Source, transfer: Transfer) -> Image:
        """Write an image's manifest and its blobs."""
        refuse_unmade(image)
        assert image.document is not None  # expect() has refused others
        self.put(image.document)
        blobs = (image.manifest.config, *image.manifest.layers)
        write_in_order(self, blobs, source, transfer)
        return image

    def put(self, document: RawDocument) -> None:
        """Write a manifest or index."""
        if not self.has(document.digest):
            self._member(blob_path(document.digest), len(document.data))
            self._pad(document.data)
            self._written[document.digest] = len(document.data)
            self._report()

    def tag(self, target: Target) -> None:
        """Write a target's documents; its names came first."""
        self.put(target.document)

    def _report(self) -> None:
        done, total = sum(self._written.values()), sum(self._sizes.values())
        self.transfer.emit(TaskProgress("save", done, total, "Saving"))

    def _member(self, name: str, size: int) -> None:
        self.put_bytes(encode_header(name.encode(), FILE, mode=0o644, size=size))

    def _pad(self, data: bytes) -> None:
        self.put_bytes(data + bytes(-len(data) % BLOCK))


def _documents(targets: Sequence[Target], format: Format) -> Iterator[tuple[str, bytes]]:
    yield "oci-layout", LAYOUT
    yield "index.json", encode_json(new_index(tuple(entries(targets))))
    if format == "docker-archive":
        singles = [target for target in targets if target.index is None]
        yield "manifest.json", encode_json([_docker_entry(target) for target in singles])
        repositories: dict[str, dict[str, str]] = {}
        for target in singles:
            for name in target.names:
                layers = target.images[0].manifest.layers
                if name.tag and layers:
                    top = layers[-1].digest.rpartition(":")[2]
                    repositories.setdefault(name.familiar_name, {})[name.tag] = top
        if repositories:
            yield "repositories", encode_json(repositories)


def _docker_entry(target: Target) -> dict[str, Any]:
    manifest = target.images[0].manifest
    return {
        "Config": blob_path(manifest.config.digest),
        "RepoTags": [name.familiar for name in target.names if name.tag] or None,
        "Layers": [blob_path(layer.digest) for layer in manifest.layers],
    }
