"""Translates a container's record into a pod: pure functions, without access to the cluster.

Decisions:

- Arguments keep their meaning: ``command`` of Kubernetes is Docker's entrypoint, ``args`` the
  command; ``$`` is doubled, because Kubernetes expands ``$(NAME)`` in arguments and variables.
- Security: RuntimeDefault for seccomp, no service account token, no variables of services.  A user
  that is a number other than 0 (``-u``, or the image's) runs with ``runAsNonRoot``, without
  capabilities and without gaining privileges, as the Pod Security Standard "restricted" requires.
  Root keeps the runtime's usual capabilities, as with Docker: without them package managers, chown
  and servers that drop their privileges fail.  A policy that refuses root says so.
- A limit of memory or CPUs is also the request, unless ``--memory-reservation`` or ``--cpu-shares``
  ask for less: what is limited is there.
- A health check is a readiness probe, which Docker's checks resemble: a failure marks the container
  and does not end it.
- ``--gpus`` counts devices of ``nvidia.com/gpu``; ``--init`` shares the process namespace, whose
  first process reaps the others.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from jupyter_containers.engine.containers.sidecars import health_check
from jupyter_containers.engine.records import ContainerRecord, MountRecord
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.kubernetes.labels import (
    CONTAINER,
    MEMBER,
    NAME,
    RECORD,
    STORED,
    labels_of,
    object_name,
)
from jupyter_containers.kubernetes.unsupported import missing
from jupyter_containers.options import RunOptions
from jupyter_containers.options.network import DEFAULT_NETWORK
from jupyter_containers.options.run import SHM_BYTES
from jupyter_containers.options.written import from_json, to_json
from jupyter_containers.runtime.spec import process_args

MAIN = "main"
GPU = "nvidia.com/gpu"
DEFAULT_GRACE = 10
CLUSTER_DOMAIN = "cluster.local"
# Waits until the terminal has a size, the caller's, so that no output is lost; up to ten seconds.
# (Without one, stty of BusyBox prints nothing, and that of GNU "0 0".)
_TERMINAL_GATE = (
    "command -v stty >/dev/null && n=0 || n=200;"
    ' while s=$(stty size 2>/dev/null); [ "${s:-0 0}" = "0 0" ] && [ $n -lt 200 ];'
    ' do sleep 0.05; n=$((n+1)); done; exec "$@"'
)
# Waits for a line, which the caller sends once it reads the output.
_INPUT_GATE = 'read -r _ || exit 125; exec "$@"'
_OUTPUT_GATE = f"{_INPUT_GATE} </dev/null"
_RESTARTS = {"no": "Never", "on-failure": "OnFailure"}
_PULLS = {"always": "Always", "missing": "IfNotPresent", "never": "Never"}
_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_encoder = msgspec.json.Encoder(enc_hook=to_json)
_decoder = msgspec.json.Decoder(ContainerRecord, dec_hook=from_json)


def encoded(record: ContainerRecord) -> str:
    """Return a record as JSON, for an annotation."""
    return _encoder.encode(record).decode()


def decoded(text: str) -> ContainerRecord:
    """Return the record of an annotation; raise :class:`ValueError`."""
    return _decoder.decode(text)


def pod_name(record: ContainerRecord, owner: str) -> str:
    """Return the name of a container's pod and of its stored form."""
    return object_name(record.name, owner)


