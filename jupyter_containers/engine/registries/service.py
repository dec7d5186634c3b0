"""The service of registries: credentials, search, repositories, local registries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING

from jupyter_containers.engine.collection import Items
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.engine.containers.service import ContainerService
from jupyter_containers.engine.context import LENT, EngineContext
from jupyter_containers.engine.images.service import ImageService
from jupyter_containers.errors import UnauthorizedError
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine.images.remote import RemoteRepository
    from jupyter_containers.engine.registries.local import LocalRegistries, LocalRegistry
    from jupyter_containers.oci.descriptor import Descriptor
    from jupyter_containers.registry import Credential
    from jupyter_containers.registry.search import FoundRepository


class RegistryService:
    """Registries with this user's credentials, and those that run on this machine."""

    noun = "registries"

    def __init__(
        self, context: EngineContext, images: ImageService, containers: ContainerService
    ) -> None:
        self._context, self._images, self._containers = context, images, containers

    def login(self, registry: str, username: str, password: str) -> str:
        """Verify credentials with a registry and store them; return where (file or helper)."""
        from jupyter_containers.registry import Credential

        self.verify(registry, username, password)
        return self._context.credentials.store(registry, Credential(username, password))

    def verify(self, registry: str, username: str, password: str) -> None:
        """Raise :class:`UnauthorizedError` for credentials that a registry rejects."""
        from jupyter_containers.registry import Credential

        with self._context.registry(registry, Credential(username, password), push=True) as client:
            client.ping()

    @contextmanager
    def lending(self, credentials: Mapping[str, Credential]) -> Iterator[None]:
        """Use temporary credentials, by registry, in this thread during the block."""
        token = LENT.set(credentials)
        try:
            yield
        finally:
            LENT.reset(token)

    def relogin(self, registry: str) -> bool:
        """Return whether a registry accepts the stored credentials."""
        if self._context.credentials.get(registry) is None:
            return False
        try:
            with self._context.registry(registry, push=True) as client:
                client.ping()
        except UnauthorizedError:
            return False
        return True

    def logins(self) -> Items[str]:
        """Return the registries with stored credentials."""
        return self._context.credentials.registries()

    def logout(self, registry: str = "docker.io") -> bool:
        """Delete the stored credentials of a registry; return False if there were none."""
        return self._context.credentials.erase(registry)

    def search(
        self, term: str, *, limit: int = 25, cancel: CancelToken | None = None
    ) -> Items[FoundRepository]:
        """Return the search results of Docker Hub (or ``registry/word``), best first."""
        from jupyter_containers.engine.images.remote import search

        return search(self._context, term, limit, cancel or CancelToken())[1]

    def tags(self, repository: str, *, cancel: CancelToken | None = None) -> Items[str]:
        """Return the tags of a repository in its registry."""
        from jupyter_containers.engine.images.remote import tags

        return tags(self._context, repository, cancel or CancelToken())

    def repositories(
        self, registry: str, *, cancel: CancelToken | None = None
    ) -> Items[RemoteRepository]:
        """Return a registry's repositories with their tags."""
        from jupyter_containers.engine.images.remote import repositories

        return repositories(self._context, registry, cancel or CancelToken())

    def referrers(
        self, name: str, *, artifact_type: str = "", cancel: CancelToken | None = None
    ) -> tuple[Descriptor, ...]:
        """Return the referrers of an image in its registry: signatures, bills of materials."""
        from jupyter_containers.engine.images.remote import referrers

        return referrers(self._context, name, artifact_type, cancel or CancelToken())

    def remove(self, name: str, *, cancel: CancelToken | None = None) -> str:
        """Remove an image from its registry, but not from the store; return its digest."""
        from jupyter_containers.engine.images.remote import remove

        return remove(self._context, name, cancel or CancelToken())

    def start(
        self,
        name: str = "registry",
        *,
        publish: str = "5000",
        volume: str = "",
        image: str = "",
        auth: bool = True,
        emit: EventSink = discard,
    ) -> LocalRegistry:
        """Run a registry on this machine, or return the running one of that name.

        ``publish`` is ``[address:]port`` (0 for a free one), ``volume`` stores the data (by default
        a volume of the registry's name).  Without ``image`` one is created from Debian's packages.
        The registry requires a random password, which this engine knows and returns; without
        ``auth``, everyone who can reach the port can push to it.
        """
        from jupyter_containers.engine.registries.local import IMAGE

        if not image:
            image = IMAGE
            if self._images.catalog.lookup(image) is None:
                self._images.bootstrap(image, emit=emit)
        return self._local.start(name, image, publish, volume or f"{name}-data", auth=auth)

    def stop(self, name: str = "registry") -> Container:
        """Stop and remove a registry started by :meth:`start`; keep its volume."""
        return self._local.stop(name)

    def list(self) -> Items[LocalRegistry]:
        """Return the registries that run here."""
        return self._local.all()

    @cached_property
    def _local(self) -> LocalRegistries:
        from jupyter_containers.engine.registries.local import LocalRegistries

        return LocalRegistries(self._context, self._containers)
