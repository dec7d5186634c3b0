"""Digests, media types, platforms and descriptors (OCI Image Specification 1.1).

A *digest* names bytes as they are stored or sent (``sha256:<64 hex>``).  A layer's *diff_id* is the
digest of its uncompressed tar; its *chain_id* names the stack of layers up to it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import msgspec

from jupyter_containers.errors import InvalidArgumentError, InvalidDigestError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.lazy_patterns import pattern

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
EMPTY = "application/vnd.oci.empty.v1+json"
LAYER_TAR = "application/vnd.oci.image.layer.v1.tar"
LAYER_GZIP = "application/vnd.oci.image.layer.v1.tar+gzip"
LAYER_ZSTD = "application/vnd.oci.image.layer.v1.tar+zstd"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
DOCKER_LAYER = "application/vnd.docker.image.rootfs.diff.tar.gzip"
DOCKER_LAYER_TAR = "application/vnd.docker.image.rootfs.diff.tar"
DOCKER_FOREIGN_LAYER = "application/vnd.docker.image.rootfs.foreign.diff.tar.gzip"

MANIFEST_TYPES = (MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (INDEX, DOCKER_LIST)
MAX_MANIFEST_BYTES = 4 * 1024 * 1024

_DIGEST = pattern(r"sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128}")


def validate_digest(text: str) -> str:
    """Return ``text`` if it is a digest; raise :class:`InvalidDigestError` otherwise."""
    if not isinstance(text, str) or not _DIGEST.fullmatch(text):
        raise InvalidDigestError(f"not a digest: {str(text)[:80]!r}")
    return text


def is_digest(text: str) -> bool:
    """Return whether ``text`` is a digest."""
    return _DIGEST.fullmatch(text) is not None


def digest_of(data: bytes) -> str:
    """Return the sha256 digest of ``data``."""
    return "sha256:" + hashlib.sha256(data).hexdigest()


def chain_id(diff_ids: Sequence[str]) -> str:
    """Return the chain ID of a stack of layers, lowest first; empty text for no layers.

    OCI Image Specification 1.1, "Layer ChainID".
    """
    current = ""
    for diff_id in diff_ids:
        current = digest_of(f"{current} {diff_id}".encode()) if current else diff_id
    return current


def short_id(digest: str) -> str:
    """Return the 12 hexadecimal characters by which IDs and digests are usually shown."""
    return digest.rpartition(":")[2][:12]


class Platform(msgspec.Struct, frozen=True, omit_defaults=True):
    """Operating system and architecture in Go's words (``linux``, ``amd64``, ``arm64/v8``)."""

    architecture: str
    os: str
    variant: str = ""
    os_version: str = msgspec.field(default="", name="os.version")
    os_features: tuple[str, ...] = msgspec.field(default=(), name="os.features")

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Return the platform named by ``os[/architecture[/variant]]`` or ``architecture``."""
        parts = text.lower().split("/")
        if not all(re.fullmatch(r"[a-z0-9_.-]+", part) for part in parts) or len(parts) > 3:
            raise InvalidArgumentError(
                f"not a platform: {text!r}", hint="write it as linux/amd64 or linux/arm64/v8"
            )
        if len(parts) == 1:
            known = {*_MACHINES, *_ARCHITECTURES}
            if parts[0] not in (*_SYSTEMS, *known):
                raise InvalidArgumentError(
                    f"not a platform: {text!r}: unknown operating system or architecture",
                    hint="write it as linux/amd64 or linux/arm64/v8",
                )
            parts = ["linux", *parts] if parts[0] in known else [*parts, host_architecture()]
        os_name, machine, *variant = parts
        architecture, implied = _normalised(machine)
        return cls(architecture, os_name, variant[0] if variant else implied)

    @classmethod
    def host(cls) -> Platform:
        """Return the platform of this machine."""
        architecture, variant = _normalised(host_machine())
        return cls(architecture, "linux", variant)

    def __str__(self) -> str:
        return "/".join(part for part in (self.os, self.architecture, self.variant) if part)

    def match_score(self, offered: Platform) -> int:
        """Return how well ``offered`` matches this platform: 0 for not at all, higher is better."""
        if (self.os, self.architecture) != (offered.os, offered.architecture):
            return 0
        wished = self.variant or _DEFAULT_VARIANT.get(self.architecture, "")
        given = offered.variant or _DEFAULT_VARIANT.get(offered.architecture, "")
        if wished == given:
            return 100
        if self.architecture == "arm" and given < wished:
            return 50 + int(given[1:]) if re.fullmatch("v[0-9]{1,2}", given) else 1
        if self.architecture in ("amd64", "arm64"):
            return 40 if not offered.variant else (10 if given < wished else 0)
        return 0


_DEFAULT_VARIANT = {"arm": "v7", "arm64": "v8", "amd64": "v1"}
_MACHINES = {
    "x86_64": ("amd64", ""),
    "x86-64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "armhf": ("arm", "v7"),
    "armv7l": ("arm", "v7"),
    "armel": ("arm", "v6"),
    "armv6l": ("arm", "v6"),
    "i386": ("386", ""),
    "i686": ("386", ""),
}


# Go's names, as far as images exist for them (containerd's platforms).
_SYSTEMS = ("linux", "windows", "darwin", "freebsd")
_ARCHITECTURES = (
    *("386", "amd64", "arm", "arm64", "loong64", "mips", "mips64", "mips64le", "mipsle"),
    *("ppc64", "ppc64le", "riscv64", "s390x", "wasm"),
)


def _normalised(machine: str) -> tuple[str, str]:
    return _MACHINES.get(machine, (machine, ""))


def host_machine() -> str:
    """Return the kernel's name for this machine's architecture."""
    import os

    return os.uname().machine


def host_architecture() -> str:
    """Return Go's name for this machine's architecture."""
    return _normalised(host_machine())[0]


class Descriptor(msgspec.Struct, frozen=True, omit_defaults=True, rename="camel"):
    """A reference to fetch and verify a blob (OCI Image Specification 1.1, descriptor.md)."""

    media_type: str
    digest: str
    size: int
    urls: tuple[str, ...] = ()
    annotations: dict[str, str] = {}
    data: str = ""
    platform: Platform | None = None
    artifact_type: str = ""

    def checked(self) -> Descriptor:
        """Return self; raise :class:`VerificationError` if digest or size is not acceptable."""
        validate_digest(self.digest)
        if self.size < 0:
            raise InvalidDigestError(f"descriptor of {self.digest} has a negative size")
        return self


@dataclass(frozen=True, slots=True)
class RawDocument:
    """A JSON document exactly as received, with its media type."""

    data: bytes
    media_type: str

    @property
    def digest(self) -> str:
        """The digest of the bytes."""
        return digest_of(self.data)

    @property
    def descriptor(self) -> Descriptor:
        """The descriptor of the bytes."""
        return Descriptor(self.media_type, self.digest, len(self.data))


def encode_json(value: Any) -> bytes:
    """Return compact JSON with fields in declaration order, the form of the blobs we write."""
    return msgspec.json.encode(value)
