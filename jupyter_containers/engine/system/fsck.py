"""``system check``: compare the files on disk with the records, and repair them.

Lost parts are restored if possible: a layer from its archive, an archive from its layer or from a
registry that has it.  Other damaged objects are removed: an image that lacks a part, so that the
next pull or build makes it complete.  A container is removed only if its record is damaged beyond
repair (:mod:`.record_repair`), and nothing under a running one is changed.  A problem that needs a
person's decision stays.
"""

from __future__ import annotations

from collections.abc import Callable

from jupyter_containers.engine.builds.failed_steps import FailedSteps
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.garbage import GarbageCollection
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.engine.system.record_repair import RecordRepair
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import subprocess
from jupyter_containers.oci.descriptor import LAYER_TAR, Descriptor, RawDocument, short_id
from jupyter_containers.oci.image import Manifest, parse_manifest
from jupyter_containers.store import LayerRecord
from jupyter_containers.store.check import Needed, Problem, StoreCheck
from jupyter_containers.store.compression import decompressed_stream
from jupyter_containers.store.gc import with_parents

_ROUNDS = 8


@dataclass(frozen=True, slots=True)
class CheckReport:
    """The result of a check; ``repaired`` are the problems that no longer exist."""

    blobs: int
    bytes: int
    layers: int
    images: int
    problems: tuple[Problem, ...]
    repaired: tuple[Problem, ...] = ()


