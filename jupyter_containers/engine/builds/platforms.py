"""Builds for several platforms: one image for each, and an index that names them.

OCI Image Specification 1.1, image-index.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from jupyter_containers.build.sharing import SharedSteps
from jupyter_containers.events import CHECKS, Event, EventSink, TaskStarted
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.oci.descriptor import INDEX, Descriptor, Platform, RawDocument, encode_json
from jupyter_containers.oci.image import new_index
from jupyter_containers.options.build import BuildOptions
from jupyter_containers.options.output import BuildOutput
from jupyter_containers.store import ImageRecord


def platform_sink(emit: EventSink, platform: str, *, first: bool) -> EventSink:
    """Return a sink for the build of one platform, which adds the platform to its steps.

    The build checks are the same for all platforms, so only the first one reports them.
    """

    def add_platform(event: Event) -> None:
        if event.task == CHECKS:
            if first:
                emit(event)
            return
        event = replace(event, task=f"{platform} {event.task}")
        if isinstance(event, TaskStarted) and event.title.startswith("["):
            event = replace(event, title=f"[{platform} {event.title[1:]}")
        emit(event)

    return add_platform


def folder_name(platform: Platform) -> str:
    """Return the folder name of a platform's files, such as ``linux_arm_v7``."""
    return str(platform).replace("/", "_")


def own(records: Sequence[ImageRecord]) -> ImageRecord:
    """Return the image for this machine, or the best match."""
    host = Platform.host()
    return max(records, key=lambda record: host.match_score(record.platform))


def image_index(
    images: Iterable[tuple[Descriptor, Platform]],
    options: BuildOptions,
    outputs: Iterable[BuildOutput],
) -> RawDocument:
    """Return the index of the platforms' manifests, with the outputs' annotations."""
    annotations = dict(options.annotations.index)
    for output in outputs:
        annotations |= output.index_annotations
    targets = tuple(
        Descriptor(
            manifest.media_type,
            manifest.digest,
            manifest.size,
            platform=platform,
            annotations=dict(options.annotations.descriptor),
        )
        for manifest, platform in images
    )
    index = msgspec.structs.replace(new_index(targets), annotations=annotations)
    return RawDocument(encode_json(index), INDEX)


def merged(parts: Sequence[SharedSteps]) -> SharedSteps:
    """Return the steps of all platforms, each once."""
    return SharedSteps(tuple({step.keys: step for part in parts for step in part.steps}.values()))
