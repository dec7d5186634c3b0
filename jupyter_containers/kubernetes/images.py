"""The image of a container as the nodes of a cluster pull it.

:meth:`ImageSource.published` is the one way from an image's name to what a pod names.
"""

from __future__ import annotations

from functools import cached_property

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.errors import ContainersError, ImageNotFoundError, RegistryError
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.image import (
    ExecutionConfig,
    Index,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import Reference
from jupyter_containers.settings import Settings


@dataclass(frozen=True, slots=True)
class Published:
    """An image in a registry: ``reference`` names it by digest, as the nodes pull it.

    ``known`` is false if the registry does not answer this machine; then ``reference`` is the name
    as given and ``config`` is empty.  ``secrets`` are the pull secrets that a pod needs.
    """

    reference: str
    config: ExecutionConfig = field(default_factory=ExecutionConfig)
    digest: str = ""
    image_id: str = ""
    known: bool = False
    secrets: tuple[str, ...] = ()


class ImageSource:
    """The images that pods can name."""

    def __init__(self, cluster: Cluster, settings: Settings) -> None:
        self._cluster, self._settings = cluster, settings

    @cached_property
    def _context(self) -> EngineContext:
        return EngineContext(self._settings)

    def published(
        self,
        image: str,
        *,
        platform: str = "",
        emit: EventSink = discard,  # noqa: ARG002  # for pushes
        cancel: CancelToken | None = None,
    ) -> Published:
        """Return an image as pods name it; raise :class:`ImageNotFoundError`.

        A name without a registry is one of the context's registry, if it has one.
        """
        reference = self._reference(image)
        try:
            return self._resolved(reference, platform, cancel)
        except ImageNotFoundError:
            raise
        except (RegistryError, OSError):
            # The nodes may reach a registry, or have an account there, that this machine has not.
            return Published(str(reference))

    def _reference(self, image: str) -> Reference:
        reference = Reference.parse(image)
        prefix = self._cluster.endpoint.registry.strip("/")
        if not prefix or reference.registry != "docker.io" or image.startswith("docker.io/"):
            return reference
        text = f"{prefix}/{image}"
        return Reference.parse(text)

    def _resolved(
        self, reference: Reference, platform: str, cancel: CancelToken | None
    ) -> Published:
        wished = Platform.parse(platform) if platform else Platform("amd64", "linux")
        with self._context.registry(
            reference.registry, cancel=cancel, repository=reference.repository
        ) as client:
            wanted = reference.digest or reference.tag or "latest"
            document = client.manifest(reference.repository, wanted)
            found = parse_manifest(document)
            pinned = document.digest
            if isinstance(found, Index):
                chosen = found.select(wished)
                if chosen is None:
                    raise ImageNotFoundError(f"{reference} has no image for {wished}")
                pinned = document.digest
                found = parse_manifest(client.manifest(reference.repository, chosen.digest))
            if isinstance(found, Index):
                raise ContainersError(f"{reference} is an index of indexes")
            with client.blob(reference.repository, found.config) as reader:
                raw = b"".join(reader)
            config = parse_image_config(raw)
        return Published(
            str(reference.with_digest(pinned)),
            config.config,
            pinned,
            found.config.digest,
            known=True,
        )

    def close(self) -> None:
        """Close the store, if it was opened."""
        if "_context" in self.__dict__:
            self._context.close()
