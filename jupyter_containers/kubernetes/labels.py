"""The labels and annotations of this project's objects in a cluster, and their names.

A name of Docker may have capitals and underscores, and several users share a namespace; so an
object is called ``NAME-OWNER``, where the second part is a digest of the owner, and the name itself
is a label.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping

PREFIX = "jupyter-containers"
OWNER = f"{PREFIX}/owner"
NAME = f"{PREFIX}/name"
KIND = f"{PREFIX}/kind"
NOTEBOOK = f"{PREFIX}/notebook"
PROJECT = f"{PREFIX}/project"
# The network of a pod, by the name of its Service.
MEMBER = f"{PREFIX}/network"
# Annotations: the container's record as JSON, and the time of a stop by the user.
RECORD = f"{PREFIX}/record"
STOPPED = f"{PREFIX}/stopped"
CONTAINER, STORED, VOLUME, NETWORK = "container", "stored", "volume", "network"
PULL_SECRET, BUILDER = "pull-secret", "builder"
_COMPOSE_PROJECT = "com.docker.compose.project"
_NOT_NAME = re.compile(r"[^a-z0-9-]+")
_LABEL = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")
_LONGEST = 40


def object_name(name: str, owner: str) -> str:
    """Return the name of the object for a name of Docker (RFC 1123, "label")."""
    plain = _NOT_NAME.sub("-", name.lower()).strip("-")[:_LONGEST].strip("-")
    mark = hashlib.sha256(owner.encode()).hexdigest()[:6]
    if plain != name:
        mark += "-" + hashlib.sha256(name.encode()).hexdigest()[:6]
    return f"{plain or 'c'}-{mark}"


def labels_of(
    kind: str, name: str, owner: str, labels: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Return the labels of an object; those of Docker that matter to Kubernetes are among them."""
    found = {OWNER: owner, KIND: kind, "app.kubernetes.io/managed-by": PREFIX}
    values = {
        NAME: name,
        PROJECT: (labels or {}).get(_COMPOSE_PROJECT, ""),
        NOTEBOOK: re.sub(
            r"[^A-Za-z0-9_.-]+", "-", os.path.basename(os.environ.get("JPY_SESSION_NAME", ""))
        ),
    }
    # What does not fit into a label is in the record.
    return found | {key: value for key, value in values.items() if _LABEL.fullmatch(value)}
