"""The state of a pod in this project's words: pure functions of what the cluster returns.

A container of a pod is *waiting*, *running* or *terminated*; a pod has a *phase*.  Docker's status
follows: waiting before the first run is ``created``, between two runs ``restarting``; terminated
for good is ``exited``.  A pod that the cluster ended (evicted, over its time limit) is ``exited``
even if its container's status was never updated, as before Kubernetes 1.22.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import TYPE_CHECKING

import msgspec

from jupyter_containers.engine.records import ContainerRecord, StateRecord
from jupyter_containers.errors import (
    ContainersError,
    DamagedRecordError,
    OCIRuntimeError,
    PodNotStartedError,
)
from jupyter_containers.kubernetes.labels import NAME, RECORD, STOPPED
from jupyter_containers.kubernetes.translation import MAIN, decoded
from jupyter_containers.network.model import Endpoint
from jupyter_containers.oci.state import Status

if TYPE_CHECKING:
    from lightkube.models.core_v1 import ContainerStatus
    from lightkube.models.meta_v1 import ObjectMeta
    from lightkube.resources.core_v1 import Pod

KILLED = 137
# Reasons for which a waiting container does not start by itself.
_PULL = ("ErrImagePull", "ImagePullBackOff", "InvalidImageName", "RegistryUnavailable")
_CONFIGURATION = (
    "CreateContainerConfigError",
    "CreateContainerError",
    "ErrImageNeverPull",
    "ImageInspectError",
    "RunContainerError",
)
_CANNOT_START = ("StartError", "ContainerCannotRun")
_SHORT = re.compile(r"[Ii]nsufficient ([\w/-]+(?:\.[\w/-]+)*)")


def record_of_metadata(metadata: ObjectMeta | None) -> ContainerRecord:
    """Return the record in an object's annotations; raise :class:`DamagedRecordError`."""
    annotations = (metadata.annotations if metadata else None) or {}
    name = (metadata.name if metadata else "") or ""
    try:
        record = decoded(annotations[RECORD])
    except (KeyError, ValueError, msgspec.DecodeError) as error:
        raise DamagedRecordError(f"the annotations of {name} are damaged: {error}") from error
    return msgspec.structs.replace(record, name=annotations.get(NAME) or record.name)


def record_of_pod(pod: Pod) -> ContainerRecord:
    """Return the record of a pod's container with its present state."""
    record = record_of_metadata(pod.metadata)
    state = state_of(pod)
    address = pod.status.podIP if pod.status else None
    endpoints = (
        (
            Endpoint(
                network_id=record.networks[0].name if record.networks else "",
                container_id=record.id,
                address=address,
                prefix_len=32,
                mac="",
                host_interface="",
            ),
        )
        if address and state.status.alive
        else ()
    )
    return msgspec.structs.replace(record, state=state, endpoints=endpoints)


def main_status(pod: Pod) -> ContainerStatus | None:
    """Return the status of the container, if the node has reported one."""
    statuses = (pod.status.containerStatuses if pod.status else None) or []
    return next((status for status in statuses if status.name == MAIN), None)


def state_of(pod: Pod) -> StateRecord:
    """Return the state of a pod's container."""
    metadata, found, phase = pod.metadata, main_status(pod), _phase(pod)
    ended = phase in ("Failed", "Succeeded")
    going = bool(metadata and metadata.deletionTimestamp)
    stopped = STOPPED in ((metadata.annotations if metadata else None) or {})
    current = found.state if found else None
    terminated = current.terminated if current else None
    restarts = (found.restartCount or 0) if found else 0
    if (
        terminated is None
        and found
        and found.lastState
        and current
        and current.waiting
        and restarts
    ):
        terminated = found.lastState.terminated
    running = current.running if current else None
    if terminated is not None:
        return StateRecord(
            status=_status(Status.EXITED if ended else Status.RESTARTING, going),
            started=_seconds(terminated.startedAt),
            finished=_seconds(terminated.finishedAt),
            exit_code=terminated.exitCode or 0,
            oom_killed=terminated.reason == "OOMKilled",
            error=_one_line(terminated.message) if terminated.reason in _CANNOT_START else "",
            restart_count=restarts,
            stopped_by_user=stopped,
        )
    if ended:
        return StateRecord(
            status=_status(Status.EXITED, going),
            started=_seconds(running.startedAt if running else None),
            finished=_ended_at(pod),
            exit_code=KILLED if phase == "Failed" else 0,
            error="" if stopped else _reason(pod),
            restart_count=restarts,
            stopped_by_user=stopped,
        )
    if running is not None:
        return StateRecord(
            status=_status(Status.RUNNING, going),
            started=_seconds(running.startedAt),
            restart_count=restarts,
        )
    return StateRecord(status=_status(Status.CREATED, going))


