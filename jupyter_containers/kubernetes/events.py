"""The events of containers in a cluster, in Docker's words, from the changes of their pods.

The cluster's own Events need a right that many users do not have.  What happened before is known
from the pods that still exist.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.journal import JournalEvent
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import DamagedRecordError, OperationCancelledError
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.labels import CONTAINER, KIND, OWNER
from jupyter_containers.kubernetes.states import record_of_pod
from jupyter_containers.oci.state import Status

if TYPE_CHECKING:
    from lightkube import Client
    from lightkube.resources.core_v1 import Pod

_NANOSECONDS = 10**9


def read_events(
    cluster: Cluster,
    *,
    since: datetime | None = None,
    until: datetime | None = None,
    filters: Mapping[str, Iterable[str]] | None = None,
    follow: bool = True,
    cancel: CancelToken | None = None,
) -> Iterator[JournalEvent]:
    """Yield the events of one owner's containers; those of the past first, by time."""
    end = until.timestamp() if until else float("inf")
    wanted = {key: frozenset(values) for key, values in (filters or {}).items()}

    def accepted(event: JournalEvent) -> bool:
        return all(_matches(event, key, values) for key, values in wanted.items())

    records, version = _present(cluster)
    if since is not None:
        past = [event for record in records for event in _changes(None, record)]
        for event in sorted(past, key=lambda event: event.time_ns):
            if since.timestamp() <= event.time_ns / _NANOSECONDS <= end and accepted(event):
                yield event
    if not follow or end <= time.time():
        return
    try:
        for event in _following(cluster, records, version, cancel):
            if event.time_ns / _NANOSECONDS > end:
                return
            if accepted(event):
                yield event
    except OperationCancelledError:
        return


def _labels(cluster: Cluster) -> dict[str, Any]:
    return {OWNER: cluster.owner, KIND: CONTAINER}


def _present(cluster: Cluster) -> tuple[list[ContainerRecord], str]:
    """Return the containers, and the version of the list."""
    from lightkube.resources.core_v1 import Pod

    def listed(client: Client) -> tuple[list[Pod], str]:
        found = client.list(Pod, labels=_labels(cluster))
        return list(found), found.resourceVersion

    pods, version = cluster.request("containers", listed)
    return [record for pod in pods if (record := _record(pod)) is not None], version


def _record(pod: Pod) -> ContainerRecord | None:
    try:
        return record_of_pod(pod)
    except DamagedRecordError:
        return None


def _following(
    cluster: Cluster, records: list[ContainerRecord], version: str, cancel: CancelToken | None
) -> Iterator[JournalEvent]:
    known = {record.id: record for record in records}
    changes = cluster.watch_pods(labels=_labels(cluster), version=version, cancel=cancel)
    for kind, pod in changes:
        record = _record(pod)
        if record is None:
            continue
        yield from _changes(known.get(record.id), record)
        known[record.id] = record
        if kind == "DELETED":
            yield _event("destroy", record, time.time())
            del known[record.id]


def _changes(before: ContainerRecord | None, now: ContainerRecord) -> list[JournalEvent]:
    events = []
    state, earlier = now.state, before.state if before is not None else None
    if before is None:
        events.append(_event("create", now, now.created))
    elif before.name != now.name:
        events.append(_event("rename", now, time.time()))
    if state.started and (earlier is None or earlier.started != state.started):
        events.append(_event("start", now, state.started))
    over = state.status in (Status.EXITED, Status.RESTARTING)
    if over and (earlier is None or earlier.status is not state.status):
        moment = state.finished or time.time()
        if state.oom_killed:
            events.append(_event("oom", now, moment))
        events.append(_event("die", now, moment, exitCode=str(state.exit_code)))
    return events


def _event(action: str, record: ContainerRecord, moment: float, **more: str) -> JournalEvent:
    labels = {**record.config.labels, **(record.options.labels or {})}
    attributes = {**labels, "image": record.options.image, "name": record.name, **more}
    return JournalEvent(0, int(moment * _NANOSECONDS), "container", action, record.id, attributes)


def _matches(event: JournalEvent, key: str, values: frozenset[str]) -> bool:
    name = event.attributes.get("name", "")
    found = {
        "container": {name, event.id, event.id[:12]},
        "event": {event.action},
        "type": {event.type},
        "image": {event.attributes.get("image", "")},
        "label": {
            text
            for label, value in event.attributes.items()
            for text in (label, f"{label}={value}")
        },
    }.get(key, set())
    return bool(found & values)