class Fsck:
    """Checks and repairs one store."""

    def __init__(
        self,
        context: EngineContext,
        images: Images,
        garbage: GarbageCollection,
        sweep: Callable[[], None],
        emit: EventSink,
        cancel: CancelToken,
    ) -> None:
        self._context, self._images = context, images
        self._garbage, self._sweep = garbage, sweep
        self._emit, self._cancel = emit, cancel
        self._records = RecordRepair(context, cancel)
        self._repairs: dict[str, Callable[[str], object]] = {
            **self._records.repairs,
            "changed layer": self._restore_layer,
            "damaged blob": context.store.content.delete,
            "damaged records": lambda _: context.store.rebuild_records(),
            "index out of date": lambda _: context.store.write_index(),
            "left mount": self._unmount,
            "lost build step": context.store.records.cache_delete,
            "lost name": context.store.remove_name,
            "lost writable layer": self._new_upper,
            "missing blob": self._find_blob,
            "missing layer": self._restore_layer,
            "stray file": lambda path: context.store.remove_tree(context.store.root / path),
            "unreadable image": context.store.delete_image,
        }

    def check(self, *, repair: bool) -> CheckReport:
        """Return the problems of the store; with ``repair``, repair them if possible."""
        check, problems = self._look_twice()
        first = problems
        if repair:
            for _ in range(_ROUNDS):
                # Some repairs uncover the next problem: a damaged blob becomes a missing one.
                before = problems
                if not problems or not self._repair(problems):
                    break
                check, problems = self._look_twice()
                if problems == before:
                    break
                first = [*first, *(item for item in problems if item not in first)]
            self._sweep()
            self._garbage.collect()
        left = {(item.kind, item.subject) for item in problems}
        gone = tuple(item for item in first if (item.kind, item.subject) not in left)
        return CheckReport(
            check.blobs,
            check.bytes,
            check.layers,
            check.images,
            tuple(problems),
            gone if repair else (),
        )

    def _look_twice(self) -> tuple[StoreCheck, list[Problem]]:
        """Return the problems found by two successive looks: not the work of other processes."""
        check, found = self._look()
        if not found:
            return check, []
        again = {(item.kind, item.subject) for item in self._look()[1]}
        return check, [item for item in found if (item.kind, item.subject) in again]

    def _look(self) -> tuple[StoreCheck, list[Problem]]:
        total = self._context.store.collector.size_of(self._context.store.content.digests())
        self._emit(TaskStarted("check", "Checking", total))
        check = StoreCheck(
            self._context.store,
            self._cancel,
            lambda read: self._emit(TaskProgress("check", read, total, "Reading")),
        )
        containers = self._context.containers.all()
        needed = Needed(
            {item.chain_id: item.name for item in containers if item.chain_id},
            {item.id: item.name for item in containers if item.phase == "ready"},
        )
        lost = list(self._records.problems())
        found = check.problems(self._with_unfinished(needed, containers))
        if lost:
            # The index still names images without a record.
            found = [item for item in found if item.kind != "index out of date"]
        self._emit(TaskFinished("check"))
        return check, [*lost, *found]

    def _with_unfinished(self, needed: Needed, containers: list[ContainerRecord]) -> Needed:
        """Add the layers of containers being created and of failed build steps, if present."""
        there = self._context.store.snapshots.uppers.keys()
        making = {item.id: item.name for item in containers if item.id in there}
        damaged = self._context.containers.damaged()
        making |= {item.id: item.name or item.id for item in damaged if item.id in there}
        failed = [step for step in FailedSteps(self._context).all() if step.key in there]
        making |= {step.key: step.title for step in failed}
        chains = {step.parent: step.title for step in failed if step.parent}
        return Needed({**chains, **needed.chains}, {**needed.uppers, **making})

    # -- repairing --------------------------------------------------------------------------------

    def _repair(self, problems: list[Problem]) -> bool:
        """Try to repair each problem; return whether anything was done.

        If records are damaged or lost, repair only those first: most other problems follow from
        them.
        """
        causes = [problem for problem in problems if problem.kind in self._records.repairs]
        if len(causes) < len(problems) and causes and self._repair(causes):
            return True
        done = False
        for problem in problems:
            self._cancel.check()
            repair_one = self._repairs.get(problem.kind)
            if repair_one is None:
                continue
            try:
                repair_one(problem.subject)
                done = True
            except ContainersError:
                continue  # the next look finds and reports it
        return done

    def _unmount(self, point: str) -> None:
        subprocess.run(["umount", "-l", point], check=False, capture_output=True)

    def _new_upper(self, container_id: str) -> None:
        record = self._context.containers.get(container_id)
        if record is not None and not record.state.status.alive:
            self._context.store.snapshots.prepare(record.id, record.chain_id)

    def _layer_records(self) -> dict[str, LayerRecord]:
        return {layer.chain_id: layer for layer in self._context.store.snapshots.layers.all()}

    def _under_containers(self, *, running: bool) -> set[str]:
        records = self._layer_records()
        chains = (
            item.chain_id
            for item in self._context.containers.all()
            if not running or item.state.status.alive
        )
        return with_parents(chains, records)

    def _restore_layer(self, chain: str) -> None:
        """Unpack a layer again; without its archive, remove the images and steps above it."""
        store = self._context.store
        if chain in self._under_containers(running=True):
            return  # its files are in use: stop the container first
        record = self._layer_records().get(chain)
        if record is not None:
            if self._has_blob(record):
                store.snapshots.restore(record, self._cancel)
                return
        elif self._unpack_again(chain):
            return
        self._remove_dependents(lambda image_chains: chain in image_chains)

    def _unpack_again(self, chain: str) -> bool:
        """Unpack a layer that only an image still refers to; return False if none does."""
        store = self._context.store
        for image in store.records.images():
            if chain in image.chain_ids and store.content.has(image.manifest.digest):
                depth = image.chain_ids.index(chain)
                blob = self._manifest(image.manifest.digest).layers[depth]
                parent = image.chain_ids[depth - 1] if depth else ""
                there = store.content.has(blob.digest) or self._fetch(blob)
                if there and (not parent or store.snapshots.has(parent)):
                    store.snapshots.unpack(parent, image.diff_ids[depth], blob, cancel=self._cancel)
                    return True
        return False

    def _has_blob(self, record: LayerRecord) -> bool:
        return self._context.store.content.has(record.blob.digest) or self._fetch(record.blob)

    def _find_blob(self, digest: str) -> None:
        """Restore a blob from its layer or a registry; else remove the images that need it."""
        if self._decompress(digest):
            return
        for layer in self._layer_records().values():
            if layer.blob.digest == digest:
                folder = self._context.store.snapshots.root / layer.directory
                if folder.is_dir() and self._context.store.snapshots.rebuild_blob(
                    layer, self._cancel
                ):
                    return
        descriptor = self._descriptor(digest)
        if descriptor is not None and self._fetch(descriptor):
            return
        for image in self._context.store.records.images():
            if digest in self._parts(image.manifest.digest):
                self._context.store.delete_image(image.manifest.digest)
        held = self._under_containers(running=False)
        for layer in self._layer_records().values():
            if layer.blob.digest == digest and layer.chain_id not in held:
                self._remove_dependents(lambda chains, lost=layer.chain_id: lost in chains)  # type: ignore[misc]  # a default has no type

    def _decompress(self, digest: str) -> bool:
        """Create an uncompressed archive from the compressed form of its layer, if stored."""
        content = self._context.store.content
        for layer in self._layer_records().values():
            other = layer.blob.digest
            if layer.diff_id != digest or other == digest or not content.has(other):
                continue
            with content.open(other) as source, content.writer() as writer:
                for chunk in decompressed_stream(source, f"layer {short_id(other)}"):
                    self._cancel.check()
                    writer.write(chunk)
                if writer.digest == digest:
                    writer.commit(LAYER_TAR)
                    return True
        return False

    def _parts(self, manifest_digest: str) -> set[str]:
        content = self._context.store.content
        if not content.has(manifest_digest):
            return {manifest_digest}
        manifest = self._manifest(manifest_digest)
        blobs = (manifest.config, *manifest.layers)
        return {manifest_digest, *(blob.digest for blob in blobs)}

    def _manifest(self, digest: str) -> Manifest:
        data = self._context.store.content.read(digest)
        parsed = parse_manifest(RawDocument(data, ""))
        assert isinstance(parsed, Manifest)  # only manifests are recorded as images
        return parsed

    def _descriptor(self, digest: str) -> Descriptor | None:
        """Return the descriptor of a missing blob from an image's manifest, or None."""
        for image in self._context.store.records.images():
            if image.manifest.digest == digest:
                return image.manifest
            if self._context.store.content.has(image.manifest.digest):
                manifest = self._manifest(image.manifest.digest)
                for blob in (manifest.config, *manifest.layers):
                    if blob.digest == digest:
                        return blob
        return None

    def _fetch(self, blob: Descriptor) -> bool:
        """Download a blob from a registry known to have it; return False if none does."""
        from jupyter_containers.engine.images.transfer import fetch

        for registry, repository in self._context.store.records.blob_sources(blob.digest):
            try:
                fetch(self._context, registry, repository, blob, cancel=self._cancel)
            except ContainersError:
                self._cancel.check()
                continue
            return True
        return False

    def _remove_dependents(self, concerns: Callable[[tuple[str, ...]], bool]) -> None:
        """Remove the images and build steps that need a lost layer, and the layer's record."""
        store = self._context.store
        for image in store.records.images():
            if concerns(image.chain_ids):
                store.delete_image(image.manifest.digest)
        records = self._layer_records()
        for entry in store.records.cache_entries():
            if concerns(tuple(with_parents([entry.chain_id], records))):
                store.records.cache_delete(entry.key)
        self._garbage.collect()
