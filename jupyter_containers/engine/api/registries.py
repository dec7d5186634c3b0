"""What an engine does with registries besides pull and push: search, lists, one of its own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from jupyter_containers.engine.api.builds import BuildsAPI
from jupyter_containers.engine.api.containers import ContainersAPI
from jupyter_containers.engine.containers.container import Container
from jupyter_containers.events import CancelToken, EventSink, discard

if TYPE_CHECKING:
    from jupyter_containers.engine.images.manifest_lists import ManifestLists
    from jupyter_containers.engine.images.remote import RemoteRepository
    from jupyter_containers.engine.registry_logins import RegistryLogin
    from jupyter_containers.engine.workloads.local_registry import LocalRegistry
    from jupyter_containers.oci.descriptor import Descriptor, RawDocument
    from jupyter_containers.registry.search import FoundRepository


class RegistriesAPI(ContainersAPI, BuildsAPI):
    """What an engine does with registries."""

    def search(
        self, term: str, *, limit: int = 25, cancel: CancelToken | None = None
    ) -> list[FoundRepository]:
        """Return the repositories that Docker Hub (or ``registry/word``) finds, best first."""
        from jupyter_containers.engine.images.remote import search

        return search(self._rooms, term, limit, cancel or CancelToken())[1]

    def registry_tags(self, repository: str, *, cancel: CancelToken | None = None) -> list[str]:
        """Return the tags that a repository has in its registry."""
        from jupyter_containers.engine.images.remote import tags

        return tags(self._rooms, repository, cancel or CancelToken())

    def registry_repositories(
        self, registry: str, *, cancel: CancelToken | None = None
    ) -> list[RemoteRepository]:
        """Return what a registry lists, with the tags of each repository."""
        from jupyter_containers.engine.images.remote import repositories

        return repositories(self._rooms, registry, cancel or CancelToken())

    def registry_referrers(
        self, name: str, *, artifact_type: str = "", cancel: CancelToken | None = None
    ) -> tuple[Descriptor, ...]:
        """Return what points at an image in its registry: signatures, bills of materials."""
        from jupyter_containers.engine.images.remote import referrers

        return referrers(self._rooms, name, artifact_type, cancel or CancelToken())

    def registry_remove(self, name: str, *, cancel: CancelToken | None = None) -> str:
        """Remove an image from its registry (not from here); return its digest."""
        from jupyter_containers.engine.images.remote import remove

        return remove(self._rooms, name, cancel or CancelToken())

    def registry_start(
        self,
        name: str = "registry",
        *,
        publish: str = "5000",
        volume: str = "",
        image: str = "",
        auth: bool = True,
        emit: EventSink = discard,
    ) -> LocalRegistry:
        """Run a registry on this machine, or find the one of that name that runs.

        ``publish`` is ``[address:]port`` (0 for a free one), ``volume`` keeps what is pushed (by
        default one of the registry's name).  Without ``image`` one is made from Debian's packages.
        It asks for a random password, which this engine knows and which is in the result; without
        ``auth`` everybody who reaches the port can push to it.
        """
        from jupyter_containers.engine.workloads.local_registry import IMAGE, start

        if not image:
            image = IMAGE
            if self._images.lookup(image) is None:
                self.bootstrap(image, emit=emit)
        return start(self, name, image, publish, volume or f"{name}-data", auth=auth)

    def registry_stop(self, name: str = "registry") -> Container:
        """Stop and remove a registry that :meth:`registry_start` runs; its volume stays."""
        from jupyter_containers.engine.workloads.local_registry import stop

        return stop(self, name)

    def local_registries(self) -> list[LocalRegistry]:
        """Return the registries that run here."""
        from jupyter_containers.engine.workloads.local_registry import running

        return running(self)

    def registry_login(self, container: str) -> RegistryLogin | None:
        """Return the login of a registry that runs here, by its container's id."""
        return self._rooms.registry_logins.get(container)

    def note_registry_login(self, login: RegistryLogin) -> None:
        """Keep the login of a registry that runs here; forget those of containers that are gone."""
        for one in self._rooms.registry_logins.all():
            if self._rooms.containers.get(one.id) is None:
                self.forget_registry_login(one.id)
        self._rooms.registry_logins.insert(login.id, None, login)

    def forget_registry_login(self, container: str) -> None:
        """Forget the login of a registry that is gone."""
        self._rooms.registry_logins.delete(container)

    def _lists(self, insecure: bool = False) -> ManifestLists:
        from jupyter_containers.engine.images.manifest_lists import ManifestLists

        return ManifestLists(self._rooms, self._images, insecure=insecure)

    def manifest_create(
        self,
        name: str,
        images: Sequence[str],
        *,
        amend: bool = False,
        insecure: bool = False,
        cancel: CancelToken | None = None,
    ) -> RawDocument:
        """Draft a list that makes one name serve several platforms; return its document."""
        lists = self._lists(insecure)
        return lists.create(name, images, amend=amend, cancel=cancel or CancelToken()).document()

    def manifest_annotate(
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
        """Change what a draft says about the platform of one of its images."""
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

    def manifest_inspect(
        self,
        name: str,
        image: str = "",
        *,
        insecure: bool = False,
        cancel: CancelToken | None = None,
    ) -> RawDocument | Descriptor:
        """Return a manifest or list as it is, of a draft or of a registry.

        With ``image``, return what the draft ``name`` says about that image.
        """
        lists = self._lists(insecure)
        if image:
            return lists.inspect_entry(name, image)
        return lists.inspect(name, cancel or CancelToken())

    def manifest_push(
        self,
        name: str,
        *,
        purge: bool = False,
        insecure: bool = False,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
    ) -> str:
        """Send a draft, and the images that it names, to its registry; return the list's digest."""
        return self._lists(insecure).push(
            name, purge=purge, emit=emit, cancel=cancel or CancelToken()
        )

    def manifest_remove(self, name: str) -> None:
        """Drop a draft."""
        self._lists().remove(name)
