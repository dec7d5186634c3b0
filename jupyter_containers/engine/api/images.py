"""What an engine does with images and registries: pull, push, tag, remove, log in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Literal, overload

from jupyter_containers.engine.api.collections import ImageCollection
from jupyter_containers.engine.api.parts import Parts
from jupyter_containers.engine.filters import Filters
from jupyter_containers.engine.images.catalog import fetched_archive, open_archive
from jupyter_containers.engine.images.image import Image
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
    UnauthorizedError,
)
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.reference import Reference

if TYPE_CHECKING:
    from jupyter_containers.engine.builds.builds import Builds
    from jupyter_containers.engine.images.layers import ImageDifference, ImageLayers
    from jupyter_containers.engine.images.saving import Format
    from jupyter_containers.engine.images.tree import LayerNode
    from jupyter_containers.store import ImageRecord


class ImagesAPI(Parts):
    """What an engine does with images and registries."""

    @property
    def images(self) -> ImageCollection:
        """All images: call it to list them, iterate, ``get(name)``, ``pull(…)``, ``build(…)``."""
        return ImageCollection(self)

    def list_images(self, filters: Filters | None = None, all: bool = False) -> list[Image]:
        """Return what ``images(…)`` does."""
        return self._images.listed(self._image, filters or {}, all=all)

    def image(self, name: str) -> Image:
        """Return the image that a name, ID, unique ID prefix or digest means."""
        return self._image(self._images.find(name))

    def _image(self, record: ImageRecord, names: Mapping[str, str] | None = None) -> Image:
        if names is None:
            names = self._images.names_of(record)
        return Image(self, record, *self._images.familiar(names))

    def _image_for(self, name: str, platform: str, pull: str, emit: EventSink) -> ImageRecord:
        record = None if pull == "always" else self._images.lookup(name)
        if record is not None:
            bring(self._rooms, record, emit, CancelToken())
        if record is not None and (not platform or self._images.serves(record, platform)):
            return record
        if record is not None:
            with suppress(ImageNotFoundError):  # one that its index has for the platform
                return self._for_platform(record, platform)
        if record is not None and pull == "never":
            raise ImageNotFoundError(
                f"no such image for {platform}: {name}",
                hint="the image of that name that is here is for another platform",
            )
        if pull == "never":
            return self._images.find(name)
        return self._pull(Reference.parse(name), platform, emit, CancelToken())

    def _pull(
        self, reference: Reference, platform: str, emit: EventSink, cancel: CancelToken
    ) -> ImageRecord:
        from jupyter_containers.engine.images.transfer import pull

        wanted = Platform.parse(platform) if platform else Platform.host()
        try:
            return pull(self._rooms, reference, wanted, emit=emit, cancel=cancel)
        except (RegistryError, NotFoundError) as error:
            if meant := self._meant(reference):
                error.hint = "; ".join(filter(None, (meant, error.hint)))
            raise

    def _meant(self, reference: Reference) -> str:
        """Return what is here of the image that could not be pulled: itself, or names like it."""
        if self._images.lookup(str(reference)) is not None:
            return f"{reference.familiar} is here and can be used, only nothing newer was fetched"
        like = self._images.like(reference)
        return f"did you mean {' or '.join(like)}, which is here?" if like else ""

    @cached_property
    def _builds(self) -> Builds:
        from jupyter_containers.engine.builds.builds import Builds

        return Builds(self._rooms, self._images, self._connections, self._pull)

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
    ) -> list[Image]: ...
    def pull(
        self,
        name: str,
        *,
        all_tags: bool = False,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Image | list[Image]:
        """Fetch an image from its registry, or with ``all_tags`` all of a repository."""
        token = cancel or CancelToken()
        if not all_tags:
            return self._image(self._pull(Reference.parse(name), platform or "", emit, token))
        from jupyter_containers.engine.images.remote import tags

        references = [Reference.parse(name).with_tag(tag) for tag in tags(self._rooms, name, token)]
        records = [self._pull(each, platform or "", emit, token) for each in references]
        return [self._image(record) for record in records]

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
        """Send an image to the registry that its name names; return the manifest's digest.

        An image for several platforms goes with all of them and their index when they are here,
        or is the one for ``platform``.  With ``all_tags`` all names of a repository are sent; the
        digests are returned by name.  ``compression`` (gzip, zstd, none) is that of the layers
        there; by default as stored.
        """
        from jupyter_containers.engine.images.indexes import NamePush
        from jupyter_containers.engine.images.recompression import checked

        send = NamePush(
            self._rooms,
            emit,
            cancel or CancelToken(),
            checked(compression) if compression else None,
            Platform.parse(platform) if platform else None,
        )

        if all_tags:
            names = self._images.tags_of(name)
            return {each.familiar: send.push(self._images.find(str(each)), each) for each in names}
        reference = Reference.parse(name)
        record = self._images.lookup(name)
        if record is None:
            raise ImageNotFoundError(
                f"no such image: {reference.familiar}",
                hint=f"give it that name first: tag IMAGE {reference.familiar}",
            )
        return send.push(record, reference)

    def import_image(
        self,
        source: str | Path | BinaryIO | bytes,
        name: str | None = None,
        *,
        changes: Sequence[str] = (),
        message: str = "",
        platform: str | None = None,
        cancel: CancelToken | None = None,
    ) -> Image:
        """Make an image of one layer from a tar of a root file system, compressed or not.

        ``source`` may be an http or https address.  ``changes`` are Dockerfile instructions
        (CMD, ENV …) for its configuration.
        """
        self._rooms.quotas.check_archive("import")
        self._rooms.quotas.check_disk(self._rooms)
        reference = Reference.parse(name) if name else None
        config = self._builds.changed_config(changes)
        token = cancel or CancelToken()
        with fetched_archive(source, self._rooms.store, token) as (file, origin):
            record = self._images.import_tar(
                file,
                reference,
                config,
                message or f"Imported from {origin}",
                platform=Platform.parse(platform) if platform else None,
                cancel=token,
            )
        return self._image(record)

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
        """Write images as one archive that every engine loads.

        A repository without a tag means all its tags.  ``format`` ``oci-archive`` leaves out what
        only Docker needs.  ``compression`` is gzip, zstd or none; without it, the suffix of
        ``output`` decides.  A file appears when it is complete.
        """
        from jupyter_containers.engine.images.saving import FORMATS, archive_output, chosen, save

        if format not in FORMATS:
            raise InvalidArgumentError(
                f"invalid format {format!r}", hint=f"one of {', '.join(FORMATS)}"
            )
        wanted = [names] if isinstance(names, str) else names
        found = [pair for name in wanted for pair in self._images.named_by(name)]
        if platform:
            found = [(self._for_platform(record, platform), names) for record, names in found]
        images = chosen(self._rooms, found)
        with archive_output(output, compression) as write:
            token = cancel or CancelToken()
            save(self._rooms, images, write, format=format, emit=emit, cancel=token)
        for image in images:
            self._images.note("save", image.record)

    def load(
        self,
        source: str | Path | BinaryIO | bytes,
        *,
        platform: str | None = None,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> list[Image]:
        """Bring the images of an archive (or of the folder of an OCI image layout) here.

        The archive may be a docker-archive or an OCI layout, plain, gzip, bzip2, xz or zstd.
        """
        from jupyter_containers.engine.images.loading import load

        self._rooms.quotas.check_archive("load")
        self._rooms.quotas.check_disk(self._rooms)
        wanted = Platform.parse(platform) if platform else None
        token = cancel or CancelToken()
        if isinstance(source, (str, Path)) and Path(source).is_dir():
            loaded = load(self._rooms, Path(source), wanted, emit=emit, cancel=token)
        else:
            with open_archive(source) as (file, _):
                loaded = load(self._rooms, file, wanted, emit=emit, cancel=token)
        for item in loaded:
            self._images.note("load", item.record)
        return [
            self._image(
                item.record, {str(name): item.record.manifest.digest for name in item.names}
            )
            for item in loaded
        ]

    def tag(self, source: str, target: str) -> None:
        """Give an image one more name."""
        self._images.tag(source, target)

    def remove_image(self, name: str, *, force: bool = False, no_prune: bool = False) -> list[str]:
        """Remove a name, or an image with its last name; return Docker's lines about it.

        Layers and blobs that nothing else needs go too, unless ``no_prune`` leaves them to the
        next prune.
        """
        users = [
            (record.name, record.manifest_digest, record.state.status.alive)
            for record in self._containers.all()
        ]
        image = self._images.find(name)
        lines = self._images.remove(name, users, force=force)
        if not no_prune and any(line.startswith("Deleted: ") for line in lines):
            gone = {layer.chain_id for layer in self._upkeep.collect().layers}
            lines += [f"Deleted: {chain}" for chain in reversed(image.chain_ids) if chain in gone]
        return lines

    def history(self, name: str, *, platform: str | None = None) -> list[HistoryEntry]:
        """Return how an image came to be, newest step first."""
        return self._images.history(self._for_platform(self._images.find(name), platform))

    def _for_platform(self, record: ImageRecord, platform: str | None) -> ImageRecord:
        if not platform:
            return record
        from jupyter_containers.engine.images.indexes import for_platform

        return for_platform(self._rooms, record, Platform.parse(platform))

    def layers(self, name: str) -> ImageLayers:
        """Return what each layer of an image adds, changes and removes, and what it wastes."""
        from jupyter_containers.engine.images.layers import layers_of

        return layers_of(self._rooms, self._images, name)

    def diff_images(self, first: str, second: str) -> ImageDifference:
        """Return how the second image differs from the first: files, settings, size."""
        from jupyter_containers.engine.images.layers import difference

        return difference(self._rooms, self._images, first, second)

    def image_tree(self) -> list[LayerNode]:
        """Return all layers as the tree in which they stand on each other, with their images."""
        from jupyter_containers.engine.images.tree import image_tree

        return image_tree(self._rooms, self._images)

    def inspect_image(self, name: str, *, platform: str | None = None) -> dict[str, Any]:
        """Return Docker's ``image inspect`` object."""
        image = self._for_platform(self._images.find(name), platform)
        names, digests = self._images.familiar(self._images.names_of(image))
        try:
            folders = self._rooms.store.snapshots.lower_folders(image.chain_id)
        except NotFoundError:
            folders = ()  # a damaged store is looked at too: system check mends it
        from jupyter_containers.engine.images.documents import image_document

        return image_document(image, self._images.config(image), names, digests, folders)

    def prune_images(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove images without a name; with ``all``, all that no container uses.

        ``filters`` (``label``, ``label!``, ``until``, ``dangling``) spare what they do not select.
        """
        return self._upkeep.prune_images(all=all, filters=filters or {})

    def login(self, registry: str, username: str, password: str) -> str:
        """Check credentials against a registry and keep them; return where (a file, a helper)."""
        from jupyter_containers.registry import Credential

        credential = Credential(username, password)
        with self._rooms.registry(registry, credential, push=True) as client:
            client.ping()
        return self._rooms.credentials.store(registry, credential)

    def relogin(self, registry: str) -> bool:
        """Return whether the credentials that are kept for a registry are good."""
        if self._rooms.credentials.get(registry) is None:
            return False
        try:
            with self._rooms.registry(registry, push=True) as client:
                client.ping()
        except UnauthorizedError:
            return False
        return True

    def logins(self) -> list[str]:
        """Return the registries that there are credentials for."""
        return self._rooms.credentials.registries()

    def logout(self, registry: str = "docker.io") -> bool:
        """Forget the credentials of a registry; return False where there were none."""
        return self._rooms.credentials.erase(registry)
