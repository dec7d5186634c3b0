"""The start of containers in a cluster: from options to a pod that runs."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

import msgspec

from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.naming import friendly_name, new_id
from jupyter_containers.engine.records import ContainerRecord, MountRecord, StateRecord
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.kubernetes.images import ImageSource, Published
from jupyter_containers.kubernetes.pods import Found, Pods
from jupyter_containers.kubernetes.translation import pod_document
from jupyter_containers.options import RunOptions
from jupyter_containers.runtime.spec import process_args
from jupyter_containers.settings import Settings

if TYPE_CHECKING:
    from jupyter_containers.kubernetes.volumes import ClusterVolumes


class Starting:
    """Makes pods of options and of records."""

    def __init__(
        self, pods: Pods, images: ImageSource, volumes: ClusterVolumes, settings: Settings
    ) -> None:
        self._pods, self._images, self._volumes = pods, images, volumes
        self._settings = settings

    def prepared(
        self, options: RunOptions, emit: EventSink, cancel: CancelToken | None = None
    ) -> tuple[ContainerRecord, Published]:
        """Return the record of a new container, and its image."""
        published = self._images.published(
            options.image, platform=options.platform, emit=emit, cancel=cancel
        )
        if published.known:
            process_args(published.config, options)
        record = ContainerRecord(
            id=new_id(),
            name=options.name or friendly_name(),
            options=options,
            manifest_digest=published.digest,
            image_id=published.image_id,
            chain_id="",
            config=published.config,
            created=time.time(),
            phase="ready",
            networks=options.networks,
            mounts=self._mounts(options, published),
        )
        return record, published

    def _mounts(self, options: RunOptions, published: Published) -> tuple[MountRecord, ...]:
        found: dict[str, MountRecord] = {}
        for request in options.mounts:
            anonymous = request.type == "volume" and not request.source
            found[request.target] = MountRecord(
                request.type,
                request.target,
                source=request.source if request.type == "volume" else "",
                name=request.source,
                read_only=request.read_only,
                size=request.size,
                anonymous=anonymous,
                subpath=request.subpath,
            )
            if request.type == "volume" and not anonymous:
                self._volumes.provide(request.source, request.labels)
        for target in published.config.volumes:
            found.setdefault(target, MountRecord("volume", target, anonymous=True))
        return tuple(found.values())

    def launch(
        self,
        record: ContainerRecord,
        published: Published,
        *,
        gate: bool = False,
        cancel: CancelToken | None = None,
    ) -> tuple[Found, bool]:
        """Create a container's pod and wait until it runs; return whether it has a gate."""
        made: Found | None = None
        try:
            made = self._make(record, published, gate=gate)
            try:
                return self._pods.await_start(made, cancel), gate
            except ContainersError as error:
                if not gate or getattr(error, "exit_code", 0) != 127:
                    raise
            # Perhaps the image has no sh for the gate: the program itself then says what is wrong.
            self._pods.delete(made)
            self._pods.await_gone(made)
            made = self._make(record, published, gate=False)
            return self._pods.await_start(made, cancel), False
        except BaseException:
            if made is not None:
                with deferred():
                    self._pods.delete(made)
            raise

    def keep_record(self, found: Found) -> Found:
        """Store a container beside its pod, which is about to be replaced: nothing is lost then."""
        record = msgspec.structs.replace(found.record, endpoints=())
        return self._pods.store(record, found.reference)

    def again(self, found: Found, *, gate: bool = False) -> tuple[Found, bool]:
        """Make a pod of a stored or ended container; the ID stays."""
        if found.pod is not None:
            kept = self.keep_record(found)
            self._pods.delete(found)
            self._pods.await_gone(found)
            found = kept
        record = msgspec.structs.replace(found.record, state=StateRecord(), endpoints=())
        published = Published(
            found.reference or record.options.image,
            record.config,
            record.manifest_digest,
            record.image_id,
            known=bool(record.image_id),
            secrets=self._images.pull_secrets(found.reference or record.options.image),
        )
        started, gated = self.launch(record, published, gate=gate and published.known)
        self._pods.delete(found)
        return started, gated

    def _make(self, record: ContainerRecord, published: Published, *, gate: bool) -> Found:
        document = pod_document(
            record,
            published.reference,
            owner=self._pods.cluster.owner,
            namespace=self._pods.cluster.namespace,
            gate=gate,
            pull_secrets=published.secrets,
            grace=self._settings.stop_timeout,
        )
        found = self._pods.create(document, record, published.reference)
        if found.pod is not None:
            self._images.own(published.secrets, found.pod)
        return found
