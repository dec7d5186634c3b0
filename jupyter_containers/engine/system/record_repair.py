"""Damaged and lost records for ``system check``: find them, and repair them.

An image is restored from its manifest and configuration, which are blobs; its name from the
layout's index; a volume from its folder.  A record that only has nulls in place of numbers gets
their default values.  A record that cannot be restored is removed together with its object.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import msgspec

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import VolumeRecord
from jupyter_containers.errors import ContainersError, InUseError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import json
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.descriptor import RawDocument, chain_id, is_digest
from jupyter_containers.oci.image import (
    Index,
    Manifest,
    parse_image_config,
    parse_manifest,
)
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.network import DEFAULT_NETWORK
from jupyter_containers.store import Collection
from jupyter_containers.store.check import Problem
from jupyter_containers.store.collection import DamagedDocument
from jupyter_containers.store.content import REF_NAME
from jupyter_containers.store.rows import DamagedRow

_ID = pattern(r"[0-9a-f]{64}")


class RecordRepair:
    """Damaged and lost records of one store."""

    def __init__(self, context: EngineContext, cancel: CancelToken) -> None:
        self._context, self._cancel = context, cancel

    @property
    def repairs(self) -> dict[str, Callable[[str], object]]:
        """The repair functions by kind of problem; each takes the problem's subject."""
        return {
            "damaged record": self._repair_record,
            "lost image": self._restore_name,
            "lost volume": self._restore_volume,
        }

    def problems(self) -> Iterator[Problem]:
        """Yield the damaged records, and the images and volumes without a record."""
        for row in self._context.store.damaged_rows():
            yield Problem("damaged record", row.subject, row.reason)
        for collection in collections(self._context):
            for document in collection.damaged():
                yield Problem("damaged record", _subject(collection, document), document.reason)
        for name in self._lost_names():
            yield Problem("lost image", name, "named by content/index.json only")
        for volume in self._lost_volumes():
            yield Problem("lost volume", volume, "its folder has no record")

    # -- rows ---------------------------------------------------------------------------------

    def _repair_record(self, subject: str) -> None:
        for row in self._context.store.damaged_rows():
            if row.subject == subject:
                self._repair_row(row)
                return
        for collection in collections(self._context):
            for document in collection.damaged():
                if _subject(collection, document) == subject:
                    self._repair_document(collection, document)
                    return

    def _repair_row(self, row: DamagedRow) -> None:
        store = self._context.store
        if row.table == "layers" and any(
            item.state.status.alive for item in self._context.containers.all()
        ):
            raise InUseError(
                "a layer's record is damaged while containers run", hint="stop them first"
            )
        if row.table == "images" and is_digest(row.label):
            with suppress(ContainersError):
                self._restore_image(row.label)
                return
        store.forget_row(row)

    def _restore_image(self, manifest_digest: str) -> None:
        """Record an image again from its blobs; raise if one is missing or damaged."""
        from jupyter_containers.engine.images.places.store import image_record

        store = self._context.store
        document = RawDocument(store.content.read(manifest_digest), "")
        manifest = parse_manifest(document)
        if not isinstance(manifest, Manifest):
            raise ContainersError(f"{manifest_digest} is not an image")
        config = parse_image_config(store.content.read(manifest.config.digest))
        diff_ids = config.rootfs.diff_ids
        with store.leases.hold([manifest_digest]) as lease:
            for depth, blob in enumerate(manifest.layers):
                parent, chain = chain_id(diff_ids[:depth]), chain_id(diff_ids[: depth + 1])
                lease.add(chain)
                if not store.snapshots.has(chain):
                    store.snapshots.unpack(parent, diff_ids[depth], blob, cancel=self._cancel)
            document = RawDocument(document.data, manifest.media_type or document.media_type)
            store.put_image(image_record(self._context.store, document, manifest, config))

    # -- documents ----------------------------------------------------------------------------

    def _repair_document(self, collection: Collection[Any], document: DamagedDocument) -> None:
        value = collection.decoded(without_nulls(document.data))
        if value is None:
            match collection.name:
                case "containers":
                    self._remove_container(document)
                case "networks":
                    remove_bridge(self._context, document)
                case "volumes" if document.name:
                    value = self._volume(document.name, document.id)
        collection.mend(document, value)

    def _remove_container(self, document: DamagedDocument) -> None:
        """Remove the resources of a container whose record cannot be read."""
        context, container_id = self._context, document.id
        if not _ID.fullmatch(container_id):
            return
        with suppress(UnsupportedError):
            context.runtime.delete(container_id, force=True)
        context.firewall.unpublish(container_id)
        for claim in context.endpoints.all():
            if claim.container_id == container_id:
                context.endpoints.delete(claim.id)
        context.store.snapshots.discard(container_id)
        context.store.remove_tree(context.settings.layout.containers / container_id)

    # -- objects without a record -------------------------------------------------------------

    def _lost_names(self) -> dict[str, str]:
        """Return the names and manifests in the layout's index that have no record."""
        store = self._context.store
        if store.records.name_changes():
            return {}  # otherwise the index itself is out of date
        try:
            index = parse_manifest(RawDocument(store.content.index(), ""))
        except ContainersError:
            return {}
        known = {entry.name for entry in store.records.own_names()}
        found = {}
        for entry in index.manifests if isinstance(index, Index) else ():
            with suppress(ContainersError):
                name = str(Reference.parse(entry.annotations.get(REF_NAME, "")))
                if name not in known and store.content.has(entry.digest):
                    found[name] = entry.digest
        return found

    def _restore_name(self, name: str) -> None:
        digest = self._lost_names().get(name)
        if digest is None:
            return
        if self._context.store.records.get_image(digest) is None:
            self._restore_image(digest)
        # The index has it already, with names that are only there.
        self._context.store.records.restore_name(name, digest)

    def _lost_volumes(self) -> list[str]:
        folder = self._context.settings.layout.volumes
        volumes = self._context.volumes
        known = {volume.name for volume in volumes.all()}
        known |= {document.name or "" for document in volumes.damaged()}
        names = sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []
        return [name for name in names if name not in known]

    def _restore_volume(self, name: str) -> None:
        from jupyter_containers.engine.naming import new_id

        volume = self._volume(name, new_id())
        self._context.volumes.insert(volume.id, name, volume)

    def _volume(self, name: str, volume_id: str) -> VolumeRecord:
        """Return the record of a volume, as far as its folder still shows."""
        folder = self._context.settings.layout.volumes / name
        created = folder.lstat().st_mtime if folder.is_dir() else 0.0
        return VolumeRecord(volume_id, name, created, anonymous=bool(_ID.fullmatch(name)))


