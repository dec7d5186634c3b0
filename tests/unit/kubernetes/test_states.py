"""Pods as the cluster returns them, and what they mean here: pure, without a cluster."""

from __future__ import annotations

from typing import Any

import pytest
from lightkube.resources.core_v1 import Pod

from jupyter_containers.errors import ContainersError, DamagedRecordError, OCIRuntimeError
from jupyter_containers.kubernetes.client import label_value, refusal
from jupyter_containers.kubernetes.states import (
    is_over,
    record_of_pod,
    state_of,
    trouble,
    unschedulable,
)
from jupyter_containers.kubernetes.translation import pod_document
from jupyter_containers.oci.state import Status
from tests.unit.kubernetes.test_translation import record

START, END = "2026-11-29T22:00:00Z", "2026-11-29T22:00:05Z"


def pod(phase: str, state: dict[str, Any] | None = None, **more: Any) -> Pod:
    document = pod_document(record(), "r", owner="ann")
    metadata = document["metadata"] | more.pop("metadata", {})
    status: dict[str, Any] = {"phase": phase, **more}
    if state is not None:
        status["containerStatuses"] = [
            {"name": "main", "image": "r", "imageID": "", "ready": False, "restartCount": 0}
            | {"state": state}
            | more.pop("container", {})
        ]
        status.pop("container", None)
    found = Pod.from_dict({**document, "metadata": metadata, "status": status})
    assert isinstance(found, Pod)
    return found


def ended(code: int = 0, reason: str = "Completed", message: str = "") -> dict[str, Any]:
    values = {"exitCode": code, "reason": reason, "message": message}
    return {"terminated": {**values, "startedAt": START, "finishedAt": END}}


def waiting(reason: str, message: str = "") -> dict[str, Any]:
    return {"waiting": {"reason": reason, "message": message}}


RUNNING = {"running": {"startedAt": START}}


@pytest.mark.parametrize(
    ("found", "status"),
    [
        (pod("Pending"), Status.CREATED),
        (pod("Pending", waiting("ContainerCreating")), Status.CREATED),
        (pod("Running", RUNNING), Status.RUNNING),
        (pod("Succeeded", ended()), Status.EXITED),
        (pod("Failed", ended(3, "Error")), Status.EXITED),
        (pod("Running", ended(3, "Error")), Status.RESTARTING),
        (pod("Failed", RUNNING, reason="DeadlineExceeded"), Status.EXITED),
        (pod("Running", RUNNING, metadata={"deletionTimestamp": END}), Status.REMOVING),
    ],
)
def test_statuses_are_dockers(found: Pod, status: Status) -> None:
    assert state_of(found).status is status
    assert is_over(found) is (status is Status.EXITED)


def test_an_end_has_its_code_and_times() -> None:
    state = state_of(pod("Failed", ended(137, "OOMKilled")))
    assert (state.exit_code, state.oom_killed) == (137, True)
    assert state.finished - state.started == 5


def test_an_eviction_is_an_end_with_a_reason() -> None:
    found = pod("Failed", reason="Evicted", message="The node was low on memory.")
    state = state_of(found)
    assert (state.exit_code, state.error) == (137, "Evicted: The node was low on memory.")


def test_a_stop_by_the_node_has_the_time_of_the_request() -> None:
    stopped = {"jupyter-containers/stopped": "2026-11-29T22:00:09+00:00"}
    found = pod("Failed", RUNNING, reason="DeadlineExceeded")
    assert found.metadata is not None
    assert found.metadata.annotations is not None
    found.metadata.annotations.update(stopped)
    state = state_of(found)
    assert (state.finished - state.started, state.stopped_by_user) == (9, True)
    assert (state.exit_code, state.error) == (137, "")


def test_a_record_has_address_and_new_name() -> None:
    found = pod("Running", RUNNING, podIP="10.0.0.7")
    assert found.metadata is not None
    assert found.metadata.annotations is not None
    found.metadata.annotations["jupyter-containers/name"] = "other"
    assert record_of_pod(found).name == "other"
    assert record_of_pod(found).endpoints[0].address == "10.0.0.7"
    found.metadata.annotations["jupyter-containers/record"] = "{"
    with pytest.raises(DamagedRecordError):
        record_of_pod(found)


PULL = (
    'rpc error: code = NotFound desc = failed to pull and unpack image "r/app:1": '
    'failed to resolve reference "r/app:1": r/app:1: not found'
)


@pytest.mark.parametrize(
    ("state", "text"),
    [
        (waiting("ErrImagePull", PULL), "the cluster cannot pull app:1: r/app:1: not found"),
        (
            waiting("CreateContainerConfigError", 'secret "x" not found'),
            'the cluster cannot start it: secret "x" not found',
        ),
        (
            waiting("CreateContainerConfigError", "container has runAsNonRoot and image runs as 0"),
            "the cluster's policy does not allow root, and app:1 runs as root",
        ),
        (waiting("ContainerCreating"), ""),
        (RUNNING, ""),
    ],
)
def test_what_does_not_start_is_explained(state: dict[str, Any], text: str) -> None:
    problem = trouble(pod("Pending", state))
    assert (problem.message if problem else "") == text


def test_a_command_that_is_missing_has_the_code_of_a_shell() -> None:
    message = (
        "failed to create containerd task: OCI runtime create failed: starting container process "
        'caused: exec: "nosuch": executable file not found in $PATH: unknown'
    )
    problem = trouble(pod("Failed", ended(128, "StartError", message)))
    assert isinstance(problem, OCIRuntimeError)
    assert (problem.exit_code, 'exec: "nosuch"' in problem.message) == (127, True)


def test_the_resource_that_is_short_is_named() -> None:
    def condition(message: str) -> dict[str, str]:
        return {
            "type": "PodScheduled",
            "status": "False",
            "reason": "Unschedulable",
            "message": message,
        }

    short = pod("Pending", conditions=[condition("0/1 nodes: 1 Insufficient memory.")])
    problem = unschedulable(short)
    assert problem is not None
    assert problem.message.startswith("no node has enough memory free: ")
    volume = "pod has unbound immediate PersistentVolumeClaims"
    assert unschedulable(pod("Pending", conditions=[condition(volume)])) is None
    assert unschedulable(pod("Pending")) is None


@pytest.mark.parametrize(
    ("status", "message", "kind", "text"),
    [
        (404, "gone", "NotFoundError", "it: gone"),
        (
            403,
            'pods "x" is forbidden: exceeded quota: '
            "q, requested: pods=1, used: pods=2, limited: pods=2",
            "QuotaError",
            "the namespace's quota is full: q, requested: pods=1, used: pods=2, limited: pods=2",
        ),
        (
            403,
            'pods "x" is forbidden: PodSecurityPolicy: unable to validate against any pod security '
            "policy: [Privileged containers are not allowed]",
            "ClusterForbiddenError",
            "the cluster's policy does not allow this container: "
            "[Privileged containers are not allowed]",
        ),
        (403, "User cannot list", "ClusterForbiddenError", "it: User cannot list"),
        (422, "invalid", "ClusterError", "it: invalid"),
    ],
)
def test_refusals_are_typed(status: int, message: str, kind: str, text: str) -> None:
    error = refusal(status, "", message, "it")
    assert isinstance(error, ContainersError)
    assert (type(error).__name__, error.message) == (kind, text)


def test_a_label_holds_any_user() -> None:
    assert label_value("ann@example.org") == "ann-example.org"
    assert label_value("é") == "user"
    assert len(label_value("x" * 100)) == 63
