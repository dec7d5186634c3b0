"""A registry client: OCI Distribution Specification 1.1 and Docker Hub's additions.

Vocabulary: a *registry* (``docker.io``, ``localhost:5000``) serves *repositories*; a *reference* in
one is a tag or a digest.  Manifests are small documents, *blobs* are the configurations and
compressed layers they name.  A *mirror* serves reads in place of a registry.

From the outside in: :mod:`client` (the verbs), :mod:`upload` and :mod:`download` (one blob),
:mod:`exchange` (requests to one registry, with authorization), :mod:`delivery` (retries,
redirects and rate limits), :mod:`transport` (one request, one response: the seam for tests).
:mod:`configuration`, :mod:`auth`, :mod:`credentials`, :mod:`endpoint` and :mod:`problems` serve
them.

Importing this package loads nothing; names are resolved on first use.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jupyter_containers.registry.client import RegistryClient
    from jupyter_containers.registry.configuration import (
        RegistryFiles,
        read_registry_files,
        route,
    )
    from jupyter_containers.registry.credentials import (
        Credential,
        CredentialSource,
        CredentialStore,
        FixedCredentials,
    )
    from jupyter_containers.registry.delivery import RetryPolicy
    from jupyter_containers.registry.download import BlobReader
    from jupyter_containers.registry.endpoint import mirrors_for
    from jupyter_containers.registry.transport import Request, Response, Transport
    from jupyter_containers.registry.upload import PushOutcome

__all__ = [
    "BlobReader",
    "Credential",
    "CredentialSource",
    "CredentialStore",
    "FixedCredentials",
    "PushOutcome",
    "RegistryClient",
    "RegistryFiles",
    "Request",
    "Response",
    "RetryPolicy",
    "Transport",
    "mirrors_for",
    "read_registry_files",
    "route",
]

_HOMES = {
    "BlobReader": "download",
    "Credential": "credentials",
    "CredentialSource": "credentials",
    "CredentialStore": "credentials",
    "FixedCredentials": "credentials",
    "PushOutcome": "upload",
    "RegistryClient": "client",
    "Request": "transport",
    "Response": "transport",
    "RetryPolicy": "delivery",
    "Transport": "transport",
    "RegistryFiles": "configuration",
    "mirrors_for": "endpoint",
    "read_registry_files": "configuration",
    "route": "configuration",
}


def __getattr__(name: str) -> object:
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{home}"), name)