def collections(context: EngineContext) -> list[Collection[Any]]:
    """Return all collections of documents that the engine has."""
    from jupyter_containers.engine.builds.failed_steps import FailedStep
    from jupyter_containers.engine.builds.layers import CompressedAs
    from jupyter_containers.engine.images.manifest_lists import Draft
    from jupyter_containers.engine.images.rate_limits import RateLimitRecord
    from jupyter_containers.engine.images.recompression import CompressedLayer

    others: dict[str, type[msgspec.Struct]] = {
        "compressed layers": CompressedLayer,
        "failed-steps": FailedStep,
        "layers of builds": CompressedAs,
        "manifest lists": Draft,
        "rate limits": RateLimitRecord,
    }
    return [
        context.containers,
        context.networks,
        context.endpoints,
        context.volumes,
        context.builds,
        context.built_steps,
        *(context.store.records.collection(name, kind) for name, kind in others.items()),
    ]


def remove_bridge(
    context: EngineContext, document: DamagedDocument, *, with_ports: bool = False
) -> None:
    """Remove the bridge of a network whose record is damaged."""
    from jupyter_containers.network.allocation import bridge_interface
    from jupyter_containers.network.model import Network

    default = document.name == DEFAULT_NETWORK
    interface = context.bridge_name if default else bridge_interface(document.id)
    if "CAP_NET_ADMIN" in context.host.kernel_capabilities:
        # Only its name matters here.
        network = Network(
            id=document.id,
            name=document.name or "",
            interface=interface,
            subnet="0.0.0.0/0",
            gateway="",
            masquerade=False,
        )
        context.bridge.remove_bridge(network, with_ports=with_ports)


def without_nulls(data: bytes) -> bytes:
    """Return JSON without the members that are null: infinity was once written that way.

    Their default values then apply.  Other damage is not guessed at: the lost data may include a
    restriction of a container.
    """
    try:
        return msgspec.json.encode(_bare(json.loads(data)))
    except (ValueError, RecursionError, msgspec.MsgspecError):
        return data


def _bare(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _bare(item) for key, item in value.items() if item is not None}
    return [_bare(item) for item in value] if isinstance(value, list) else value


def _subject(collection: Collection[Any], document: DamagedDocument) -> str:
    from jupyter_containers.store.damage import column_text

    return f"{collection.name}/{column_text(document.name or document.id)}"
