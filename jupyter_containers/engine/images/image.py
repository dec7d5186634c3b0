"""The handle of an image: its record and the verbs for it."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.units import parse_time
from jupyter_containers.events import EventSink, discard
from jupyter_containers.oci.descriptor import short_id
from jupyter_containers.store import ImageRecord

if TYPE_CHECKING:
    from jupyter_containers.engine.images.service import ImageService
    from jupyter_containers.engine.results import HistoryEntry


class Image:
    """An image of the store, as of the time of this value.

    ``id`` is the digest of the image's configuration, ``names`` are its references
    (``repository:tag`` as Docker prints them), ``digests`` its ``repository@digest`` in registries,
    ``size`` the bytes of all its unpacked layers.
    """

    def __init__(
        self,
        service: ImageService,
        record: ImageRecord,
        names: tuple[str, ...],
        digests: tuple[str, ...],
    ) -> None:
        self._service = service
        self.record = record
        self.id = record.config_digest
        self.digest = record.manifest.digest
        self.names = names
        self.digests = digests
        self.size = record.size
        self.platform = record.platform

    @property
    def short_id(self) -> str:
        """The first 12 characters of the ID."""
        return short_id(self.id)

    @property
    def name(self) -> str:
        """The first name, or the short ID of an image without names."""
        return self.names[0] if self.names else self.short_id

    @property
    def created(self) -> datetime | None:
        """The creation time in the image's configuration; None if absent."""
        return parse_time(self.record.created)

    @property
    def os(self) -> str:
        """The operating system, as a Go ``GOOS`` value."""
        return self.platform.os

    @property
    def architecture(self) -> str:
        """The architecture, as a Go ``GOARCH`` value."""
        return self.platform.architecture

    def tag(self, name: str) -> Image:
        """Add a name to the image; return it with its new names."""
        self._service.tag(self.id, name)
        return self._service.get(name)

    def push(self, name: str | None = None, *, emit: EventSink | None = None) -> str:
        """Push the image to its name's registry; return the manifest's digest."""
        return self._service.push(name or self.name, emit=emit or discard)

    def history(self) -> list[HistoryEntry]:
        """Return the image's build history, newest step first."""
        return self._service.history(self.id)

    def inspect(self) -> dict[str, Any]:
        """Return Docker's ``image inspect`` object."""
        return self._service.inspect(self.id)

    def remove(self, force: bool = False) -> list[str]:
        """Remove the image and its names; see :meth:`ImageService.remove`."""
        return self._service.remove(self.id, force=force)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Image) and other.id == self.id

    def __hash__(self) -> int:
        return hash(self.id)

    def __repr__(self) -> str:
        from jupyter_containers.engine.units import human_size

        return f"<Image {self.name} ({self.short_id}, {human_size(self.size)})>"


def image_name(image: str | Image) -> str:
    """Return an image's name."""
    return image.name if isinstance(image, Image) else image
