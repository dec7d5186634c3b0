"""``doctor --context``: what the cluster lets this user do, and what would provide the rest.

Each right is asked for by a SelfSubjectAccessReview, which every user may create.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from jupyter_containers.engine.system.doctor import DoctorReport
from jupyter_containers.errors import ClusterError, ContainersError, NotFoundError
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.runtime.host import Capability
from jupyter_containers.settings import Settings

if TYPE_CHECKING:
    from lightkube.resources.core_v1 import ResourceQuota

# Verbs by resource, and what they are for; the same as in docs/install/kubernetes-role.yaml.
RIGHTS: dict[str, tuple[tuple[str, ...], str]] = {
    "pods": (("get", "list", "watch", "create", "patch", "delete"), "every container"),
    "pods/log": (("get",), "logs, and runs of images without sh"),
    "pods/exec": (("get", "create"), "exec, cp, stats, signals"),
    "pods/attach": (("get", "create"), "run in the foreground, attach"),
    "pods/portforward": (("get", "create"), "published ports"),
    "configmaps": (("get", "list", "create", "patch", "delete"), "create, kill"),
    "persistentvolumeclaims": (("get", "list", "create", "patch", "delete"), "volumes"),
    "services": (("get", "list", "create", "patch", "delete"), "networks"),
    "secrets": (("get", "list", "create", "patch", "delete"), "images of private registries"),
}
# Verbs that a server of this version does not ask for.
_SINCE = {("pods/exec", "create"), ("pods/attach", "create"), ("pods/portforward", "create")}
_CREATE_OPENS_STREAMS = (1, 35)


@dataclass(frozen=True, slots=True)
class ContextReport(DoctorReport):
    """What a context provides."""

    @property
    def healthy(self) -> bool:
        """Whether nothing is missing that every container needs."""
        essential = ("server", "pods", "pods/log", "pods/attach")
        return all(item.found for item in self.capabilities if item.name in essential)


def examine(cluster: Cluster, settings: Settings) -> ContextReport:
    """Return the report of a context; raise if the cluster does not answer."""
    server = Capability(
        "server", True, f"{cluster.config.cluster.server}, {cluster.version}", "", ""
    )
    denied = {
        resource: tuple(verb for verb in verbs if not _may(cluster, resource, verb))
        for resource, (verbs, _) in RIGHTS.items()
    }
    lacking = {
        resource: verbs for resource, verbs in denied.items() if _needed(cluster, resource, verbs)
    }
    rights = [
        Capability(
            resource,
            resource not in lacking,
            f"{', '.join(lacking.get(resource, ()))} denied" if resource in lacking else "allowed",
            why,
            "the role below" if resource in lacking else "",
        )
        for resource, (_, why) in RIGHTS.items()
    ]
    found = (server, *rights, *_quotas(cluster), _registry(cluster, settings))
    return ContextReport(found, remark=role(cluster, lacking) if lacking else "")


def _needed(cluster: Cluster, resource: str, verbs: tuple[str, ...]) -> tuple[str, ...]:
    """Return the denied verbs that this server asks for."""
    if version_of(cluster.version) >= _CREATE_OPENS_STREAMS:
        return verbs
    return tuple(verb for verb in verbs if (resource, verb) not in _SINCE)


def version_of(text: str) -> tuple[int, int]:
    """Return the numbers of a version such as ``v1.20.2``; (0, 0) for another text."""
    words = text.removeprefix("v").split(".")
    digits = ["".join(filter(str.isdecimal, word)) for word in words[:2]]
    return (int(digits[0]), int(digits[1])) if len(digits) == 2 and all(digits) else (0, 0)


def _may(cluster: Cluster, resource: str, verb: str) -> bool:
    from lightkube.resources.authorization_v1 import SelfSubjectAccessReview

    name, _, sub = resource.partition("/")
    attributes = {"namespace": cluster.namespace, "verb": verb, "resource": name}
    if sub:
        attributes["subresource"] = sub
    document = {"metadata": {}, "spec": {"resourceAttributes": attributes}}
    answer = cluster.create("rights", SelfSubjectAccessReview, document)
    return bool(answer.status and answer.status.allowed)


def role(cluster: Cluster, missing: Mapping[str, tuple[str, ...]]) -> str:
    """Return the role, as YAML, that provides the missing rights."""
    lines = [
        "# For the administrator: kubectl apply -f this, and bind it to the user.",
        "apiVersion: rbac.authorization.k8s.io/v1",
        "kind: Role",
        f"metadata: {{name: jupyter-containers-missing, namespace: {cluster.namespace}}}",
        "rules:",
    ]
    for resource, verbs in missing.items():
        lines.append(f'- {{apiGroups: [""], resources: [{resource}], verbs: [{", ".join(verbs)}]}}')
    return "\n".join(lines)


def _quotas(cluster: Cluster) -> Iterator[Capability]:
    from lightkube.resources.core_v1 import ResourceQuota

    try:
        quotas = cluster.request("quotas", lambda client: list(client.list(ResourceQuota)))
    except (ClusterError, NotFoundError):
        yield Capability("quota", True, "this user cannot see quotas", "", "")
        return
    if not quotas:
        yield Capability("quota", True, "none", "", "")
    for quota in quotas:
        yield _quota(quota)


def _quota(quota: ResourceQuota) -> Capability:
    hard = (quota.status.hard if quota.status else None) or {}
    used = (quota.status.used if quota.status else None) or {}
    name = (quota.metadata.name if quota.metadata else "") or ""
    full = [key for key, limit in hard.items() if key in used and str(used[key]) == str(limit)]
    text = ", ".join(f"{key} {used.get(key, 0)} of {limit}" for key, limit in hard.items())
    advice = "remove containers, or ask the administrator for more" if full else ""
    return Capability(f"quota {name}", not full, text, "more containers", advice)


def _registry(cluster: Cluster, settings: Settings) -> Capability:
    """Return whether the context's registry answers this machine."""
    from jupyter_containers.engine.context import EngineContext

    prefix = cluster.endpoint.registry
    advice = f"context update {cluster.name} --kubernetes registry=HOST/PREFIX"
    why = "images of this machine"
    if not prefix:
        return Capability("registry", False, "the context names none", why, advice)
    context = EngineContext(settings)
    try:
        with context.registry(prefix.partition("/")[0]) as client:
            client.ping()
    except ContainersError as error:
        return Capability("registry", False, f"{prefix}: {error.message}", why, advice)
    finally:
        context.close()
    return Capability("registry", True, f"{prefix} answers this machine", why, "")