def is_over(pod: Pod) -> bool:
    """Return whether the container has ended for good."""
    return state_of(pod).status is Status.EXITED or (_phase(pod) in ("Failed", "Succeeded"))


def trouble(pod: Pod) -> ContainersError | None:
    """Return why a container does not start, in one sentence; None if it may still start."""
    found = main_status(pod)
    image = _image(pod)
    current = found.state if found else None
    if current and current.terminated and current.terminated.reason in _CANNOT_START:
        return _cannot_start(current.terminated.message or "")
    waiting = current.waiting if current else None
    reason, message = (waiting.reason or "", waiting.message or "") if waiting else ("", "")
    if reason in _PULL:
        return PodNotStartedError(
            f"the cluster cannot pull {image}: {pull_text(message)}",
            reason=reason,
            hint="does the registry have it, and do the nodes reach it?",
        )
    if reason in _CONFIGURATION:
        if "runAsNonRoot" in message:
            return PodNotStartedError(
                f"the cluster's policy does not allow root, and {image} runs as root",
                reason=reason,
                hint="run it as an ordinary user: -u 1000",
            )
        if reason == "RunContainerError":
            return _cannot_start(message)
        return PodNotStartedError(
            f"the cluster cannot start it: {_one_line(message)}", reason=reason
        )
    if _phase(pod) == "Failed" and not (current and current.terminated):
        return PodNotStartedError(f"the cluster refused to run it: {_reason(pod)}", reason="Failed")
    return None


def unschedulable(pod: Pod) -> PodNotStartedError | None:
    """Return why no node takes the pod; None if one did, or it was not decided yet."""
    for condition in (pod.status.conditions if pod.status else None) or []:
        if condition.type == "PodScheduled" and condition.status == "False":
            message = condition.message or ""
            if "unbound immediate" in message or condition.reason != "Unschedulable":
                return None
            short = list(dict.fromkeys(_SHORT.findall(message)))
            text = f"no node has enough {' and '.join(short)} free" if short else "no node takes it"
            return PodNotStartedError(
                f"{text}: {_one_line(message)}",
                reason="Unschedulable",
                hint="ask for less (--memory, --cpus), or wait until other containers have ended"
                if short
                else "",
            )
    return None


def pull_text(message: str) -> str:
    """Return the registry's answer in a node's message about a pull."""
    text = message.rpartition("desc = ")[2]
    for mark in ("failed to resolve reference ", "failed to pull and unpack image "):
        if mark in text:
            text = text.rpartition(mark)[2].partition(": ")[2] or text
    return _one_line(text) or "no reason given"


def _cannot_start(message: str) -> OCIRuntimeError:
    text = _one_line(message.rpartition("starting container process caused: ")[2] or message)
    code = (
        127
        if "not found" in text or "no such file" in text
        else 126
        if "permission" in text
        else 125
    )
    return OCIRuntimeError(f"cannot start the container: {text}", exit_code=code)


def _phase(pod: Pod) -> str:
    return (pod.status.phase if pod.status else None) or "Pending"


def _reason(pod: Pod) -> str:
    status = pod.status
    words = [status.reason or "", status.message or ""] if status else []
    return _one_line(": ".join(filter(None, words)))


def _image(pod: Pod) -> str:
    annotations = (pod.metadata.annotations if pod.metadata else None) or {}
    try:
        return decoded(annotations[RECORD]).options.image
    except (KeyError, ValueError, msgspec.DecodeError):
        return "the image"


def _ended_at(pod: Pod) -> float:
    """Return when a pod ended whose container's status was not updated: at the stop, about."""
    text = ((pod.metadata.annotations if pod.metadata else None) or {}).get(STOPPED, "")
    try:
        return datetime.fromisoformat(text).timestamp()
    except ValueError:
        conditions = (pod.status.conditions if pod.status else None) or []
        times = [_seconds(condition.lastTransitionTime) for condition in conditions]
        return max(times, default=0.0)


def _status(status: Status, going: bool) -> Status:
    return Status.REMOVING if going and status is not Status.EXITED else status


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _one_line(text: str | None) -> str:
    return " ".join((text or "").split())
