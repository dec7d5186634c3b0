"""The image of a container as the nodes of a cluster pull it.

:meth:`ImageSource.published` is the one way from an image's name to what a pod names.  An image of
this machine's store travels by itself: unless its registry or the context's has it already (one
HEAD request by digest), it is pushed to the context's registry, with its index if all images of
that are here, so that each node takes the one for itself.  Other names are used as they are.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import TYPE_CHECKING

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.images.indexes import NamePush, for_platform, whole_index
from jupyter_containers.errors import (
    ClusterForbiddenError,
    ContainersError,
    ImageNotFoundError,
    InvalidReferenceError,
    NotFoundError,
    RegistryError,
    UnsupportedError,
)
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.pull_secrets import PullSecrets
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Platform
from jupyter_containers.oci.image import (
    ExecutionConfig,
    Index,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import DEFAULT_REGISTRY, Reference
from jupyter_containers.settings import Settings
from jupyter_containers.store import ImageRecord

if TYPE_CHECKING:
    from lightkube.resources.core_v1 import Pod

_LIBRARY = "library/"


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


def name_of(image: str, record: ImageRecord, names: Sequence[str]) -> Reference:
    """Return the name of a stored image: as it was given, its first one, or one made of its ID."""
    try:
        given: Reference | None = Reference.parse(image)
    except InvalidReferenceError:
        given = None
    known = sorted(names)
    if given is not None and str(given.with_tag(given.tag or "latest")) in known:
        return given
    if known:
        return Reference.parse(known[0])
    return Reference(DEFAULT_REGISTRY, f"{_LIBRARY}untagged", record.config_digest[7:19])


def destination(name: Reference, registry: str) -> Reference | None:
    """Return an image's name in a context's registry (``HOST/PREFIX``); None if it has none.

    Images of other registries than Docker Hub have the registry's name before their own.
    """
    prefix = registry.strip("/")
    if not prefix:
        return None
    host, _, folder = prefix.partition("/")
    if name.registry == host and f"{name.repository}/".startswith(f"{folder}/" if folder else ""):
        return name.with_tag(name.tag or "latest")
    repository = name.repository.removeprefix(_LIBRARY)
    if name.registry != DEFAULT_REGISTRY:
        repository = f"{name.registry.replace(':', '-').lower()}/{repository}"
    return Reference.parse(f"{prefix}/{repository}:{name.tag or 'latest'}")


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
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> Published:
        """Return an image as pods name it; raise :class:`ImageNotFoundError`.

        A name without a registry is an image of this machine, else one of the context's registry,
        if it has one.
        """
        record = Images(self._context).lookup(image)
        if record is not None:
            return self._of_store(image, record, platform, emit, cancel or CancelToken())
        reference = self._reference(image)
        try:
            return self._resolved(reference, platform, cancel)
        except ImageNotFoundError:
            raise
        except (RegistryError, OSError):
            # The nodes may reach a registry, or have an account there, that this machine has not.
            return Published(str(reference), secrets=self.pull_secrets(reference))

    def image_id(self, image: str) -> str:
        """Return the ID of an image, here or in a registry; empty if it is not known."""
        record = Images(self._context).lookup(image)
        if record is not None:
            return record.config_digest
        return self.published(image).image_id

    def _reference(self, image: str) -> Reference:
        reference = Reference.parse(image)
        prefix = self._cluster.endpoint.registry.strip("/")
        if not prefix or reference.registry != DEFAULT_REGISTRY or image.startswith("docker.io/"):
            return reference
        text = f"{prefix}/{image}"
        return Reference.parse(text)

    def _of_store(
        self,
        image: str,
        record: ImageRecord,
        platform: str,
        emit: EventSink,
        cancel: CancelToken,
    ) -> Published:
        """Return an image of this machine's store, pushed if no registry is known to have it."""
        context, wished = self._context, Platform.parse(platform) if platform else None
        if wished is not None:
            record = for_platform(context, record, wished)
        whole = None if wished is not None else whole_index(context, record)
        digest = whole[0].digest if whole is not None else record.manifest.digest
        name = name_of(image, record, list(Images(context).names_of(record)))
        target = destination(name, self._cluster.endpoint.registry)
        if target is None or target.registry != name.registry:
            # Perhaps it was pulled: then nodes can do the same.
            own = name if name.registry != DEFAULT_REGISTRY else None
            if own is not None and self._has(own, digest, cancel):
                return self._pinned(own, digest, record)
        if target is None:
            raise UnsupportedError(
                f"the image {image} is only on this machine, and the context"
                f" {self._cluster.name} has no registry to push it to",
                capability="a registry of the context",
                provided_by=f"context update {self._cluster.name}"
                " --kubernetes registry=HOST/PREFIX",
            )
        if not self._has(target, digest, cancel):
            digest = NamePush(context, emit, cancel, platform=wished).push(record, target)
        return self._pinned(target, digest, record)

    def _has(self, reference: Reference, digest: str, cancel: CancelToken) -> bool:
        """Return whether a repository has a manifest or index; false if it does not answer."""
        repository = reference.repository
        try:
            with self._context.registry(
                reference.registry, cancel=cancel, repository=repository
            ) as client:
                client.resolve(repository, digest)
        except (RegistryError, NotFoundError):
            return False
        return True

    def _pinned(self, reference: Reference, digest: str, record: ImageRecord) -> Published:
        pinned = reference.with_digest(digest)
        return Published(
            str(pinned),
            Images(self._context).config(record).config,
            record.manifest.digest,
            record.config_digest,
            known=True,
            secrets=self.pull_secrets(pinned),
        )

    def pull_secrets(self, reference: Reference | str) -> tuple[str, ...]:
        """Return the pull secrets for an image, made from this user's credentials."""
        if isinstance(reference, str):
            reference = Reference.parse(reference)
        credential = self._context.credentials.get(reference.registry, reference.repository)
        if credential is None:
            return ()
        try:
            return (PullSecrets(self._cluster).provide(reference.registry, credential),)
        except ClusterForbiddenError:
            # Perhaps the nodes need none; if they do, the pod says that it cannot pull.
            return ()

    def credentials(self, registries: Iterable[str]) -> dict[str, tuple[str, str, str]]:
        """Return this user's credentials for registries: name, secret, identity token."""
        found = {name: self._context.credentials.get(name) for name in sorted(registries)}
        return {
            name: (one.username, one.secret, one.identity_token)
            for name, one in found.items()
            if one is not None
        }

    def own(self, secrets: tuple[str, ...], pod: Pod) -> None:
        """Let pull secrets go with the last pod that needs them."""
        for name in secrets:
            PullSecrets(self._cluster).own(name, pod)

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
            secrets=self.pull_secrets(reference),
        )

    def close(self) -> None:
        """Close the store, if it was opened."""
        if "_context" in self.__dict__:
            self._context.close()
