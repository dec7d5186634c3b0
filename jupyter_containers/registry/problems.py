"""Error responses as typed errors: one line for people, status and codes for programs.

Follows OCI Distribution Specification 1.1, "Error codes".  A registry's text is foreign: it is
shortened and stripped of control characters before it is shown.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from jupyter_containers.errors import (
    DeniedError,
    RegistryError,
    TooManyRequestsError,
    UnauthorizedError,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.decoding import DECODE_ERRORS, decode_json
from jupyter_containers.printable import printable
from jupyter_containers.registry.transport import ConnectionFailedError, Request, Response

MAX_ERROR_BYTES = 64 * 1024
_MEANINGS = {
    400: "bad request",
    401: "unauthorized",
    403: "denied",
    404: "not found",
    405: "not supported",
    413: "too large",
    416: "range not satisfiable",
    429: "too many requests",
}


@dataclass(frozen=True, slots=True)
class Complaint:
    """The body of a refusal: its codes, and one line of text that may be empty."""

    codes: tuple[str, ...] = ()
    text: str = ""


def read_complaint(response: Response) -> Complaint:
    """Return the complaint in a response's body, in any form; close the response."""
    try:
        data = read_up_to(response, MAX_ERROR_BYTES)
    except ConnectionFailedError:
        # The status is known and matters more than a reason that did not arrive.
        return Complaint()
    finally:
        response.close()
    return parse_complaint(data)


def parse_complaint(data: bytes) -> Complaint:
    """Return codes and message of an error document; ignore any other text."""
    try:
        document: Any = decode_json(data)
    except DECODE_ERRORS:
        return Complaint()
    if not isinstance(document, dict):
        return Complaint()
    entries = document.get("errors")
    if not isinstance(entries, list):
        # Token servers and Docker Hub's front end also send {"details": …} or {"message": …}.
        text = document.get("details") or document.get("message") or ""
        return Complaint((), cleaned(text) if isinstance(text, str) else "")
    known = [entry for entry in entries[:10] if isinstance(entry, dict)]
    codes = tuple(cleaned(str(entry["code"]), 60) for entry in known if entry.get("code"))
    texts = [cleaned(entry["message"]) for entry in known if isinstance(entry.get("message"), str)]
    return Complaint(codes, "; ".join(dict.fromkeys(filter(None, texts)))[:300])


def cleaned(text: str, limit: int = 300) -> str:
    """Return ``text`` on one line, without control characters, of at most ``limit`` characters."""
    return " ".join(printable(text[: limit * 4]).split())[:limit]


def read_up_to(response: Response, limit: int) -> bytes:
    """Return the body, or its first ``limit`` bytes and a little more."""
    pieces: list[bytes] = []
    size = 0
    while size <= limit and (piece := response.read(256 * 1024)):
        pieces.append(piece)
        size += len(piece)
    return b"".join(pieces)


def refusal(response: Response, request: Request, registry: str, subject: str) -> RegistryError:
    """Return the error for a response with an unexpected status; close it.

    ``subject`` describes the request for people (``manifest debian:13``).
    """
    complaint = read_complaint(response)
    status = response.status
    meaning = complaint.text or _MEANINGS.get(status, "")
    failed = "failed" if status >= 500 else "refused"
    message = f"{registry} {failed}: {subject} (HTTP {status}{f', {meaning}' if meaning else ''})"
    facts: dict[str, Any] = {"status": status, "codes": complaint.codes, "request": str(request)}
    if status == 401:
        return UnauthorizedError(message, hint=login_hint(registry), **facts)
    if status == 403 or "DENIED" in complaint.codes:
        return DeniedError(message, hint="the account may not do this in this repository", **facts)
    if status == 429:
        return TooManyRequestsError(
            f"{registry} accepts no more requests for now (rate limit): {subject}",
            hint=rate_limit_hint(response.headers, registry),
            **facts,
        )
    return RegistryError(message, **facts)


@dataclass(frozen=True, slots=True)
class RateLimit:
    """A registry's rate limit: ``remaining`` of ``limit`` requests in ``window`` seconds."""

    limit: int
    remaining: int
    window: int = 0

    def __str__(self) -> str:
        span = f" in {_duration(self.window)}" if self.window else ""
        return f"{self.remaining} of {self.limit} pulls{span} are left"


def rate_limit(headers: Mapping[str, str]) -> RateLimit | None:
    """Return the rate limit in a response's headers, or None if there is none.

    Docker Hub's headers: ``RateLimit-Limit: 100;w=21600``, and ``RateLimit-Remaining`` in the same
    form.
    """
    limit, window = _quota(headers.get("RateLimit-Limit", ""))
    remaining, _ = _quota(headers.get("RateLimit-Remaining", ""))
    if limit is None or remaining is None:
        return None
    return RateLimit(limit, remaining, window or 0)


def login_hint(registry: str) -> str:
    """Return a hint to log in."""
    return f"log in first: login {registry}"


def rate_limit_hint(headers: Mapping[str, str], registry: str) -> str:
    """Return the rate limit headers in words."""
    parts = []
    limit, window = _quota(headers.get("RateLimit-Limit", ""))
    remaining, _ = _quota(headers.get("RateLimit-Remaining", ""))
    if limit:
        span = f" in {_duration(window)}" if window else ""
        parts.append(f"{remaining or 0} of {limit} requests{span} are left")
    wait = headers.get("Retry-After", "").strip()
    if wait:
        parts.append(
            f"try again in {_duration(int(wait))}" if _is_small(wait) else f"try again at {wait}"
        )
    parts.append(f"a login to {registry} may raise the limit")
    return cleaned("; ".join(parts))


def _is_small(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) < 10


def _quota(text: str) -> tuple[int | None, int | None]:
    found = re.fullmatch(r"\s*(\d{1,9})(?:\s*;\s*w=(\d{1,9}))?.*", text[:200])
    if not found:
        return None, None
    return int(found[1]), int(found[2]) if found[2] else None


def _duration(seconds: int | None) -> str:
    value = seconds or 0
    for size, word in ((3600, "hour"), (60, "minute")):
        if value >= size:
            count = round(value / size)
            return f"{count} {word}{'s' if count != 1 else ''}"
    return f"{value} second{'s' if value != 1 else ''}"
