"""The pods of one owner: found, listed, started, awaited, removed.

A *stored container* is a ConfigMap: created and not started yet, or killed, with its last state and
the end of its log.  A name belongs to one of both.
"""

from __future__ import annotations

import base64
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.records import ContainerRecord, StateRecord
from jupyter_containers.errors import (
    AlreadyExistsError,
    ContainerNotFoundError,
    ContainersError,
    DamagedRecordError,
    InvalidArgumentError,
    NotFoundError,
    OperationCancelledError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.client import Cluster
from jupyter_containers.kubernetes.labels import (
    CONTAINER,
    KIND,
    NAME,
    OWNER,
    RECORD,
    STOPPED,
    STORED,
    object_name,
)
from jupyter_containers.kubernetes.states import (
    KILLED,
    is_over,
    record_of_metadata,
    record_of_pod,
    state_of,
    trouble,
    unschedulable,
)
from jupyter_containers.kubernetes.translation import encoded, stored_document
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.state import Status

if TYPE_CHECKING:
    from lightkube.resources.core_v1 import ConfigMap, Pod

# A pod that no node takes is given up after this time: what was deleted just now is freed soon.
_UNSCHEDULABLE_SECONDS = 1.5
# A caller in the foreground removes its container by itself, after reading how it ended.
_FORGOTTEN_SECONDS = 15.0
_LOG_BYTES = 512 * 1024
REFERENCE = "jupyter-containers/image"


@dataclass(frozen=True, slots=True)
class Found:
    """A container: its record, and its pod, unless it is stored."""

    record: ContainerRecord
    pod: Pod | None = None
    stored: ConfigMap | None = None

    @property
    def object_name(self) -> str:
        """The name of the pod or ConfigMap."""
        metadata = (self.pod or self.stored).metadata  # type: ignore[union-attr]  # it has one of both
        return str(metadata.name if metadata else "")

    @property
    def version(self) -> str | None:
        """The version of the object."""
        metadata = (self.pod or self.stored).metadata  # type: ignore[union-attr]  # it has one of both
        return metadata.resourceVersion if metadata else None

    @property
    def reference(self) -> str:
        """The image as the nodes pull it."""
        metadata = (self.pod or self.stored).metadata  # type: ignore[union-attr]  # it has one of both
        return str(((metadata.annotations if metadata else None) or {}).get(REFERENCE, ""))


class Pods:
    """The containers of one owner in a namespace."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster

    def _labels(self, kind: str) -> dict[str, Any]:
        return {OWNER: self.cluster.owner, KIND: kind}

    def all(self) -> list[Found]:
        """Return all containers, newest first; one with damaged annotations is left out."""
        from lightkube.resources.core_v1 import ConfigMap, Pod

        pods = self.cluster.request(
            "containers", lambda client: list(client.list(Pod, labels=self._labels(CONTAINER)))
        )
        maps = self.cluster.request(
            "containers", lambda client: list(client.list(ConfigMap, labels=self._labels(STORED)))
        )
        found: list[Found] = []
        items: list[Any] = [*pods, *maps]
        for item in items:
            try:
                each = _found(item)
            except DamagedRecordError:
                continue
            if _is_forgotten(each):
                self.delete(each)
            else:
                found.append(each)
        # A container that is being replaced has both; its pod comes first.
        once: dict[str, Found] = {}
        for each in found:
            once.setdefault(each.record.id, each)
        return sorted(once.values(), key=lambda each: each.record.created, reverse=True)

    def find(self, text: str) -> Found:
        """Return the container with this name, ID or unique ID prefix.

        Raises :class:`ContainerNotFoundError`, with similar names as a hint.
        """
        text = text.removeprefix("/")
        direct = self._pod(object_name(text, self.cluster.owner)) if text else None
        if direct is not None and direct.record.name == text:
            return direct
        everything = self.all()
        for each in everything:
            if text in (each.record.name, each.record.id):
                return each
        begun = [each for each in everything if text and each.record.id.startswith(text)]
        if len(begun) > 1:
            shown = ", ".join(each.record.id[:12] for each in begun[:5])
            raise InvalidArgumentError(
                f"{text!r} is the beginning of several ids: {shown}",
                hint="write more characters of the id",
            )
        if begun:
            return begun[0]
        raise ContainerNotFoundError(
            f"no such container: {text}",
            hint=_hint(text, [each.record.name for each in everything]),
        )

    def _pod(self, name: str) -> Found | None:
        from lightkube.resources.core_v1 import Pod

        try:
            pod = self.cluster.request(name, lambda client: client.get(Pod, name))
            found = _found(pod)
        except (NotFoundError, DamagedRecordError):
            return None
        labels = (pod.metadata.labels if pod.metadata else None) or {}
        return found if labels.get(OWNER) == self.cluster.owner else None

    # -- making ----------------------------------------------------------------------------------

    def create(self, document: dict[str, Any], record: ContainerRecord, reference: str) -> Found:
        """Create a pod; raise :class:`AlreadyExistsError` for a name in use."""
        from lightkube.resources.core_v1 import Pod

        def send(name: str) -> Any:
            document["metadata"]["name"] = name
            document["metadata"]["annotations"][REFERENCE] = reference
            return self.cluster.create(f"container {record.name}", Pod, document)

        return Found(record, self._named(document["metadata"]["name"], record, send))

    def store(self, record: ContainerRecord, reference: str, log: bytes = b"") -> Found:
        """Create a stored container."""
        from lightkube.resources.core_v1 import ConfigMap

        document = stored_document(record, self.cluster.owner, log)

        def send(name: str) -> Any:
            document["metadata"]["name"] = name
            document["metadata"]["annotations"][REFERENCE] = reference
            return self.cluster.create(f"container {record.name}", ConfigMap, document)

        stored = self._named(document["metadata"]["name"], record, send)
        return Found(record, stored=stored)

    def _named(self, name: str, record: ContainerRecord, send: Callable[[str], Any]) -> Any:
        try:
            return send(name)
        except AlreadyExistsError:
            self.check_free(record.name)
            # A renamed container keeps the object's name.
            return send(f"{name}-{record.id[:6]}")

    def check_free(self, name: str) -> None:
        """Raise :class:`AlreadyExistsError` if a container has the name."""
        if any(each.record.name == name for each in self.all()):
            raise AlreadyExistsError(
                f"the container name {name} is already in use",
                hint=f"remove the other one (rm -f {name}) or choose another name",
            )

    def annotate(self, found: Found, annotations: dict[str, str | None], **labels: str) -> None:
        """Change annotations and labels of a container's object."""
        from lightkube.resources.core_v1 import ConfigMap, Pod

        kind: Any = Pod if found.pod is not None else ConfigMap
        change = {"metadata": {"annotations": annotations, "labels": labels}}
        self.cluster.request(
            f"container {found.record.name}",
            lambda client: client.patch(kind, found.object_name, change),
        )

    def rename(self, found: Found, name: str) -> None:
        """Give a container another name; its object keeps the old one."""
        self.check_free(name)
        record = msgspec.structs.replace(found.record, name=name, state=StateRecord(), endpoints=())
        self.annotate(found, {NAME: name, RECORD: encoded(record)}, **{NAME: name[:63]})

    # -- waiting ---------------------------------------------------------------------------------

    def await_start(self, found: Found, cancel: CancelToken | None = None) -> Found:
        """Wait until a container runs or has run; raise its trouble if it cannot start."""

        def started(pod: Pod) -> bool:
            problem = trouble(pod)
            if problem is None and unschedulable(pod) is not None:
                problem = self._still_unschedulable(found, cancel)
            if problem is not None:
                raise problem
            return state_of(pod).status not in (Status.CREATED, Status.REMOVING)

        return self._await(found, started, cancel)

    def _still_unschedulable(
        self, found: Found, cancel: CancelToken | None
    ) -> ContainersError | None:
        """Return why no node takes a pod a moment later; what was just deleted is freed soon."""
        if (cancel or CancelToken()).wait(_UNSCHEDULABLE_SECONDS):
            raise OperationCancelledError("cancelled")
        current = self._pod(found.object_name)
        return unschedulable(current.pod) if current is not None and current.pod else None

    def await_end(self, found: Found, cancel: CancelToken | None = None) -> Found:
        """Wait until a container has ended for good."""
        return self._await(found, is_over, cancel)

    def _await(
        self, found: Found, reached: Callable[[Pod], bool], cancel: CancelToken | None
    ) -> Found:
        assert found.pod is not None  # stored containers have no future
        if reached(found.pod):
            return found
        changes = self.cluster.watch_pods(
            name=found.object_name, version=found.version, cancel=cancel
        )
        for kind, pod in changes:
            if kind == "DELETED":
                return self._deleted(pod)
            if reached(pod):
                return Found(record_of_pod(pod), pod)
        raise AssertionError("a watch ends only by an error")

    def _deleted(self, pod: Pod) -> Found:
        """Return the last state of a pod that somebody has deleted."""
        record = record_of_pod(pod)
        if not is_over(pod):
            ended = StateRecord(
                status=Status.EXITED,
                exit_code=KILLED,
                started=record.state.started,
                finished=time.time(),
                error="the pod was deleted",
            )
            record = msgspec.structs.replace(record, state=ended)
        return Found(record, pod)

    # -- ending ----------------------------------------------------------------------------------

    def delete(self, found: Found, grace: int | None = 0) -> None:
        """Delete a container's object; a missing one is not an error."""
        from lightkube.resources.core_v1 import ConfigMap, Pod

        kind: Any = Pod if found.pod is not None else ConfigMap
        try:
            self.cluster.request(
                f"container {found.record.name}",
                lambda client: client.delete(
                    kind,
                    found.object_name,
                    grace_period=grace if found.pod is not None else None,
                ),
            )
        except NotFoundError:
            return

    def await_gone(self, found: Found) -> None:
        """Wait until a deleted pod is gone."""
        try:
            current = self._pod(found.object_name)
        except ContainersError:
            return
        if current is None or current.record.id != found.record.id:
            return
        for kind, _ in self.cluster.watch_pods(name=found.object_name, version=current.version):
            if kind == "DELETED":
                return

    def set_deadline(self, found: Found) -> None:
        """Let the node end a pod, with its time to stop; the pod and its log stay."""
        from lightkube.resources.core_v1 import Pod

        change = {
            "metadata": {"annotations": {STOPPED: datetime.now(UTC).isoformat()}},
            "spec": {"activeDeadlineSeconds": 1},
        }
        self.cluster.request(
            f"container {found.record.name}",
            lambda client: client.patch(Pod, found.object_name, change),
        )

    def kill(self, found: Found, exit_code: int = KILLED) -> Found:
        """Kill a container at once: store its state and the end of its log, and delete its pod."""
        log = self.log_tail(found)
        state = StateRecord(
            status=Status.EXITED,
            started=found.record.state.started,
            finished=time.time(),
            exit_code=exit_code,
            stopped_by_user=True,
        )
        record = msgspec.structs.replace(found.record, state=state, endpoints=())
        with deferred():
            stored = self.store(record, found.reference, log)
            self.delete(found)
            self.await_gone(found)
        return stored

    def log_tail(self, found: Found) -> bytes:
        """Return the end of a container's log, with the times of its lines."""
        if found.stored is not None:
            data = (found.stored.binaryData or {}).get("log", "")
            return base64.b64decode(data)
        try:
            with self.cluster.stream(
                self.cluster.pods_path(found.object_name, "log"),
                f"log of {found.record.name}",
                timestamps=True,
                tailLines=10_000,
            ) as lines:
                text = b"".join(line + b"\n" for line in lines)
        except ContainersError:
            return b""
        return text[-_LOG_BYTES:].partition(b"\n")[2] if len(text) > _LOG_BYTES else text


def _found(item: Pod | ConfigMap) -> Found:
    from lightkube.resources.core_v1 import Pod

    if isinstance(item, Pod):
        return Found(record_of_pod(item), item)
    return Found(record_of_metadata(item.metadata), stored=item)


def _is_forgotten(found: Found) -> bool:
    """Return whether a container with ``rm`` has ended, and nobody is left who would remove it."""
    state = found.record.state
    return (
        found.record.options.rm
        and state.status is Status.EXITED
        and 0 < state.finished < time.time() - _FORGOTTEN_SECONDS
    )


def _hint(text: str, names: Sequence[str]) -> str:
    import difflib

    near = difflib.get_close_matches(text, names, n=3, cutoff=0.5)
    return f"did you mean {' or '.join(near)}?" if near else "see `ps -a` for what is here"
