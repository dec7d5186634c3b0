"""The outputs of a build other than the image in the store: files, archives, metadata.

A destination appears completely or not at all: archives are written beside it and renamed; only a
folder of files (``type=local``) is filled in place, as Docker does it.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.build.copying import Copier, CopyRules
from jupyter_containers.build.image import write_image
from jupyter_containers.build.result import BuildResult
from jupyter_containers.build.seams import BlobStore, LayerStore
from jupyter_containers.build.tree import SourceTree
from jupyter_containers.build.users import Owner
from jupyter_containers.engine.builds.layers import BuiltLayers
from jupyter_containers.engine.builds.platforms import folder_name, image_index
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.copy import copy, image_of
from jupyter_containers.engine.images.places.archive import ArchiveWriter, Format
from jupyter_containers.engine.images.places.base import Image, Target, Transfer
from jupyter_containers.engine.images.places.layout import LayoutPlace
from jupyter_containers.engine.images.places.store import open_store
from jupyter_containers.engine.images.saving import archive_output
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskStarted,
    discard,
    warn,
)
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.lazy_modules import json
from jupyter_containers.oci.descriptor import RawDocument
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.options.output import STREAM, BuildOutput
from jupyter_containers.store.differ import Differ
from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.tarwrite import END, ChunkedOutput
from jupyter_containers.trees.handover import Handover
from jupyter_containers.trees.rooted import Root


@dataclass(frozen=True, slots=True)
class Exporter:
    """Writes the outputs of one build; ``stream`` receives those with ``dest=-``."""

    engine_context: EngineContext
    layers: LayerStore
    blobs: BlobStore
    built: BuiltLayers
    emit: EventSink
    cancel: CancelToken
    stream: BinaryIO | None = None

    def export(
        self, output: BuildOutput, results: Sequence[BuildResult], options: BuildOptions
    ) -> None:
        """Write one output that is not in the store, from one result for each platform."""
        task = f"export-{output.type}-{output.dest}"
        self.emit(TaskStarted(task, f"exporting {output.type} to {output.dest}"))
        split = len(results) > 1 and output.platform_split
        if output.type == "local":
            handover = Handover()
            for result in results:
                name = folder_name(result.config.platform) if split else ""
                self._local(output.path / name, result, handover)
            warn(self.emit, str(handover), of=task)
        elif output.type == "tar":
            self._tar(output, results)
        else:
            self._layout(output, results, options)
        self.emit(TaskFinished(task))

    def _local(self, folder: Path, result: BuildResult, handover: Handover) -> None:
        with storage_errors(f"write {folder}"):
            folder.mkdir(parents=True, exist_ok=True)
        # As with BuildKit, the files belong to the caller.
        rules = CopyRules(
            Owner(os.getuid(), os.getgid()), time_ns=result.source_date_ns, handover=handover
        )

        def copy(rootfs: str) -> None:
            with Root(rootfs) as source, Root(folder) as target:
                tree = SourceTree(source, keep_owner=True)
                Copier(target, "/", rules, self.cancel).copy(tree, tree.find("/"))

        with self.layers.workspace(result.chain_id) as workspace:
            workspace.call(copy)

    def _tar(self, output: BuildOutput, results: Sequence[BuildResult]) -> None:
        with self._target(output) as put:
            tar = ChunkedOutput(put)
            for result in results:
                with self.layers.workspace(result.chain_id) as workspace:
                    workspace.call(partial(self._write_tar, tar, result, len(results) > 1))
            if len(results) > 1:
                tar.write(END)
                tar.flush()

    def _write_tar(
        self, tar: ChunkedOutput, result: BuildResult, several: bool, rootfs: str
    ) -> None:
        prefix = f"{folder_name(result.config.platform)}/".encode() if several else b""
        differ = Differ(
            Path(rootfs), tar, time_ns=result.source_date_ns, prefix=prefix, cancel=self.cancel
        )
        if several:
            differ.write_part()
        else:
            differ.write()

    def _layout(
        self, output: BuildOutput, results: Sequence[BuildResult], options: BuildOptions
    ) -> None:
        images = [self._image(output, result, options) for result in results]
        names = tuple(map(Reference.parse, dict.fromkeys((*options.tags, *output.names))))
        created = {"org.opencontainers.image.created": results[0].config.created}
        notes = {**created, **options.annotations.descriptor}
        target = Target(tuple(images), names, annotations=notes)
        if len(images) > 1:
            platforms = [result.config.platform for result in results]
            listed = [Target((image,)).document.descriptor for image in images]
            index = image_index(zip(listed, platforms, strict=True), options, [output])
            self.blobs.put(index.data, index.media_type)
            notes = {**created, **options.annotations.index_descriptor}
            target = replace(target, index=index, annotations=notes)
        quiet = Transfer(discard, self.cancel)
        with open_store(self.engine_context, quiet) as here:
            if not output.as_tar:
                copy(here, LayoutPlace.at(output.path, self.cancel, fresh=True), [target], quiet)
                return
            form: Format = "oci-archive" if output.type == "oci" else "docker-archive"
            with self._target(output) as put, ArchiveWriter(put, quiet, form) as archive:
                copy(here, archive, [target], quiet)

    def _image(self, output: BuildOutput, result: BuildResult, options: BuildOptions) -> Image:
        """Return one platform's image as the output requires it, stored."""
        is_oci = output.type == "oci" if output.oci is None else output.oci
        written, _ = write_image(
            self.blobs,
            result.config,
            self.built.of(result, output.compressed),
            # Docker's own format has no media type for zstd.
            form="oci" if is_oci or output.compressed.kind == "zstd" else "docker",
            annotations={**options.annotations.manifest, **output.annotations},
            extra=result.extra,
        )
        document = RawDocument(
            self.engine_context.store.content.read(written.digest), written.media_type
        )
        return image_of(document, result.config.platform)

    @contextmanager
    def _target(self, output: BuildOutput) -> Iterator[Callable[[bytes], object]]:
        if output.dest == STREAM:
            if self.stream is None:
                raise InvalidArgumentError(
                    "dest=- needs a standard output that takes bytes",
                    hint="name a file: dest=PATH",
                )
            with archive_output(self.stream, "none") as put:
                yield put
            return
        with storage_errors(f"write {output.path}"):
            output.path.parent.mkdir(parents=True, exist_ok=True)
        with archive_output(output.path, "none") as put:
            yield put


