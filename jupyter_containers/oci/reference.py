"""Image references: ``[registry[:port]/]path[:tag][@digest]``, parsed as Docker does.

Follows the grammar of OCI Distribution Specification 1.1, "Pulling manifests", and Docker's
defaults: registry ``docker.io``, ``library/`` in front of one-part names there, tag ``latest``.
"""

from __future__ import annotations

import re

from jupyter_containers.errors import InvalidReferenceError
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.descriptor import validate_digest

DEFAULT_REGISTRY = "docker.io"
DEFAULT_TAG = "latest"

_COMPONENT = r"[a-z0-9]+(?:(?:\.|_|__|-+)[a-z0-9]+)*"
_PATH = pattern(rf"{_COMPONENT}(?:/{_COMPONENT})*")
_TAG = pattern(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_REGISTRY = pattern(
    r"(?:[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)*"
    r"|\[[0-9A-Fa-f:]+\])(?::[0-9]{1,5})?"
)
_MAX_NAME = 255


@dataclass(frozen=True, slots=True)
class Reference:
    """A complete reference: registry and repository are always set, tag and digest may not be."""

    registry: str
    repository: str
    tag: str | None = None
    digest: str | None = None

    @classmethod
    def parse(cls, text: str) -> Reference:
        """Return the reference in ``text``; with tag ``latest`` if it names none.

        Raises :class:`InvalidReferenceError`, which names the wrong part.
        """
        name, digest = text, None
        if "@" in text:
            name, digest = text.split("@", 1)
            try:
                digest = validate_digest(digest)
            except ValueError as error:
                raise InvalidReferenceError(f"invalid reference {text!r}: {error}") from error
        tag = None
        slash, colon = name.rfind("/"), name.rfind(":")
        if colon > slash:
            name, tag = name[:colon], name[colon + 1 :]
            if not _TAG.fullmatch(tag):
                raise InvalidReferenceError(f"invalid reference {text!r}: bad tag {tag!r}")
        registry, repository = _split_registry(name)
        _check_names(text, registry, repository)
        if tag is None and digest is None:
            tag = DEFAULT_TAG
        return cls(registry, repository, tag, digest)

    @property
    def familiar_name(self) -> str:
        """The repository as Docker prints it: ``docker.io`` and ``library/`` left out."""
        if self.registry == DEFAULT_REGISTRY:
            return _bare(self.repository)
        return f"{self.registry}/{self.repository}"

    @property
    def familiar(self) -> str:
        """The whole reference as Docker prints it."""
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.familiar_name}{tag}{digest}"

    @property
    def name(self) -> str:
        """The full name, registry and repository: the key under which images are recorded."""
        return f"{self.registry}/{self.repository}"

    def with_tag(self, tag: str) -> Reference:
        """Return this reference with another tag and no digest."""
        return replace(self, tag=tag, digest=None)

    def with_digest(self, digest: str) -> Reference:
        """Return this reference with a digest and no tag."""
        return replace(self, tag=None, digest=digest)

    def __str__(self) -> str:
        tag = f":{self.tag}" if self.tag else ""
        digest = f"@{self.digest}" if self.digest else ""
        return f"{self.name}{tag}{digest}"


def is_tag(text: str) -> bool:
    """Return whether ``text`` is a valid tag."""
    return _TAG.fullmatch(text) is not None


def is_repository(text: str) -> bool:
    """Return whether ``text`` is a valid repository name within a registry."""
    return len(text) <= _MAX_NAME and _PATH.fullmatch(text) is not None


def _split_registry(name: str) -> tuple[str, str]:
    first, _, rest = name.partition("/")
    is_registry = rest and (
        "." in first or ":" in first or first == "localhost" or first.lower() != first
    )
    registry, path = (first, rest) if is_registry else (DEFAULT_REGISTRY, name)
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DEFAULT_REGISTRY
    if registry == DEFAULT_REGISTRY and "/" not in path:
        path = f"library/{path}"
    return registry, path


def _bare(repository: str) -> str:
    """Return a Docker Hub repository without the implied ``library/``."""
    name = repository.removeprefix("library/")
    return repository if "/" in name else name  # library/foo/bar is not foo/bar


def _check_names(text: str, registry: str, repository: str) -> None:
    if not _REGISTRY.fullmatch(registry):
        raise InvalidReferenceError(f"invalid reference {text!r}: bad registry {registry!r}")
    bare = _bare(repository)
    if not _PATH.fullmatch(repository):
        hint = f"repository names are lower case: {bare.lower()}" if bare != bare.lower() else ""
        raise InvalidReferenceError(
            f"invalid reference {text!r}: bad repository name {bare!r}", hint=hint
        )
    if len(repository) > _MAX_NAME:  # the registry does not count
        raise InvalidReferenceError(
            f"invalid reference: repository name longer than {_MAX_NAME} characters"
        )
    if re.fullmatch(r"[0-9a-f]{64}", text):
        raise InvalidReferenceError(
            f"invalid reference {text!r}: 64 hexadecimal characters are an image ID, not a name"
        )