def pod_document(
    record: ContainerRecord,
    reference: str,
    *,
    owner: str,
    namespace: str = "",
    gate: bool = False,
    pull_secrets: Iterable[str] = (),
    grace: float = DEFAULT_GRACE,
) -> dict[str, Any]:
    """Return the pod of a container; ``reference`` is the image as the nodes pull it.

    With ``gate`` the program waits until the caller reads its output; this needs ``sh`` in the
    image.  ``grace`` is the time to stop, unless the container has its own.
    """
    options = record.options
    joined = _joined(record, owner)
    timeout = options.stop_timeout if options.stop_timeout >= 0 else grace
    spec: dict[str, Any] = {
        "restartPolicy": _RESTARTS.get(options.restart.name, "Always"),
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "hostname": _hostname(record),
        "subdomain": joined,
        "terminationGracePeriodSeconds": max(0, math.ceil(timeout)),
        "securityContext": _pod_security(record),
        "containers": [_container(record, reference, gate)],
        "volumes": [_volume(mount, number, owner) for number, mount in enumerate(_mounts(record))],
        "imagePullSecrets": [{"name": name} for name in pull_secrets],
        "hostAliases": [
            {"ip": host.address, "hostnames": [host.name]} for host in options.add_host
        ],
        "dnsConfig": _dns(options, joined, namespace),
        "nodeSelector": _node_selector(options),
        "runtimeClassName": options.runtime,
        "shareProcessNamespace": options.init,
        "hostPID": options.pid == "host",
        "hostIPC": options.ipc == "host",
        "hostNetwork": options.network == "host",
    }
    found = metadata(record, owner, CONTAINER, dict(options.annotation or {}))
    if joined:
        found["labels"][MEMBER] = joined
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": found,
        "spec": _present(spec, keep=("automountServiceAccountToken", "enableServiceLinks")),
    }


def stored_document(record: ContainerRecord, owner: str, log: bytes = b"") -> dict[str, Any]:
    """Return a container without a pod as a ConfigMap, with the end of its log."""
    import base64

    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": metadata(record, owner, STORED, {}),
        "binaryData": {"log": base64.b64encode(log).decode()} if log else {},
    }


def metadata(
    record: ContainerRecord, owner: str, kind: str, annotations: Mapping[str, str]
) -> dict[str, Any]:
    """Return the metadata of a container's object."""
    return {
        "name": pod_name(record, owner),
        "labels": labels_of(kind, record.name, owner, record.options.labels),
        "annotations": {**annotations, RECORD: encoded(record), NAME: record.name},
    }


def _container(record: ContainerRecord, reference: str, gate: bool) -> dict[str, Any]:
    options = record.options
    command, args = _arguments(record, gate)
    container: dict[str, Any] = {
        "name": MAIN,
        "image": reference,
        "imagePullPolicy": _PULLS[options.pull],
        "command": [_literal(word) for word in command],
        "args": [_literal(word) for word in args],
        "env": _environment(record),
        "workingDir": options.workdir,
        "stdin": options.interactive or (gate and not options.tty),
        "stdinOnce": _input_once(options) or (gate and not options.tty),
        "tty": options.tty,
        "ports": _ports(record),
        "resources": _resources(options),
        "securityContext": _security(record),
        "volumeMounts": [_mounted(mount, number) for number, mount in enumerate(_mounts(record))],
        "readinessProbe": _probe(record),
    }
    return _present(container)


def _input_once(options: RunOptions) -> bool:
    return options.interactive and not options.detach and not options.tty


