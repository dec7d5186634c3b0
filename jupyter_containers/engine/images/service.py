"""The service of images: pull, push, tag, save, load, inspect, remove."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, overload

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.filters import Filters
from jupyter_containers.engine.frames import IMAGE_FIELDS, frame_of
from jupyter_containers.engine.garbage import GarbageCollection
from jupyter_containers.engine.images.catalog import Images, fetched_archive, open_archive
from jupyter_containers.engine.images.image import Image
from jupyter_containers.engine.images.prune import prune_images
from jupyter_containers.engine.results import (
    HistoryEntry,
    PruneResult,
)
from jupyter_containers.engine.shared_stores import bring
from jupyter_containers.errors import (
    ImageNotFoundError,
    InvalidArgumentError,
    NotFoundError,
    RegistryError,
)
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.oci.reference import Reference

if TYPE_CHECKING:
    from jupyter_containers.engine.images.layers import ImageDifference, ImageLayers
    from jupyter_containers.engine.images.loading import Loaded
    from jupyter_containers.engine.images.saving import Format
    from jupyter_containers.engine.images.tree import LayerNode
    from jupyter_containers.store import ImageRecord


# Name, manifest digest and running state of each container: used images are not removed.
Users = Callable[[], Sequence[tuple[str, str, bool]]]
# Builds a Dockerfile's text without a context, under a tag; the builder depends on this service.
BuildText = Callable[[str, str, EventSink, CancelToken], "ImageRecord"]


class ImageService(Collection[Image]):
    """The images of one store."""

    noun = "images"

    def __init__(
        self,
        context: EngineContext,
        catalog: Images,
        users: Users,
        garbage: GarbageCollection,
        build_text: BuildText,
    ) -> None:
        self._context, self.catalog = context, catalog
        self._users, self._garbage, self._build_text = users, garbage, build_text

    def get(self, name: str) -> Image:
        """Return the image with this name, ID, unique ID prefix or digest."""
        return self.handle(self.catalog.find(name))

    def handle(self, record: ImageRecord, names: Mapping[str, str] | None = None) -> Image:
        """Return the handle for a record; ``names`` are its names in the store."""
        if names is None:
            names = self.catalog.names_of(record)
        return Image(self, record, *self.catalog.familiar(names))

    def provide(self, name: str, platform: str, pull: str, emit: EventSink) -> ImageRecord:
        """Return an image for a new container, pulled according to ``pull`` (``--pull``)."""
        record = None if pull == "always" else self.catalog.lookup(name)
        if record is not None:
            bring(self._context, record, emit, CancelToken())
        if record is not None and (not platform or self.catalog.serves(record, platform)):
            return record
        if record is not None:
            with suppress(ImageNotFoundError):  # one that its index has for the platform
                return self._for_platform(record, platform)
        if record is not None and pull == "never":
            raise ImageNotFoundError(
                f"no such image for {platform}: {name}",
                hint="the stored image of that name is for another platform",
            )
        if pull == "never":
            return self.catalog.find(name)
        return self.fetch(Reference.parse(name), platform, emit, CancelToken())

    def fetch(
        self, reference: Reference, platform: str, emit: EventSink, cancel: CancelToken
    ) -> ImageRecord:
        """Pull one image; the error's hint names similar images in the store."""
        from jupyter_containers.engine.images.transfer import pull

        wanted = Platform.parse(platform) if platform else Platform.host()
        try:
            return pull(self._context, reference, wanted, emit=emit, cancel=cancel)
        except (RegistryError, NotFoundError) as error:
            if meant := self._pull_hint(reference):
                error.hint = "; ".join(filter(None, (meant, error.hint)))
            raise

    def _pull_hint(self, reference: Reference) -> str:
        """Return a hint about a failed pull: the stored image, or similar names in the store."""
        if self.catalog.lookup(str(reference)) is not None:
            return f"{reference.familiar} is stored here and can be used"
        like = self.catalog.like(reference)
        return f"did you mean {' or '.join(like)}, which is stored here?" if like else ""

    @overload
    def pull(
        self,
        name: str,
        *,
        all_tags: Literal[False] = False,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Image: ...
    @overload
    def pull(
        self,
        name: str,
        *,
        all_tags: Literal[True],
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Items[Image]: ...
    def pull(
        self,
        name: str,
        *,
        all_tags: bool = False,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Image | Items[Image]:
        """Pull an image from its registry, or with ``all_tags`` all of a repository."""
        token = cancel or CancelToken()
        if not all_tags:
            return self.handle(self.fetch(Reference.parse(name), platform or "", emit, token))
        from jupyter_containers.engine.images.remote import tags

        references = [
            Reference.parse(name).with_tag(tag) for tag in tags(self._context, name, token)
        ]
        records = [self.fetch(each, platform or "", emit, token) for each in references]
        return [self.handle(record) for record in records]

    @overload
    def push(
        self,
        name: str,
        *,
        all_tags: Literal[False] = False,
        compression: str | None = None,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> str: ...
    @overload
    def push(
        self,
        name: str,
        *,
        all_tags: Literal[True],
        compression: str | None = None,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> dict[str, str]: ...
    def push(
        self,
        name: str,
        *,
        all_tags: bool = False,
        compression: str | None = None,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> str | dict[str, str]:
        """Push an image to its name's registry; return the manifest's digest.

        An image for several platforms is pushed with its index if all its images are stored, or is
        the one for ``platform``.  With ``all_tags`` all names of a repository are pushed; the
        digests are returned by name.  ``compression`` (gzip, zstd, none) recompresses the layers;
        by default they are pushed as stored.
        """
        from jupyter_containers.engine.images.indexes import NamePush
        from jupyter_containers.engine.images.recompression import checked

        send = NamePush(
            self._context,
            emit,
            cancel or CancelToken(),
            checked(compression) if compression else None,
            Platform.parse(platform) if platform else None,
        )

        if all_tags:
            names = self.catalog.tags_of(name)
            return {each.familiar: send.push(self.catalog.find(str(each)), each) for each in names}
        reference = Reference.parse(name)
        record = self.catalog.lookup(name)
        if record is None:
            raise ImageNotFoundError(
                f"no such image: {reference.familiar}",
                hint=f"give it that name first: tag IMAGE {reference.familiar}",
            )
        return send.push(record, reference)

    def import_archive(
        self,
        source: str | Path | BinaryIO | bytes,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str | None = None,
        cancel: CancelToken | None = None,
    ) -> Image:
        """Create an image of one layer from the tar of a root file system, compressed or not.

        ``source`` may be an HTTP or HTTPS URL.  ``changes`` are Dockerfile instructions (CMD, ENV
        …) for its configuration.
        """
        self._context.quotas.check_archive("import")
        self._context.quotas.check_disk(self._context)
        reference = Reference.parse(name) if name else None
        config = changed(changes)
        token = cancel or CancelToken()
        with fetched_archive(source, self._context.store, token) as (file, origin):
            record = self.catalog.import_tar(
                file,
                reference,
                config,
                message or f"Imported from {origin}",
                platform=Platform.parse(platform) if platform else None,
                cancel=token,
            )
        return self.handle(record)

    def save(
        self,
        names: str | Sequence[str],
        output: str | Path | BinaryIO,
        *,
        format: Format = "docker-archive",
        compression: str | None = None,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> None:
        """Write images as one archive that other engines can load.

        A repository without a tag selects all its tags.  ``format`` ``oci-archive`` omits the files
        that only Docker needs.  ``compression`` is gzip, zstd or none; by default the suffix of
        ``output`` decides.  A file appears once it is complete.
        """
        from jupyter_containers.engine.images.saving import FORMATS, archive_output, chosen, save

        if format not in FORMATS:
            raise InvalidArgumentError(
                f"invalid format {format!r}", hint=f"one of {', '.join(FORMATS)}"
            )
        wanted = [names] if isinstance(names, str) else names
        found = [pair for name in wanted for pair in self.catalog.named_by(name)]
        if platform:
            found = [(self._for_platform(record, platform), names) for record, names in found]
        images = chosen(self._context, found)
        with archive_output(output, compression) as write:
            token = cancel or CancelToken()
            save(self._context, images, write, format=format, emit=emit, cancel=token)
        for image in images:
            self.catalog.note("save", image.record)

    def load(
        self,
        source: str | Path | BinaryIO | bytes,
        *,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Items[Image]:
        """Load the images of an archive or an OCI image layout's folder.

        The archive may be a docker-archive or an OCI layout, uncompressed or compressed with gzip,
        bzip2, xz or zstd.
        """
        from jupyter_containers.engine.images.loading import load

        self._context.quotas.check_archive("load")
        self._context.quotas.check_disk(self._context)
        wanted = Platform.parse(platform) if platform else None
        token = cancel or CancelToken()
        if isinstance(source, (str, Path)) and Path(source).is_dir():
            loaded = load(self._context, Path(source), wanted, emit=emit, cancel=token)
        else:
            with open_archive(source) as (file, _):
                loaded = load(self._context, file, wanted, emit=emit, cancel=token)
        return self._record_loaded(loaded)

    def take(
        self,
        owner: ImageService,
        name: str,
        *,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Items[Image]:
        """Copy the images with a name from another store, as a save and a load would."""
        from jupyter_containers.engine.images.loading import take_over
        from jupyter_containers.engine.images.saving import chosen

        self._context.quotas.check_archive("load")
        self._context.quotas.check_disk(self._context)
        images = chosen(owner._context, owner.catalog.named_by(name))
        taken = take_over(
            owner._context,
            self._context,
            [image.target for image in images],
            emit=emit,
            cancel=cancel or CancelToken(),
        )
        for image in images:
            owner.catalog.note("save", image.record)
        return self._record_loaded(taken)

    def _record_loaded(self, loaded: Sequence[Loaded]) -> Items[Image]:
        """Record events of the loaded images; return them with their names."""
        for item in loaded:
            self.catalog.note("load", item.record)
        return [
            self.handle(
                item.record, {str(name): item.record.manifest.digest for name in item.names}
            )
            for item in loaded
        ]

    def tag(self, source: str, target: str) -> None:
        """Add a name to an image."""
        self.catalog.tag(source, target)

    def remove(self, name: str, *, force: bool = False, no_prune: bool = False) -> Items[str]:
        """Remove a name, or an image with its last name; return Docker's messages.

        Layers and blobs that nothing else needs are removed too, unless ``no_prune`` leaves them to
        the next prune.
        """
        image = self.catalog.find(name)
        lines = self.catalog.remove(name, self._users(), force=force)
        if not no_prune and any(line.startswith("Deleted: ") for line in lines):
            gone = {layer.chain_id for layer in self._garbage.collect().layers}
            lines += [f"Deleted: {chain}" for chain in reversed(image.chain_ids) if chain in gone]
        return lines

    def history(self, name: str, *, platform: str | None = None) -> Items[HistoryEntry]:
        """Return an image's build history, newest step first."""
        return self.catalog.history(self._for_platform(self.catalog.find(name), platform))

    def _for_platform(self, record: ImageRecord, platform: str | None) -> ImageRecord:
        if not platform:
            return record
        from jupyter_containers.engine.images.indexes import for_platform

        return for_platform(self._context, record, Platform.parse(platform))

    def layers(self, name: str) -> ImageLayers:
        """Return the changes of each layer of an image, and its wasted bytes."""
        from jupyter_containers.engine.images.layers import layers_of

        return layers_of(self._context, self.catalog, name)

    def diff(self, first: str, second: str) -> ImageDifference:
        """Return the difference between two images: files, settings, size."""
        from jupyter_containers.engine.images.layers import difference

        return difference(self._context, self.catalog, first, second)

    def tree(self) -> Items[LayerNode]:
        """Return all layers as a tree, each on top of its parent, with their images."""
        from jupyter_containers.engine.images.tree import image_tree

        return image_tree(self._context, self.catalog)

    def inspect(self, name: str, *, platform: str | None = None) -> dict[str, Any]:
        """Return Docker's ``image inspect`` object."""
        image = self._for_platform(self.catalog.find(name), platform)
        names, digests = self.catalog.familiar(self.catalog.names_of(image))
        try:
            folders = self._context.store.snapshots.lower_folders(image.chain_id)
        except NotFoundError:
            folders = ()  # works with a damaged store, which system check can repair
        from jupyter_containers.engine.images.documents import image_document

        return image_document(image, self.catalog.config(image), names, digests, folders)

    def prune(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove images without a name; with ``all``, all that no container uses.

        ``filters`` (``label``, ``label!``, ``until``, ``dangling``) select the images to remove.
        """
        return prune_images(
            self._context, self.catalog, self._garbage, all=all, filters=filters or {}
        )

    def bootstrap(
        self, name: str, *, emit: EventSink = discard, cancel: CancelToken | None = None
    ) -> Image:
        """Create a base image from Debian's packages, without a registry.

        If an image of that name exists, it is returned unchanged.
        """
        from jupyter_containers.engine.images.bootstrap import Bootstrap

        reference = Reference.parse(name)
        existing = self.catalog.lookup(name)
        if existing is not None:
            return self.handle(existing)
        token = cancel or CancelToken()

        def build(text: str, tag: str) -> ImageRecord:
            return self._build_text(text, tag, emit, token)

        made = Bootstrap(self._context, self.catalog, build).make(reference, emit, token)
        return self.handle(made)

    def names(self) -> Items[str]:
        """Return all names of images, as Docker prints them: cheap, for completion."""
        names = {name.name for name in self._context.store.records.names()}
        return [Reference.parse(name).familiar for name in names]

    def to_dataframe(self) -> Any:
        """Return a pandas DataFrame: a row for each image, sizes in bytes."""
        return frame_of(self(), IMAGE_FIELDS)

    def list(self, filters: Filters | None = None, all: bool = False) -> Items[Image]:
        """Return the images, newest first; with ``all`` also unnamed ones for other platforms."""
        return self.catalog.listed(self.handle, filters or {}, all=all)

    __call__ = list

    def everything(self) -> Items[Image]:
        """Return the images, newest first."""
        return self.list()


def changed(changes: str | Sequence[str], config: ExecutionConfig | None = None) -> ExecutionConfig:
    """Return a configuration with Dockerfile instructions applied; a string is one of them."""
    lines = [changes] if isinstance(changes, str) else list(changes)
    if not lines:
        return config or ExecutionConfig()
    from jupyter_containers.build.changes import changed_config

    return changed_config(lines, config)
