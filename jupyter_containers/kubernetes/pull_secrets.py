"""Pull secrets: this user's credentials for a registry, for the nodes that pull from it.

A secret is named by its owner, registry and contents, so pods of one user share it, and a changed
password makes another one.  Lifecycle: provided before a pod is created → owned by that pod, and by
every further one → collected by the cluster when the last of them is gone.
"""

from __future__ import annotations

import base64
import hashlib
import json
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from jupyter_containers.errors import AlreadyExistsError, NotFoundError
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.labels import PULL_SECRET, labels_of, object_name
from jupyter_containers.registry.credentials import Credential, server_key

if TYPE_CHECKING:
    from lightkube.resources.core_v1 import Pod

_TYPE = "kubernetes.io/dockerconfigjson"
_REGISTRY = "jupyter-containers/registry"


def secret_document(registry: str, credential: Credential, owner: str) -> dict[str, Any]:
    """Return the secret for a registry."""
    pair = f"{credential.username}:{credential.secret}".encode()
    entry = {"auth": base64.b64encode(pair).decode()}
    if credential.identity_token:
        entry["identitytoken"] = credential.identity_token
    text = json.dumps({"auths": {server_key(registry): entry}}, sort_keys=True)
    # Salted by the owner: a name tells nothing about a short password.
    mark = hashlib.sha256(f"{owner}\0{text}".encode()).hexdigest()[:10]
    name = f"pull-{registry}-{mark}"
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": _TYPE,
        "metadata": {
            "name": object_name(name, owner),
            "labels": labels_of(PULL_SECRET, name, owner),
            "annotations": {_REGISTRY: registry},
        },
        "data": {".dockerconfigjson": base64.b64encode(text.encode()).decode()},
    }


def owner_reference(pod: Pod) -> dict[str, Any]:
    """Return the entry of ``ownerReferences`` for a pod."""
    metadata = pod.metadata
    assert metadata is not None  # the server has created it
    return {"apiVersion": "v1", "kind": "Pod", "name": metadata.name, "uid": metadata.uid}


class PullSecrets:
    """The pull secrets of one user in a namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def provide(self, registry: str, credential: Credential) -> str:
        """Return the name of the secret for a registry, created if it is missing."""
        from lightkube.resources.core_v1 import Secret

        document = secret_document(registry, credential, self._cluster.owner)
        with suppress(AlreadyExistsError):
            self._cluster.create(f"the pull secret for {registry}", Secret, document)
        return str(document["metadata"]["name"])

    def own(self, name: str, pod: Pod) -> None:
        """Add a pod to a secret's owners, with which it ends."""
        from lightkube.resources.core_v1 import Secret

        change = {"metadata": {"ownerReferences": [owner_reference(pod)]}}
        try:
            # A strategic merge: entries of other pods stay.
            self._cluster.request(
                f"the pull secret {name}", lambda client: client.patch(Secret, name, change)
            )
        except NotFoundError:
            # Collected with another pod at this moment: the next pull of this user makes it again.
            return