def _arguments(record: ContainerRecord, gate: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
    options = record.options
    if gate:
        script = (
            _TERMINAL_GATE if options.tty else _INPUT_GATE if options.interactive else _OUTPUT_GATE
        )
        return ("sh", "-c", script, "sh"), process_args(record.config, options)
    if options.entrypoint is None:
        return (), options.command
    entrypoint = tuple(word for word in options.entrypoint if word)
    if entrypoint:
        return entrypoint, options.command
    return process_args(record.config, options), ()


def _literal(text: str) -> str:
    return text.replace("$", "$$")


def _environment(record: ContainerRecord) -> list[dict[str, Any]]:
    values: dict[str, str] = {"TERM": "xterm"} if record.options.tty else {}
    image = {entry.partition("=")[0] for entry in record.config.env}
    for entry in record.options.env:
        name, equals, value = entry.partition("=")
        if not equals and name in image:
            raise missing(
                f"--env {name} without a value",
                "a variable of the image cannot be removed; give it an empty value",
            )
        if equals:
            values[name] = value
    for name in values:
        if not re.fullmatch(r"[-._a-zA-Z][-._a-zA-Z0-9]*", name):
            raise InvalidArgumentError(
                f"the variable {name!r} is not possible in a cluster",
                hint="names have letters, digits, '-', '_' and '.'",
            )
    return [{"name": name, "value": _literal(value)} for name, value in values.items()]


def _ports(record: ContainerRecord) -> list[dict[str, Any]]:
    """Return the container's ports: for people and services, they open nothing."""
    found = {(port.container_port, port.protocol.upper()) for port in record.options.publish}
    return [{"containerPort": number, "protocol": word} for number, word in sorted(found)]


def _resources(options: RunOptions) -> dict[str, Any]:
    limits: dict[str, str] = {}
    requests: dict[str, str] = {}
    if options.memory:
        limits["memory"] = str(options.memory)
    if options.memory_reservation:
        requests["memory"] = str(options.memory_reservation)
    cpus = options.cpus or (
        options.cpu_quota / (options.cpu_period or 100_000) if options.cpu_quota > 0 else 0.0
    )
    if cpus:
        limits["cpu"] = f"{max(1, round(cpus * 1000))}m"
    if options.cpu_shares:
        requests["cpu"] = f"{max(1, round(options.cpu_shares * 1000 / 1024))}m"
    names = [device.cdi.partition("=")[2] for device in options.device if device.cdi]
    if names:
        if any(not name.isdecimal() for name in names):
            raise missing("--gpus all", "say how many: --gpus 1")
        limits[GPU] = str(len(names))
    return _present({"limits": limits, "requests": requests})


def _user(record: ContainerRecord) -> tuple[int | None, int | None]:
    """Return the user and group as numbers; None is root or unknown."""
    user, _, group = (record.options.user or record.config.user).partition(":")
    numbers = [int(text) if text.isascii() and text.isdecimal() else None for text in (user, group)]
    given = record.options.user
    if (
        given
        and given != record.config.user
        and (numbers[0] is None or (group and numbers[1] is None))
    ):
        raise missing(
            f"--user {given}", "the cluster knows no names of users: give a number (-u 1000)"
        )
    return numbers[0], numbers[1]


def _security(record: ContainerRecord) -> dict[str, Any]:
    options = record.options
    user, group = _user(record)
    ordinary = bool(user) and not options.privileged
    last = {option.name: option.argument for option in options.security_opt}
    add = [name.upper().removeprefix("CAP_") for name in options.cap_add]
    drop = [name.upper().removeprefix("CAP_") for name in options.cap_drop]
    if ordinary and "ALL" not in drop:
        drop = ["ALL"]
    allowed = last.get("no-new-privileges") == "false" or options.privileged or "SYS_ADMIN" in add
    if "no-new-privileges" in last and last["no-new-privileges"] != "false":
        escalation: bool | None = False
    else:
        escalation = None if allowed or not ordinary else False
    given = bool(options.user)
    return _present(
        {
            "runAsUser": user if given else None,
            "runAsGroup": group if given else None,
            "runAsNonRoot": True if ordinary else None,
            "allowPrivilegeEscalation": escalation,
            "privileged": options.privileged,
            "readOnlyRootFilesystem": options.read_only,
            "capabilities": _present({"add": add, "drop": drop}),
            "seccompProfile": {
                "type": "Unconfined"
                if options.privileged or last.get("seccomp") == "unconfined"
                else "RuntimeDefault"
            },
        },
        keep=("allowPrivilegeEscalation", "runAsUser", "runAsGroup"),
    )


def _pod_security(record: ContainerRecord) -> dict[str, Any]:
    options = record.options
    user, group = _user(record)
    groups = []
    for text in options.group_add:
        if not text.isdecimal():
            raise missing(f"--group-add {text}", "the cluster knows no names: give a number")
        groups.append(int(text))
    # So that an ordinary user can write to volumes.
    owns = user and any(mount.type == "volume" for mount in record.mounts)
    return _present(
        {
            "fsGroup": (group or user) if owns else None,
            "supplementalGroups": groups,
            "sysctls": [
                {"name": name, "value": value} for name, value in (options.sysctl or {}).items()
            ],
        }
    )


def _mounts(record: ContainerRecord) -> list[MountRecord]:
    """Return the mounts, with that of ``--shm-size``."""
    mounts = list(record.mounts)
    if record.options.shm_size not in (0, SHM_BYTES):
        mounts.append(MountRecord("tmpfs", "/dev/shm", size=record.options.shm_size))
    return mounts


def _volume(mount: MountRecord, number: int, owner: str) -> dict[str, Any]:
    name = f"v{number}"
    if mount.type == "tmpfs":
        memory: dict[str, Any] = {"medium": "Memory"}
        return {
            "name": name,
            "emptyDir": memory | ({"sizeLimit": str(mount.size)} if mount.size else {}),
        }
    if mount.anonymous:
        return {"name": name, "emptyDir": {}}
    claim = {"claimName": object_name(mount.name, owner), "readOnly": mount.read_only}
    return {"name": name, "persistentVolumeClaim": claim}


def _mounted(mount: MountRecord, number: int) -> dict[str, Any]:
    return _present(
        {
            "name": f"v{number}",
            "mountPath": mount.target,
            "readOnly": mount.read_only,
            "subPath": mount.subpath,
        }
    )


def _probe(record: ContainerRecord) -> dict[str, Any]:
    check = health_check(record.config, record.options.health)
    if check is None:
        return {}
    return {
        "exec": {"command": list(check.command)},
        "initialDelaySeconds": 0,
        "periodSeconds": max(1, round(check.interval)),
        "timeoutSeconds": max(1, round(check.timeout)),
        "failureThreshold": max(1, check.retries),
        "successThreshold": 1,
    }


def _joined(record: ContainerRecord, owner: str) -> str:
    """Return the Service of the network that a container joins; empty for the cluster's own."""
    names = [request.name for request in record.networks if not request.is_mode]
    others = [name for name in names if name != DEFAULT_NETWORK]
    if len(others) > 1:
        raise missing("more than one network", "the names of a pod are those of one network")
    return object_name(others[0], owner) if others else ""


def _hostname(record: ContainerRecord) -> str:
    # The name that a network resolves is that of the host.
    named = any(
        not request.is_mode and request.name != DEFAULT_NETWORK for request in record.networks
    )
    own = record.name if named and _LABEL.fullmatch(record.name) else ""
    name = (record.options.hostname or own).lower()
    if name and not _LABEL.fullmatch(name):
        raise InvalidArgumentError(
            f"the hostname {name!r} is not possible in a cluster",
            hint="at most 63 of a-z, 0-9 and '-'",
        )
    return name or record.id[:12]


def _dns(options: RunOptions, joined: str, namespace: str) -> dict[str, Any]:
    own = [f"{joined}.{namespace}.svc.{CLUSTER_DOMAIN}"] if joined else []
    return _present(
        {
            "nameservers": list(options.dns),
            "searches": [*own, *options.dns_search],
            "options": [
                _present({"name": word.partition(":")[0], "value": word.partition(":")[2]})
                for word in options.dns_option
            ],
        }
    )


def _node_selector(options: RunOptions) -> dict[str, str]:
    if not options.platform:
        return {}
    system, _, architecture = options.platform.partition("/")
    found = {"kubernetes.io/os": system}
    return found | ({"kubernetes.io/arch": architecture.partition("/")[0]} if architecture else {})


def _present(document: Mapping[str, Any], keep: Iterable[str] = ()) -> dict[str, Any]:
    """Return a document without empty values; those in ``keep`` only if they are None."""
    keep = frozenset(keep)
    return {
        key: value
        for key, value in document.items()
        if value or (key in keep and value is not None)
    }
