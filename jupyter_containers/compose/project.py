"""A project: the contents of Compose files, typed and complete."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import hashlib, json

# Fields that can change without a new container.
_BESIDE = ("build", "depends_on", "profiles", "pull_policy", "scale")


@dataclass(frozen=True, slots=True)
class Project:
    """One application.

    ``model`` is the output of ``config --format json`` without escapes; ``environment`` are the
    variables it was read with; ``warnings`` are for the user; ``profiles`` are all in its files.
    ``files`` are the paths of its Compose files, ``-`` for a text; ``declared`` are the names of
    all services, also those of disabled profiles; ``env_files`` are the paths given instead of
    ``.env``.
    """

    name: str
    folder: str
    model: Mapping[str, Any]
    environment: Mapping[str, str]
    warnings: tuple[str, ...] = ()
    profiles: tuple[str, ...] = ()
    active_profiles: tuple[str, ...] = ()
    extensions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    files: tuple[str, ...] = ()
    declared: tuple[str, ...] = ()
    env_files: tuple[str, ...] = ()

    @property
    def services(self) -> Mapping[str, Mapping[str, Any]]:
        """The services by name."""
        found: Mapping[str, Mapping[str, Any]] = self.model["services"]
        return found

    def image(self, service: str) -> str:
        """Return the name of a service's image, or the name that its build gives the image."""
        return str(self.services[service].get("image") or f"{self.name}-{service}")

    def hash(self, service: str) -> str:
        """Return Docker Compose's config hash: the digest of the fields that shape a container."""
        return service_hash(self.services[service])


def service_hash(service: Mapping[str, Any]) -> str:
    """Return the config hash of a service's model."""
    value = {key: item for key, item in service.items() if key not in _BESIDE}
    if "deploy" in value:
        value["deploy"] = {k: v for k, v in value["deploy"].items() if k != "replicas"}
    return document_hash(value)


def document_hash(value: Mapping[str, Any]) -> str:
    """Return the SHA-256 of a value as Go writes its JSON."""
    text = json.dumps(value, separators=(",", ":"), ensure_ascii=False)
    for character in "&<>\u2028\u2029":
        text = text.replace(character, f"\\u{ord(character):04x}")
    return hashlib.sha256(text.encode()).hexdigest()
