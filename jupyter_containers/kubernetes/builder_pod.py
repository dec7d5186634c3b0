"""The pod that builds for one user, with its volume: found warm, or started.

It has root with the usual capabilities and no more, so RUN is done by chroot; it holds no account
of the cluster.  It ends by itself when nothing was built for a quarter of an hour; the volume
stays, with the store and the cache.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from jupyter_containers.errors import (
    AlreadyExistsError,
    ContainersError,
    NotFoundError,
    PodNotStartedError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.builder_program import USED
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.images import Published
from jupyter_containers.kubernetes.labels import BUILDER, labels_of, object_name
from jupyter_containers.kubernetes.states import trouble, unschedulable
from jupyter_containers.kubernetes.translation import MAIN

NAME = "builder"
CACHE = "builder-cache"
_IDLE_SECONDS = 900
_STORE = "/var/lib/jupyter-containers"
_WAITING = (
    "trap 'exit 0' TERM; touch {used};"
    " while [ $(($(date +%s) - $(date -r {used} +%s))) -lt {idle} ]; do sleep 5 & wait $!; done"
)


def builder_document(image: Published, owner: str) -> dict[str, Any]:
    """Return the pod of a builder."""
    script = _WAITING.format(used=USED, idle=_IDLE_SECONDS)
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": object_name(NAME, owner), "labels": labels_of(BUILDER, NAME, owner)},
        "spec": {
            "restartPolicy": "Never",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": 5,
            "imagePullSecrets": [{"name": name} for name in image.secrets],
            "securityContext": {"seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [
                {
                    "name": MAIN,
                    "image": image.reference,
                    "command": ["sh", "-c", script.replace("$(", "$$(")],
                    "securityContext": {"runAsUser": 0, "runAsGroup": 0, "privileged": False},
                    "volumeMounts": [
                        {"name": "store", "mountPath": _STORE},
                        {"name": "run", "mountPath": "/run"},
                    ],
                }
            ],
            "volumes": [
                {
                    "name": "store",
                    "persistentVolumeClaim": {"claimName": object_name(CACHE, owner)},
                },
                {"name": "run", "emptyDir": {}},
            ],
        },
    }


class BuilderPod:
    """The builder of one user in a namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    def provide(self, image: Published, cancel: CancelToken) -> Any:
        """Return the running pod; one of another image, or that has ended, is replaced."""
        from lightkube.resources.core_v1 import Pod

        document = builder_document(image, self._cluster.owner)
        name = document["metadata"]["name"]
        found = self._find(name)
        if found is not None and not _serves(found, image.reference):
            self.end(cancel)
            found = None
        if found is None:
            try:
                found = self._cluster.create("the builder", Pod, document)
            except AlreadyExistsError:  # by another kernel of this user, just now
                found = self._find(name)
        return self._await(name, found, cancel)

    def end(self, cancel: CancelToken | None = None) -> None:
        """End the pod, if there is one, and wait until it is gone; its volume stays."""
        from lightkube.resources.core_v1 import Pod

        name = object_name(NAME, self._cluster.owner)
        found = self._find(name)
        if found is None:
            return
        with suppress(NotFoundError):
            self._cluster.request(
                "the builder", lambda client: client.delete(Pod, name, grace_period=0)
            )
            self._await(name, found, cancel or CancelToken(), gone=True)

    def _find(self, name: str) -> Any:
        from lightkube.resources.core_v1 import Pod

        try:
            return self._cluster.request("the builder", lambda client: client.get(Pod, name))
        except NotFoundError:
            return None

    def _await(self, name: str, found: Any, cancel: CancelToken, *, gone: bool = False) -> Any:
        """Wait until the pod runs, or until it is gone."""
        if not gone and found is not None and _runs(found):
            return found
        version = found.metadata.resourceVersion if found is not None else None
        for kind, pod in self._cluster.watch_pods(name=name, version=version, cancel=cancel):
            if kind == "DELETED" and gone:
                return pod
            if gone:
                continue
            problem: ContainersError | None = trouble(pod) or unschedulable(pod)
            if problem is not None:
                raise problem
            if _runs(pod):
                return pod
            if kind == "DELETED" or _phase(pod) in ("Succeeded", "Failed"):
                raise PodNotStartedError("the builder has ended before it began")
        raise AssertionError("a watch ends only by an error")


def _phase(pod: Any) -> str:
    return str((pod.status.phase if pod.status else "") or "")


def _runs(pod: Any) -> bool:
    statuses = (pod.status.containerStatuses if pod.status else None) or []
    ready = bool(statuses) and all(one.ready for one in statuses)
    return _phase(pod) == "Running" and ready and pod.metadata.deletionTimestamp is None


def _serves(pod: Any, reference: str) -> bool:
    """Return whether a pod can build: it has the right image, and has not ended."""
    if pod.metadata.deletionTimestamp is not None or _phase(pod) not in ("Pending", "Running"):
        return False
    return bool(pod.spec.containers[0].image == reference)
