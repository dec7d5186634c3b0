"""A project: what Compose files say, typed and complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# What does not make a container another one when it changes.
_BESIDE = ("build", "depends_on", "profiles", "pull_policy", "scale")


@dataclass(frozen=True, slots=True)
class Project:
    """One application.

    ``model`` is what ``config --format json`` shows, without escapes; ``environment`` are the
    variables it was read with; ``warnings`` are for the user; ``profiles`` all that its files name.
    ``files`` are the paths of its Compose files, ``-`` for a text; ``declared`` are the names of
    all services, those of profiles that are not enabled too; ``env_files`` are the paths that were
    given in place of ``.env``.
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
        """Return the name of a service's image: its own, or that of its build."""
        return str(self.services[service].get("image") or f"{self.name}-{service}")

    def hash(self, service: str) -> str:
        """Return the digest of what makes a service's containers: Docker Compose's config hash."""
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
