"""What an engine holds, kind by kind: ``engine.containers``, ``images``, ``volumes``, ``networks``.

A collection is looked at anew at every use.  Calling it lists, as the command of that name does
(``engine.containers(all=True)``); iterating goes over everything of its kind; ``get`` (or square
brackets) finds one by name, ID or unique ID prefix.  Verbs are those of the engine.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Generic, TypeAlias, TypeVar, cast

from jupyter_containers.engine.frames import CONTAINER_FIELDS, IMAGE_FIELDS, frame_of
from jupyter_containers.errors import NotFoundError

if TYPE_CHECKING:
    from jupyter_containers.engine.api.containers import ContainersAPI
    from jupyter_containers.engine.api.images import ImagesAPI
    from jupyter_containers.engine.api.networks import NetworksAPI
    from jupyter_containers.engine.api.volumes import VolumesAPI
    from jupyter_containers.engine.containers.container import Container
    from jupyter_containers.engine.engine import Engine
    from jupyter_containers.engine.filters import Filters
    from jupyter_containers.engine.images.image import Image
    from jupyter_containers.engine.results import (
        NetworkSummary,
        PruneResult,
        RunResult,
        VolumeSummary,
    )

T = TypeVar("T")
# In a class with a method of that name, list is not the type.
Containers: TypeAlias = "list[Container]"
Images: TypeAlias = "list[Image]"


class Collection(ABC, Generic[T]):
    """All of one kind that an engine holds."""

    @abstractmethod
    def get(self, name: str) -> T:
        """Return one; raise :class:`NotFoundError`."""

    @abstractmethod
    def _everything(self) -> list[T]: ...

    def __iter__(self) -> Iterator[T]:
        return iter(self._everything())

    def __len__(self) -> int:
        return len(self._everything())

    def __bool__(self) -> bool:
        return True

    def __getitem__(self, name: str) -> T:
        return self.get(name)

    def __contains__(self, name: object) -> bool:
        if not isinstance(name, str):
            return name in self._everything()
        try:
            self.get(name)
        except NotFoundError:
            return False
        return True

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {len(self)}>"


class ContainerCollection(Collection["Container"]):
    """All containers, running or not."""

    def __init__(self, engine: ContainersAPI) -> None:
        self._engine = engine

    def list(
        self,
        all: bool = False,
        filters: Filters | None = None,
        last: int | None = None,
        size: bool = False,
    ) -> Containers:
        """Return the running containers (or ``all``), newest first.

        With ``size`` each knows the bytes of its own files.
        """
        return self._engine.list_containers(all, filters, last, size)

    __call__ = list

    def get(self, name: str) -> Container:
        """Return the container that a name, ID or unique ID prefix means."""
        return self._engine.container(name)

    def run(
        self, image: str | Image, command: str | Sequence[str] | None = None, **flags: Any
    ) -> Container | RunResult:
        """Create and start a container; see :meth:`Engine.run`."""
        return self._engine.run(image, command, **flags)

    def create(
        self, image: str | Image, command: str | Sequence[str] | None = None, **flags: Any
    ) -> Container:
        """Create a container that can be started; see :meth:`Engine.create`."""
        return self._engine.create(image, command, **flags)

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove all containers that do not run; see :meth:`Engine.prune_containers`."""
        return self._engine.prune_containers(filters=filters)

    def to_dataframe(self, all: bool = True) -> Any:
        """Return a pandas DataFrame: a row for each container, numbers and times as such."""
        return frame_of(self(all), CONTAINER_FIELDS)

    def _everything(self) -> Containers:
        return self._engine.list_containers(True)


