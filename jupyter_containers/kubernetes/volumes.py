"""Volumes of a cluster: PersistentVolumeClaims of the default storage class.

``--opt size=10g`` and ``--opt class=NAME`` choose another size than 1 GiB and another class;
``--opt access=many`` asks for a volume that several nodes can mount.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from jupyter_containers.engine.collection import Collection, Items
from jupyter_containers.engine.filters import Filters, PruneFilter, volume_filter
from jupyter_containers.engine.records import ContainerRecord, VolumeRecord
from jupyter_containers.engine.results import PruneResult, VolumeSummary
from jupyter_containers.errors import (
    AlreadyExistsError,
    InUseError,
    InvalidArgumentError,
    NotFoundError,
    VolumeNotFoundError,
)
from jupyter_containers.kubernetes.client import Cluster, Patience
from jupyter_containers.kubernetes.labels import KIND, NAME, OWNER, VOLUME, labels_of, object_name
from jupyter_containers.options.values import check_name, parse_labels, parse_size

if TYPE_CHECKING:
    from lightkube.resources.core_v1 import PersistentVolumeClaim

_SIZE = 1024**3
_OPTIONS = ("size", "class", "access")
_ACCESS = {"one": "ReadWriteOnce", "many": "ReadWriteMany"}
_LABELS = "jupyter-containers/labels"


class ClusterVolumes(Collection[VolumeSummary]):
    """The volumes of one user in a namespace; ``users`` returns the containers."""

    noun = "volumes"

    def __init__(self, cluster: Cluster, users: Callable[[], Sequence[ContainerRecord]]) -> None:
        self._cluster, self._users = cluster, users

    def provide(self, name: str, labels: Sequence[str] = ()) -> None:
        """Create a volume unless it exists."""
        try:
            self._create(check_name(name, "volume") or name, parse_labels(labels), {})
        except AlreadyExistsError:
            return

    def create(
        self, name: str | None = None, *, driver: str | None = None, label: Any = (), opt: Any = ()
    ) -> VolumeSummary:
        """Create a volume, or return the existing one of that name."""
        if driver not in (None, "", "local"):
            raise InvalidArgumentError(
                f"the volume driver {driver!r} is not known here", hint="--opt class=STORAGECLASS"
            )
        options = parse_labels(opt)
        unknown = [key for key in options if key not in _OPTIONS]
        if unknown:
            raise InvalidArgumentError(
                f"unknown option of a volume: {unknown[0]!r}",
                hint="size=10g, class=STORAGECLASS, access=one or many",
            )
        name = name or secrets.token_hex(32)
        check_name(name, "volume")
        try:
            self._create(name, parse_labels(label), options)
        except AlreadyExistsError:
            if options:
                raise
        return self.get(name)

    def _create(self, name: str, labels: dict[str, str], options: dict[str, str]) -> None:
        import json

        from lightkube.resources.core_v1 import PersistentVolumeClaim

        owner = self._cluster.owner
        access = options.get("access", "one")
        if access not in _ACCESS:
            raise InvalidArgumentError(f"invalid access: {access!r}", hint="one or many")
        spec: dict[str, Any] = {
            "accessModes": [_ACCESS[access]],
            "resources": {"requests": {"storage": str(parse_size(options.get("size", _SIZE)))}},
        }
        if options.get("class"):
            spec["storageClassName"] = options["class"]
        document = {
            "metadata": {
                "name": object_name(name, owner),
                "labels": labels_of(VOLUME, name, owner, labels),
                "annotations": {NAME: name, _LABELS: json.dumps(labels)},
            },
            "spec": spec,
        }
        self._cluster.create(f"volume {name}", PersistentVolumeClaim, document)

    def _claims(self) -> Items[PersistentVolumeClaim]:
        from lightkube.resources.core_v1 import PersistentVolumeClaim

        labels: dict[str, Any] = {OWNER: self._cluster.owner, KIND: VOLUME}
        return self._cluster.request(
            "volumes", lambda client: list(client.list(PersistentVolumeClaim, labels=labels))
        )

    def _records(self) -> Items[VolumeRecord]:
        return [_record(claim) for claim in self._claims()]

    def _find(self, name: str) -> VolumeRecord:
        from lightkube.resources.core_v1 import PersistentVolumeClaim

        try:
            claim = self._cluster.request(
                f"volume {name}",
                lambda client: client.get(
                    PersistentVolumeClaim, object_name(name, self._cluster.owner)
                ),
            )
        except NotFoundError as error:
            raise VolumeNotFoundError(f"no such volume: {name}") from error
        return _record(claim)

    def get(self, name: str) -> VolumeSummary:
        """Return the volume of that name."""
        return _summary(self._find(name))

    def remove(self, name: str) -> None:
        """Remove a volume and its files; raise if a container uses it."""
        record = self._find(name)
        users = [
            each.name for each in self._users() if any(mount.name == name for mount in each.mounts)
        ]
        if users:
            raise InUseError(
                f"volume {name} is in use by {', '.join(users)}", hint="remove the container first"
            )
        self._delete(record)
        self._await_gone(record)

    def _await_gone(self, record: VolumeRecord) -> None:
        """Wait up to 10 s: a claim goes with the last pod that used it, which may be ending."""
        patience = Patience(10.0)
        while any(claim.id == record.id for claim in self._records()):
            if not patience.more():
                return

    def _delete(self, record: VolumeRecord) -> None:
        from lightkube.resources.core_v1 import PersistentVolumeClaim

        self._cluster.request(
            f"volume {record.name}", lambda client: client.delete(PersistentVolumeClaim, record.id)
        )

    def inspect(self, name: str) -> dict[str, Any]:
        """Return Docker's ``volume inspect`` object."""
        from pathlib import Path

        from jupyter_containers.engine.volumes.documents import volume_document

        record = self._find(name)
        return volume_document(record, Path()) | {"Mountpoint": "", "Scope": "global"}

    def prune(self, *, all: bool = False, filters: Filters | None = None) -> PruneResult:
        """Remove unused volumes without a given name, with ``all`` also those with one."""
        selection = PruneFilter(filters, ("label", "label!", "all"))
        used = {mount.name for each in self._users() for mount in each.mounts}
        removed = []
        for record in self._records():
            if record.name in used or not (all or selection.all or record.anonymous):
                continue
            if selection.accepts(record.labels, record.created):
                self._delete(record)
                removed.append(record.name)
        return PruneResult(tuple(removed))

    def names(self) -> Items[str]:
        """Return the names of all volumes: for completion."""
        return [record.name for record in self._records()]

    def list(self, *, filters: Filters | None = None) -> Items[VolumeSummary]:
        """Return the volumes; filters: ``dangling``, ``driver``, ``label``, ``name``."""
        used = frozenset(
            mount.name for each in (self._users() if filters else ()) for mount in each.mounts
        )
        matches = volume_filter(filters, used)
        return [_summary(record) for record in self._records() if matches(record)]

    __call__ = list

    def everything(self) -> Items[VolumeSummary]:
        """Return all volumes."""
        return self.list()


def _record(claim: PersistentVolumeClaim) -> VolumeRecord:
    import json

    metadata = claim.metadata
    assert metadata is not None  # every object has it
    annotations = metadata.annotations or {}
    name = annotations.get(NAME) or metadata.name or ""
    try:
        labels = {str(key): str(value) for key, value in json.loads(annotations[_LABELS]).items()}
    except (KeyError, ValueError, AttributeError):
        labels = {}
    return VolumeRecord(
        id=metadata.name or "",
        name=name,
        created=metadata.creationTimestamp.timestamp() if metadata.creationTimestamp else 0.0,
        labels=labels,
        anonymous=len(name) == 64 and all(letter in "0123456789abcdef" for letter in name),
    )


def _summary(record: VolumeRecord) -> VolumeSummary:
    created = datetime.fromtimestamp(record.created, UTC)
    return VolumeSummary(record.name, "", created, dict(record.labels))
