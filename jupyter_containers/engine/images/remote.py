"""Operations on registries without pulling: search, tags, removal."""

from __future__ import annotations

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.catalog import whole_repository
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.descriptor import Descriptor, Platform
from jupyter_containers.oci.image import Index, parse_manifest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.registry.search import FoundRepository, check_limit, split_term


@dataclass(frozen=True, slots=True)
class RemoteRepository:
    """A repository of a registry with its tags."""

    registry: str
    repository: str
    tags: tuple[str, ...]

    @property
    def name(self) -> str:
        """The repository's name as written in commands."""
        return Reference(self.registry, self.repository).familiar_name


@dataclass(frozen=True, slots=True)
class Distributed:
    """An image as its registry has it: its manifest or index, and what it is made for."""

    descriptor: Descriptor
    platforms: tuple[Platform, ...]


def search(
    context: EngineContext, term: str, limit: int, cancel: CancelToken
) -> tuple[str, list[FoundRepository]]:
    """Return the registry of ``[registry/]word`` and its search results, best first."""
    check_limit(limit)
    registry, word = split_term(term)
    with context.registry(registry, cancel=cancel, search=True) as client:
        return registry, client.search(word, limit)


def tags(context: EngineContext, name: str, cancel: CancelToken) -> list[str]:
    """Return the tags of a repository, sorted; not every registry sorts them."""
    reference = whole_repository(name)
    with context.registry(
        reference.registry, cancel=cancel, repository=reference.repository
    ) as client:
        return sorted(client.tags(reference.repository))


def repositories(
    context: EngineContext, registry: str, cancel: CancelToken
) -> list[RemoteRepository]:
    """Return a registry's repositories with their tags."""
    with context.registry(registry, cancel=cancel) as client:
        return [
            RemoteRepository(registry, name, tuple(sorted(client.tags(name))))
            for name in client.catalog()
        ]


def referrers(
    context: EngineContext, name: str, artifact_type: str, cancel: CancelToken
) -> tuple[Descriptor, ...]:
    """Return the referrers of an image in its registry: signatures, bills of materials."""
    reference = Reference.parse(name)
    repository = reference.repository
    with context.registry(reference.registry, cancel=cancel, repository=repository) as client:
        digest = reference.digest or client.resolve(repository, reference.tag or "latest").digest
        return client.referrers(repository, digest, artifact_type)


def remove(context: EngineContext, name: str, cancel: CancelToken) -> str:
    """Remove an image from its registry; return its digest."""
    reference = Reference.parse(name)
    repository = reference.repository
    with context.registry(
        reference.registry, cancel=cancel, repository=repository, push=True
    ) as client:
        if reference.digest:
            client.delete_manifest(repository, reference.digest)
            return reference.digest
        return client.delete_tag(repository, reference.tag or "latest")


def describe(context: EngineContext, name: str, cancel: CancelToken) -> Distributed:
    """Return what a registry has under a name, without pulling the image."""
    from jupyter_containers.engine.images.manifest_lists import platform_in

    reference = Reference.parse(name)
    repository, wanted = reference.repository, reference.digest or reference.tag or "latest"
    with context.registry(reference.registry, cancel=cancel, repository=repository) as client:
        raw = client.manifest(repository, wanted)
        document = parse_manifest(raw)
        descriptor = Descriptor(raw.media_type, raw.digest, len(raw.data))
        if isinstance(document, Index):
            platforms = [entry.platform for entry in document.manifests if entry.platform]
            return Distributed(descriptor, tuple(platforms))
        return Distributed(descriptor, (platform_in(client, repository, document),))
