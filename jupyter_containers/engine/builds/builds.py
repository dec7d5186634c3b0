"""Runs the builder on the engine's context, and stores or exports its result."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import BinaryIO

import msgspec

from jupyter_containers.build import Builder, BuildResult
from jupyter_containers.build.cache import STEP_KEY
from jupyter_containers.build.checks import Finding
from jupyter_containers.build.digests import FileDigests
from jupyter_containers.build.outline import Outline
from jupyter_containers.build.result import StepReport
from jupyter_containers.build.seams import BaseImage, LayerRef
from jupyter_containers.engine.builds.history import BuildHistory
from jupyter_containers.engine.builds.layers import BuiltLayers, for_store
from jupyter_containers.engine.builds.outputs import Exporter, write_facts
from jupyter_containers.engine.builds.platforms import image_index, merged, own, platform_sink
from jupyter_containers.engine.builds.remote_cache import Exchange, ImportedSteps, export_steps
from jupyter_containers.engine.builds.workspaces import BuildLayers
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.images.indexes import for_platform
from jupyter_containers.engine.images.loading import load
from jupyter_containers.engine.images.places.store import image_record, stored_target
from jupyter_containers.engine.images.transfer import push
from jupyter_containers.engine.naming import step_name
from jupyter_containers.engine.networks.connections import Connections
from jupyter_containers.errors import (
    BuildError,
    ImageNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    RegistryError,
)
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.lazy_modules import hashlib, shutil
from jupyter_containers.oci.descriptor import Descriptor, Platform, RawDocument, encode_json
from jupyter_containers.oci.image import Manifest, parse_manifest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.store import ImageRecord, Lease, extract_archive

_LAYOUT = "oci-layout://"
Pull = Callable[[Reference, str, EventSink, CancelToken], ImageRecord]


class Builds:
    """Builds images into one store."""

    def __init__(
        self, engine_context: EngineContext, images: Images, connections: Connections, pull: Pull
    ) -> None:
        self._engine_context, self._images, self._connections, self._pull = (
            engine_context,
            images,
            connections,
            pull,
        )
        self._digests: dict[str, FileDigests] = {}

    def build(
        self,
        options: BuildOptions,
        emit: EventSink,
        cancel: CancelToken,
        stream: BinaryIO | None = None,
    ) -> ImageRecord:
        """Build an image and output it: into the store under its names, and as files.

        An image that is only written to files is not recorded.  ``stream`` receives ``dest=-``.
        """
        with BuildHistory(self._engine_context).keeping(options, emit) as entry:
            record = self._build(options, entry.receive, cancel, stream)
            entry.image = record.config_digest
            return record

    def _build(
        self,
        options: BuildOptions,
        emit: EventSink,
        cancel: CancelToken,
        stream: BinaryIO | None,
    ) -> ImageRecord:
        references = _references(options)
        if any(place.type == "local" for place in options.cache_from):
            self._engine_context.quotas.check_archive("--cache-from type=local")
        self._engine_context.quotas.check_disk(self._engine_context)
        if self._engine_context.quotas.limited:
            self._engine_context.quotas.hold(self._engine_context)
        with self._engine_context.store.leases.hold() as lease:
            exchange = Exchange(self._engine_context, lease, emit, cancel)
            built = BuiltLayers(self._engine_context, lease, cancel)
            blobs = _Blobs(self._engine_context, lease)
            results = [
                for_store(built, blobs, result, options)
                for result in self._results(lease, exchange, options, emit, cancel)
            ]
            records = [self._record_of(result) for result in results]
            index = self._index(records, options, blobs)
            in_store = [output for output in options.outputs if output.in_store]
            if in_store or not options.outputs:
                self._keep(records, index, references)
            layers = BuildLayers(self._engine_context, self._connections, lease, cancel)
            exporter = Exporter(self._engine_context, layers, blobs, built, emit, cancel, stream)
            for output in options.outputs:
                if not output.in_store:
                    exporter.export(output, results, options)
            for place in options.cache_to:
                steps = merged([result.shared[place.mode] for result in results])
                export_steps(exchange, place, steps)
        pushing = any(output.push for output in options.outputs)
        for reference in references if pushing else ():
            target = stored_target(self._engine_context.store, records, index)
            push(self._engine_context, target, reference, emit=emit, cancel=cancel)
        write_facts(options, results, index, [one.familiar for one in references])
        return own(records)

    def _results(
        self,
        lease: Lease,
        exchange: Exchange,
        options: BuildOptions,
        emit: EventSink,
        cancel: CancelToken,
    ) -> Iterator[BuildResult]:
        """Build for one platform after the other; return the results."""
        several = len(options.platforms) > 1
        for number, platform in enumerate(options.platforms):
            sink = platform_sink(emit, platform, first=number == 0) if several else emit
            one = replace(options, platform=platform)
            builder = self._builder(lease, exchange, one, sink, cancel)
            yield builder.build(one, sink, cancel)

    def _index(
        self, records: list[ImageRecord], options: BuildOptions, blobs: _Blobs
    ) -> RawDocument | None:
        """Return the stored index of several images; None for one image."""
        if len(records) == 1:
            return None
        outputs = [output for output in options.outputs if output.in_store]
        manifests = [(record.manifest, record.platform) for record in records]
        index = image_index(manifests, options, outputs)
        blobs.put(index.data, index.media_type)
        return index

    def check(self, options: BuildOptions, cancel: CancelToken) -> tuple[Finding, ...]:
        """Return the findings of the build checks, without building or pulling."""
        with self._engine_context.store.leases.hold() as lease:
            exchange = Exchange(self._engine_context, lease, discard, cancel)
            return self._builder(lease, exchange, options, discard, cancel).check(options, cancel)

    def forecast(self, options: BuildOptions, cancel: CancelToken) -> tuple[StepReport, ...]:
        """Return which steps of a build are cached, without building, pulling or importing."""
        found: list[StepReport] = []
        with self._engine_context.store.leases.hold() as lease:
            exchange = Exchange(self._engine_context, lease, discard, cancel)
            for platform in options.platforms:
                one = replace(options, platform=platform, cache_from=())
                builder = self._builder(lease, exchange, one, discard, cancel)
                found += builder.forecast(one, cancel)
        return tuple(found)

    def outline(self, options: BuildOptions, cancel: CancelToken) -> Outline:
        """Return a Dockerfile's targets and arguments, without building or pulling."""
        with self._engine_context.store.leases.hold() as lease:
            exchange = Exchange(self._engine_context, lease, discard, cancel)
            return self._builder(lease, exchange, options, discard, cancel).outline(options, cancel)

    def _builder(
        self,
        lease: Lease,
        exchange: Exchange,
        options: BuildOptions,
        emit: EventSink,
        cancel: CancelToken,
    ) -> Builder:
        return Builder(
            images=_Source(self._engine_context, self._images, self._pull, lease, emit, cancel),
            layers=BuildLayers(self._engine_context, self._connections, lease, cancel),
            cache=_Cache(self._engine_context, ImportedSteps(exchange, options.cache_from)),
            blobs=_Blobs(self._engine_context, lease),
            extract=partial(_extract, cancel),
            add=partial(_add, self._engine_context, cancel),
            digests=self._file_digests,
            trust_host_ca=self._trusts_host_ca(),
            scratch=self._folder,
            store=self._engine_context.settings.root,
        )

    def build_text(self, text: str, tag: str, emit: EventSink, cancel: CancelToken) -> ImageRecord:
        """Build a Dockerfile that copies nothing from its context."""
        with self._folder() as folder:
            options = BuildOptions.of(folder, dockerfile=text, tag=tag, source_name=f"{tag} recipe")
            return self.build(options, emit, cancel)

    def _file_digests(self, folder: Path) -> FileDigests:
        """Return the digests of a context's files, as remembered by this and earlier engines."""
        place = os.path.realpath(folder)
        if place not in self._digests:
            name = hashlib.sha256(os.fsencode(place)).hexdigest()[:32]
            self._digests[place] = FileDigests(self._engine_context.settings.layout.contexts / name)
        return self._digests[place]

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = self._engine_context.workbench / step_name()
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _trusts_host_ca(self) -> bool:
        setting = self._engine_context.settings.trust_host_ca
        return setting == "always" or (setting == "auto" and self._engine_context.host.ca.extra)

    def _record_of(self, result: BuildResult) -> ImageRecord:
        """Return the record of the result; the caller stores it if the image is kept."""
        existing = self._engine_context.store.records.get_image(result.manifest.digest)
        if existing is not None:
            return existing
        content = self._engine_context.store.content
        document = RawDocument(content.read(result.manifest.digest), result.manifest.media_type)
        manifest = parse_manifest(document)
        assert isinstance(manifest, Manifest)  # the builder writes manifests only
        return image_record(self._engine_context.store, document, manifest, result.config)

    def _keep(
        self,
        records: list[ImageRecord],
        index: RawDocument | None,
        references: Iterable[Reference],
    ) -> None:
        """Record the images; names refer to the one for this machine."""
        named, wanted = own(records), list(references)
        for record in records:
            names = [str(reference) for reference in wanted if record is named]
            if index is not None:
                record = msgspec.structs.replace(record, index_digest=index.digest)
            self._engine_context.store.put_image(record, names)
        for reference in wanted:
            self._images.note("tag", named, reference.familiar)


