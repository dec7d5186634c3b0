"""Docker's ``inspect`` document of a container in a cluster."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jupyter_containers.engine.containers.inspect import container_document
from jupyter_containers.kubernetes.handles import health_of
from jupyter_containers.kubernetes.pods import Found
from jupyter_containers.network.model import Network

_NOWHERE = Path("/nonexistent")


def inspect_document(found: Found) -> dict[str, Any]:
    """Return the object of ``docker container inspect``, with the pod's place as ``Kubernetes``."""
    record, pod = found.record, found.pod
    networks = {
        request.name: Network(
            id=request.name, name=request.name, interface="", subnet="", gateway=""
        )
        for request in record.networks
    }
    document = container_document(record, networks, _NOWHERE, "kubernetes")
    document["LogPath"] = ""
    document["Driver"] = "kubernetes"
    health = health_of(found)
    if health:
        document["State"]["Health"] = {"Status": health, "FailingStreak": 0, "Log": []}
    document["GraphDriver"] = {"Data": None, "Name": "kubernetes"}
    metadata = pod.metadata if pod is not None else None
    document["Kubernetes"] = {
        "Pod": found.object_name if pod is not None else "",
        "Namespace": (metadata.namespace if metadata else "") or "",
        "UID": (metadata.uid if metadata else "") or "",
        "Node": (pod.spec.nodeName if pod is not None and pod.spec else "") or "",
        "Image": found.reference,
    }
    return document