def write_facts(
    options: BuildOptions,
    results: Sequence[BuildResult],
    index: RawDocument | None,
    names: list[str],
) -> None:
    """Write ``--iidfile`` and ``--metadata-file``, whose keys are buildx's.

    For several platforms they describe the index.
    """
    result = results[0]
    if options.iidfile:
        _write_text(options.iidfile, index.digest if index else result.config_digest)
    if options.metadata_file:
        facts = _index_facts(index) if index else _image_facts(result)
        if names:
            facts["image.name"] = ",".join(names)
        _write_text(options.metadata_file, json.dumps(facts, indent=2))


def _index_facts(index: RawDocument) -> dict[str, object]:
    target = index.descriptor
    described = {"mediaType": target.media_type, "digest": target.digest, "size": target.size}
    return {"containerimage.descriptor": described, "containerimage.digest": target.digest}


def _image_facts(result: BuildResult) -> dict[str, object]:
    manifest, created = result.manifest, result.config.created
    digest = result.config_digest
    return {
        "containerimage.config.digest": digest,
        "containerimage.descriptor": {
            "mediaType": manifest.media_type,
            "digest": manifest.digest,
            "size": manifest.size,
            "annotations": {
                "config.digest": digest,
                "org.opencontainers.image.created": created,
            },
            "platform": {"architecture": result.config.architecture, "os": result.config.os},
        },
        "containerimage.digest": manifest.digest,
    }


def _write_text(path: Path, text: str) -> None:
    with storage_errors(f"write {path}"):
        path.write_text(text)