def _references(options: BuildOptions) -> list[Reference]:
    """Return the image's names; raise for an invalid one."""
    extra = (name for output in options.outputs if output.in_store for name in output.names)
    references = [Reference.parse(name) for name in dict.fromkeys((*options.tags, *extra))]
    for reference in references:
        if reference.digest:
            raise InvalidArgumentError(f"a tag cannot be a digest: {reference.familiar}")
    if any(output.push for output in options.outputs) and not references:
        raise InvalidArgumentError("an image without a name cannot be pushed", hint="add -t NAME")
    return references


class _Source:
    """Base images: from the store, or else pulled."""

    def __init__(
        self,
        engine_context: EngineContext,
        images: Images,
        pull: Pull,
        lease: Lease,
        emit: EventSink,
        cancel: CancelToken,
    ) -> None:
        self._engine_context, self._images, self._pull = engine_context, images, pull
        self._lease, self._emit, self._cancel = lease, emit, cancel

    def resolve(self, name: str, platform: Platform, pull: bool) -> BaseImage:
        """Return the image of a name, an ID in this store, or an OCI layout."""
        layout = name.startswith(_LAYOUT)
        record = self._from_layout(name, platform) if layout else self._images.lookup(name)
        exact = layout or (record is not None and record.has_id(name))
        if record is None or (pull and not exact):
            record = self._fetch(Reference.parse(name), platform)
        elif not exact and platform.match_score(record.platform) == 0:
            record = self._for_platform(name, record, platform)
        self._lease.add(record.manifest.digest, record.config_digest, *record.chain_ids)
        config = self._images.config(record)
        if platform.match_score(record.platform) == 0:
            raise BuildError(
                f"image {name} is for {record.platform}, not for {platform}",
                hint="choose another base, or another --platform",
            )
        document = RawDocument(
            self._engine_context.store.content.read(record.manifest.digest),
            record.manifest.media_type,
        )
        manifest = parse_manifest(document)
        assert isinstance(manifest, Manifest)  # only manifests are recorded as images
        layers = zip(manifest.layers, record.diff_ids, strict=True)
        return BaseImage(
            name,
            record.manifest.digest,
            config,
            tuple(LayerRef(blob, diff_id) for blob, diff_id in layers),
            record.chain_id,
        )

    def _for_platform(self, name: str, here: ImageRecord, platform: Platform) -> ImageRecord:
        """Return an image for another platform, from the store or the registry.

        The name keeps referring to the same image as before.
        """
        with suppress(ImageNotFoundError):
            return for_platform(self._engine_context, here, platform)
        reference = Reference.parse(name)
        try:
            before = self._images.names_of(here).get(str(reference), "")
            fetched = self._fetch(reference, platform)
            self._engine_context.store.set_name(str(reference), here.manifest.digest, before)
            return fetched
        except BuildError as error:
            raise BuildError(
                f"image {name} is for {here.platform}, not for {platform}, and there is no other: "
                f"{error.message.rpartition('pulled: ')[2]}",
                hint="choose another base, or another --platform",
            ) from error

    def _from_layout(self, name: str, platform: Platform) -> ImageRecord:
        self._engine_context.quotas.check_archive("an OCI layout as a base")
        path, tag = name.removeprefix(_LAYOUT), ""
        if not Path(path).is_dir():
            separator = "@" if "@" in path else ":"
            path, _, tag = path.rpartition(separator)
        if not Path(path).is_dir():
            raise BuildError(f"{name} is not a folder", hint="write oci-layout://PATH[:TAG]")
        loaded = load(
            self._engine_context, Path(path), platform, emit=self._emit, cancel=self._cancel
        )
        for image in loaded:
            digests = (image.record.manifest.digest, image.record.config_digest)
            if not tag or tag in digests or any(one.tag == tag for one in image.names):
                return image.record
        raise BuildError(f"{path} has no image {tag!r}")

    def look(self, name: str, platform: Platform) -> BaseImage | None:
        """Return the image if it is stored, without pulling."""
        if name.startswith(_LAYOUT) or self._images.lookup(name) is None:
            return None
        return self.resolve(name, platform, pull=False)

    def _fetch(self, reference: Reference, platform: Platform) -> ImageRecord:
        try:
            return self._pull(reference, str(platform), self._emit, self._cancel)
        except (RegistryError, NotFoundError) as error:
            raise BuildError(
                f"image {reference.familiar} is not here and cannot be pulled: {error.message}",
                hint=error.hint,
            ) from error