class ImageCollection(Collection["Image"]):
    """All images."""

    def __init__(self, engine: ImagesAPI) -> None:
        self._engine = engine

    def list(self, filters: Filters | None = None, all: bool = False) -> Images:
        """Return the images, newest first (no intermediate ones that ``all`` could add exist)."""
        return self._engine.list_images(filters, all)

    __call__ = list

    def get(self, name: str) -> Image:
        """Return the image that a name, ID, unique ID prefix or digest means."""
        return self._engine.image(name)

    def build(self, context: str | Path | bytes | Mapping[str, Any] = ".", **flags: Any) -> Image:
        """Build an image; see :meth:`Engine.build`."""
        return cast("Engine", self._engine).build(context, **flags)

    def pull(self, name: str, **flags: Any) -> Image:
        """Fetch an image from its registry; see :meth:`Engine.pull`."""
        pulled: Image = self._engine.pull(name, **flags)
        return pulled

    def push(self, name: str, **flags: Any) -> str:
        """Send an image to the registry that its name names; see :meth:`Engine.push`."""
        digest: str = self._engine.push(name, **flags)
        return digest

    def load(self, source: str | Path | BinaryIO | bytes, **flags: Any) -> Sequence[Image]:
        """Bring the images of an archive here; see :meth:`Engine.load`."""
        return self._engine.load(source, **flags)

    def remove(self, name: str, *, force: bool = False) -> Sequence[str]:
        """Remove a name, or an image with its last name; see :meth:`Engine.remove_image`."""
        return self._engine.remove_image(name, force=force)

    def prune(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove images without a name; see :meth:`Engine.prune_images`."""
        return self._engine.prune_images(all=all, filters=filters)

    def to_dataframe(self) -> Any:
        """Return a pandas DataFrame: a row for each image, sizes in bytes."""
        return frame_of(self(), IMAGE_FIELDS)

    def _everything(self) -> Images:
        return self._engine.list_images()


class VolumeCollection(Collection["VolumeSummary"]):
    """All volumes."""

    def __init__(self, engine: VolumesAPI) -> None:
        self._engine = engine

    def __call__(self, *, filters: Filters | None = None) -> list[VolumeSummary]:
        """Return the volumes; filters: ``dangling``, ``driver``, ``label``, ``name``."""
        return self._engine.list_volumes(filters=filters)

    def get(self, name: str) -> VolumeSummary:
        """Return the volume of that name."""
        return self._engine.volume(name)

    def create(self, name: str | None = None, **flags: Any) -> VolumeSummary:
        """Create a volume; see :meth:`Engine.create_volume`."""
        return self._engine.create_volume(name, **flags)

    def remove(self, name: str) -> None:
        """Remove a volume and its files; one that a container has is refused."""
        self._engine.remove_volume(name)

    def prune(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove volumes that no container has; see :meth:`Engine.prune_volumes`."""
        return self._engine.prune_volumes(all=all, filters=filters)

    def _everything(self) -> list[VolumeSummary]:
        return self._engine.list_volumes()


class NetworkCollection(Collection["NetworkSummary"]):
    """All networks, the predefined ones too."""

    def __init__(self, engine: NetworksAPI) -> None:
        self._engine = engine

    def __call__(self) -> list[NetworkSummary]:
        """Return the networks, the predefined ones first."""
        return self._engine.list_networks()

    def get(self, name: str) -> NetworkSummary:
        """Return the network that a name, ID or unique ID prefix means."""
        return self._engine.network(name)

    def create(self, name: str, **flags: Any) -> NetworkSummary:
        """Create a bridge network; see :meth:`Engine.create_network`."""
        return self._engine.create_network(name, **flags)

    def connect(self, network: str, container: str, **flags: Any) -> None:
        """Connect a container to a network; see :meth:`Engine.connect_network`."""
        self._engine.connect_network(network, container, **flags)

    def disconnect(self, network: str, container: str, *, force: bool = False) -> None:
        """Disconnect a container from a network; see :meth:`Engine.disconnect_network`."""
        self._engine.disconnect_network(network, container, force=force)

    def remove(self, name: str) -> None:
        """Remove a network that no running container uses."""
        self._engine.remove_network(name)

    def prune(self, *, filters: Filters | None = None) -> PruneResult:
        """Remove networks that no container uses; see :meth:`Engine.prune_networks`."""
        return self._engine.prune_networks(filters=filters)

    def _everything(self) -> list[NetworkSummary]:
        return self._engine.list_networks()
