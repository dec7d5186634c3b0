"""The service of manifest lists, which combine images for several platforms."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine.images.manifest_lists import ManifestLists
    from jupyter_containers.oci.descriptor import Descriptor, RawDocument


class ManifestService:
    """The drafts of manifest lists in one store."""

    noun = "manifests"

    def __init__(self, context: EngineContext, images: Images) -> None:
        self._context, self._images = context, images

    def _lists(self, insecure: bool = False) -> ManifestLists:
        from jupyter_containers.engine.images.manifest_lists import ManifestLists

        return ManifestLists(self._context, self._images, insecure=insecure)

    def create(
        self,
        name: str,
        images: Sequence[str],
        *,
        amend: bool = False,
        insecure: bool = False,
        cancel: CancelToken | None = None,
    ) -> RawDocument:
        """Create a draft that combines images for several platforms; return its document."""
        lists = self._lists(insecure)
        return lists.create(name, images, amend=amend, cancel=cancel or CancelToken()).document()

    def annotate(
        self,
        name: str,
        image: str,
        *,
        os: str = "",
        arch: str = "",
        variant: str = "",
        os_version: str = "",
        os_features: Sequence[str] = (),
    ) -> RawDocument:
        """Change the platform of one image in a draft."""
        draft = self._lists().annotate(
            name,
            image,
            os=os,
            architecture=arch,
            variant=variant,
            os_version=os_version,
            os_features=tuple(os_features),
        )
        return draft.document()

    def inspect(
        self,
        name: str,
        image: str = "",
        *,
        insecure: bool = False,
        cancel: CancelToken | None = None,
    ) -> RawDocument | Descriptor:
        """Return a draft's or a registry's manifest or list, unchanged.

        With ``image``, return that image's entry in the draft ``name``.
        """
        lists = self._lists(insecure)
        if image:
            return lists.inspect_entry(name, image)
        return lists.inspect(name, cancel or CancelToken())

    def push(
        self,
        name: str,
        *,
        purge: bool = False,
        insecure: bool = False,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> str:
        """Push a draft and its images to the registry; return the list's digest."""
        return self._lists(insecure).push(
            name, purge=purge, emit=emit, cancel=cancel or CancelToken()
        )

    def remove(self, name: str) -> None:
        """Delete a draft."""
        self._lists().remove(name)