class _Cache:
    """The layer cache in the store's records; hits in imported caches are copied to it."""

    def __init__(self, engine_context: EngineContext, imported: ImportedSteps) -> None:
        self._records, self._locks = engine_context.store.records, engine_context.store.locks
        self._imported = imported

    def alone(self, key: str, cancel: CancelToken) -> AbstractContextManager[object]:
        return self._locks.hold(key.replace(":", "-"), cancel)

    def get(self, key: str) -> bytes | None:
        value = self._records.cache_get(key)
        if value is not None or not key.startswith(STEP_KEY):
            return value
        shared = self._imported.find(key)
        if shared is None:
            return None
        value = encode_json(shared.step)
        self.put(key, value, shared.step.chain_id if shared.step.entries else "")
        return value

    def put(self, key: str, value: bytes, chain_id: str) -> None:
        self._records.cache_put(key, value, chain_id)


class _Blobs:
    """The content store, with every new blob protected by the build's lease."""

    def __init__(self, engine_context: EngineContext, lease: Lease) -> None:
        self._content, self._lease = engine_context.store.content, lease

    def put(self, data: bytes, media_type: str) -> Descriptor:
        return self._content.put(data, media_type, self._lease)


def _extract(
    cancel: CancelToken, stream: BinaryIO, folder: str, owner: tuple[int, int] | None
) -> None:
    extract_archive(stream, Path(folder), owner=owner, cancel=cancel)


def _add(
    engine_context: EngineContext,
    cancel: CancelToken,
    stream: BinaryIO,
    folder: str,
    owner: tuple[int, int] | None,
) -> None:
    """Extract an archive for ADD; permitted where ``import`` is."""
    engine_context.quotas.check_archive("ADD of an archive")
    _extract(cancel, stream, folder, owner)
