"""Searches for repositories: Docker Hub's search, and the catalog of other registries.

Docker Hub serves ``/v1/search``, the only remaining part of its first protocol.  A registry without
it may list all repositories (``/v2/_catalog``); the word is then searched in their names.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from jupyter_containers.errors import InvalidArgumentError, RegistryError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.decoding import DECODE_ERRORS, decode_json
from jupyter_containers.oci.reference import DEFAULT_REGISTRY
from jupyter_containers.registry.documents import MAX_LIST_BYTES
from jupyter_containers.registry.endpoint import Endpoint
from jupyter_containers.registry.problems import cleaned, read_up_to
from jupyter_containers.registry.transport import Request

if TYPE_CHECKING:
    from jupyter_containers.registry.exchange import Exchange

HUB_SEARCH_HOST = "index.docker.io"
MAX_LIMIT = 100
_TEXT = 500


@dataclass(frozen=True, slots=True)
class FoundRepository:
    """A repository found by a search; without stars or a description they are empty."""

    name: str
    description: str = ""
    stars: int = 0
    official: bool = False
    automated: bool = False


def search_endpoint(registry: str) -> Endpoint:
    """Return the endpoint for searching a registry: Docker Hub has a separate host for it."""
    if registry == DEFAULT_REGISTRY:
        return Endpoint(registry, HUB_SEARCH_HOST)
    return Endpoint.of_registry(registry)


def split_term(term: str) -> tuple[str, str]:
    """Return registry and word of ``[registry/]word``, as Docker parses it."""
    first, slash, rest = term.partition("/")
    is_registry = slash and ("." in first or ":" in first or first == "localhost")
    registry, word = (first, rest) if is_registry else (DEFAULT_REGISTRY, term)
    if registry in ("index.docker.io", "registry-1.docker.io"):
        registry = DEFAULT_REGISTRY
    if not word:
        raise InvalidArgumentError("search needs a search term")
    return registry, word


def check_limit(limit: int) -> None:
    """Raise unless Docker Hub accepts ``limit``."""
    if not 1 <= limit <= MAX_LIMIT:
        raise InvalidArgumentError(f"limit {limit} is outside the range of [1, {MAX_LIMIT}]")


def search_index(exchange: Exchange, word: str, limit: int) -> list[FoundRepository] | None:
    """Return the results of ``/v1/search``, best first; None if the registry has no such search."""
    query = urlencode({"q": word, "n": limit})
    request = Request("GET", exchange.address(f"/v1/search?{query}"))
    response = exchange.send(
        request, scopes=(), ok=(200, 400, 404, 405, 501), subject=f"a search for {word!r}"
    )
    try:
        data = read_up_to(response, MAX_LIST_BYTES)
    finally:
        response.close()
    if response.status != 200:
        return None
    try:
        document = decode_json(data)
        entries = document["results"] or []
        return [_found(entry) for entry in entries[:limit]]
    except (*DECODE_ERRORS, KeyError, TypeError, AttributeError) as error:
        raise RegistryError(
            f"{exchange.endpoint.registry} sent a malformed search result", request=str(request)
        ) from error


def _found(entry: dict[str, Any]) -> FoundRepository:
    return FoundRepository(
        cleaned(str(entry["name"]), _TEXT),
        cleaned(str(entry.get("description") or ""), _TEXT),
        int(entry.get("star_count") or 0),
        bool(entry.get("is_official")),
        bool(entry.get("is_automated")),
    )


def among(names: Sequence[str], word: str, limit: int) -> list[FoundRepository]:
    """Return up to ``limit`` repositories whose names contain the word."""
    return [FoundRepository(name) for name in names if word.lower() in name.lower()][:limit]
