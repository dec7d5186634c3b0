"""Checks of the documents that registries send.

Manifests are kept as bytes; only the facts needed to trust them are read here: their digest, their
size, and the media type that they declare.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from jupyter_containers.errors import (
    DigestMismatchError,
    RegistryError,
    UnsupportedError,
    VerificationError,
)
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.oci.decoding import DECODE_ERRORS, decode_json
from jupyter_containers.oci.descriptor import (
    INDEX,
    INDEX_TYPES,
    MANIFEST,
    MANIFEST_TYPES,
    MAX_MANIFEST_BYTES,
)
from jupyter_containers.registry.transport import Request

MAX_LIST_BYTES = 16 * 1024 * 1024
KNOWN_TYPES = (*MANIFEST_TYPES, *INDEX_TYPES)
_SCHEMA_1 = "application/vnd.docker.distribution.manifest.v1"


def next_page(header: str) -> str:
    """Return the target of ``rel="next"`` in a ``Link`` header (RFC 8288), or empty text."""
    for target, parameters in re.findall(r"<([^<>]*)>([^<]*)", header[:16384]):
        if re.search(r";\s*rel\s*=\s*\"?next\b", parameters, re.IGNORECASE):
            return str(target)
    return ""


def list_page(data: bytes, request: Request) -> dict[str, Any]:
    """Return one page of a list; raise :class:`RegistryError` if it is malformed."""
    try:
        document = decode_json(data) if len(data) <= MAX_LIST_BYTES else None
    except DECODE_ERRORS:
        document = None
    if not isinstance(document, dict):
        raise RegistryError("the registry sent a malformed list", request=str(request))
    return document


def names_of(page: dict[str, Any], key: str, fits: Callable[[str], bool]) -> list[str]:
    """Return the names in a page of a list, each of the form that ``fits``.

    They become parts of URLs and records, so :class:`VerificationError` is raised for any other
    form.  Some registries write null for an empty list.
    """
    names = page.get(key) or []
    if not isinstance(names, list):
        raise VerificationError(f"the registry sent a malformed list of {key}")
    for name in names:
        if not isinstance(name, str) or not fits(name):
            raise VerificationError(
                f"the registry sent {str(name)[:80]!r} in a list of {key}, which is no valid name"
            )
    return names


def media_type_of(data: bytes, header: str, name: str) -> str:
    """Return the document's media type: its own, the header's, or the one implied by its form.

    OCI Image Specification 1.1, manifest.md: header and ``mediaType`` must agree.
    """
    try:
        document = decode_json(data)
    except DECODE_ERRORS as error:
        raise VerificationError(f"{name} is not JSON") from error
    if not isinstance(document, dict):
        raise VerificationError(f"{name} is not a manifest")
    told, own = bare_type(header), document.get("mediaType")
    if told.startswith(_SCHEMA_1) or document.get("schemaVersion") == 1:
        raise UnsupportedError(
            f"{name} has the obsolete image format schema 1",
            capability="Docker image manifest version 2, schema 1",
            hint="push it again with a current engine",
        )
    if isinstance(own, str) and own:
        if told in KNOWN_TYPES and told != own:
            raise VerificationError(f"{name} was sent as {told} but declares {own[:100]}")
        return own
    if told in KNOWN_TYPES:
        return told
    if "manifests" in document:
        return INDEX
    if "config" in document and "layers" in document:
        return MANIFEST
    raise VerificationError(f"{name} is not a manifest ({told[:100] or 'no media type'})")


def bare_type(content_type: str) -> str:
    """Return a ``Content-Type`` without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def check_digest(data: bytes, digest: str, name: str) -> None:
    """Raise if ``digest`` uses a known algorithm and ``data`` has another digest."""
    algorithm, _, wanted = digest.partition(":")
    if algorithm not in ("sha256", "sha512"):
        return
    found = hashlib.new(algorithm, data).hexdigest()
    if found != wanted:
        raise DigestMismatchError(f"{name} has the digest {algorithm}:{found}, not {digest[:140]}")


def too_large(repository: str, reference: str) -> VerificationError:
    """Return the error for a manifest over the limit."""
    return VerificationError(
        f"{named(repository, reference)} is larger than {MAX_MANIFEST_BYTES // 2**20} MiB"
    )


def named(repository: str, reference: str) -> str:
    """Return the usual notation of a repository with a tag or digest."""
    return f"{repository}{'@' if ':' in reference else ':'}{reference}"
