"""Manifests that refer to another one: signatures, bills of materials, attestations.

Such a manifest names a *subject*.  A registry that supports them returns ``OCI-Subject`` when it
receives one; otherwise the client keeps the list itself, as an index under the tag
``<algorithm>-<hex>`` of the subject.  OCI Distribution Specification 1.1, "Pushing manifests with
subject".
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from jupyter_containers.errors import InvalidDigestError
from jupyter_containers.oci.decoding import DECODE_ERRORS, decode_json
from jupyter_containers.oci.descriptor import INDEX, RawDocument, validate_digest


def subject_of(document: RawDocument) -> str:
    """Return the digest of the manifest's subject, or an empty text."""
    subject = _object(document).get("subject")
    digest = subject.get("digest") if isinstance(subject, dict) else ""
    try:
        return validate_digest(digest) if digest else ""
    except InvalidDigestError:
        return ""


def referrers_tag(digest: str) -> str:
    """Return the tag under which the referrers of a digest are kept."""
    return digest.replace(":", "-", 1)


def with_referrer(pages: list[dict[str, Any]], document: RawDocument) -> RawDocument | None:
    """Return the list with one more manifest; None if it already contains it."""
    listed = [entry for page in pages for entry in page.get("manifests") or ()]
    if any(entry.get("digest") == document.digest for entry in listed):
        return None
    entry = msgspec.to_builtins(document.descriptor)
    parsed = _object(document)
    config = parsed.get("config")
    kind = parsed.get("artifactType") or (
        config.get("mediaType") if isinstance(config, Mapping) else ""
    )
    if kind:
        entry["artifactType"] = kind
    if parsed.get("annotations"):
        entry["annotations"] = parsed["annotations"]
    index = {"schemaVersion": 2, "mediaType": INDEX, "manifests": [*listed, entry]}
    return RawDocument(msgspec.json.encode(index), INDEX)


def _object(document: RawDocument) -> dict[str, Any]:
    try:
        value = decode_json(document.data)
    except DECODE_ERRORS:
        return {}
    return value if isinstance(value, dict) else {}
