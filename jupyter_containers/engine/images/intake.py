"""The intake pipeline: layers arrive in parallel while one chain is unpacked.

A *receiver* brings one layer's blob into the store (from a registry or an archive); several run in
parallel.  One more thread unpacks the layers from the lowest to the highest, each possibly while
its bytes still arrive.  Only a few chunks of each layer are in memory; bytes that cannot be
unpacked yet are on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from typing import BinaryIO, TypeVar

from jupyter_containers.engine.work import in_parallel
from jupyter_containers.errors import ContainersError, OperationCancelledError, VerificationError
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    TaskFinished,
    TaskProgress,
    TaskStarted,
)
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Descriptor, chain_id, short_id, validate_digest
from jupyter_containers.oci.image import check_depth
from jupyter_containers.store import Lease, Store

T = TypeVar("T")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Arrival:
    """An arriving layer: ``blob`` as announced, ``diff_id`` from the configuration.

    ``named`` means that a manifest names this very blob: another form of the layer (uncompressed,
    or compressed differently) cannot replace it.

    The receiver calls :meth:`offer` once its bytes can be read, and :meth:`settle` once the
    verified blob is in the store.
    """

    blob: Descriptor
    diff_id: str
    chain_id: str
    parent: str
    task: str
    named: bool = True
    _source: Future[Callable[[], BinaryIO]] = field(default_factory=Future)
    _settled: Future[Descriptor] = field(default_factory=Future)

    def offer(self, open_blob: Callable[[], BinaryIO]) -> None:
        """Make the layer readable; ``open_blob`` may return bytes that still arrive."""
        if not self._source.done():
            self._source.set_result(open_blob)

    def settle(self, blob: Descriptor) -> None:
        """Mark the blob as stored, under this descriptor."""
        self._settled.set_result(blob)

    def fail(self) -> None:
        """Mark the layer as failed, so that no thread waits for it."""
        for future in (self._source, self._settled):
            if not future.done():
                future.set_exception(OperationCancelledError("the layer did not arrive"))

    @property
    def has_settled(self) -> bool:
        """Whether the blob is stored or has failed."""
        return self._settled.done()

    def source(self, cancel: CancelToken) -> Callable[[], BinaryIO]:
        """Wait until the layer is readable; return the function that opens it."""
        return _wait_for(self._source, cancel)

    def settled(self, cancel: CancelToken) -> Descriptor:
        """Wait until the blob is stored; return its descriptor."""
        return _wait_for(self._settled, cancel)


def arrivals(
    blobs: Sequence[Descriptor], diff_ids: Sequence[str], *, named: bool = True
) -> list[Arrival]:
    """Return the layers of an image, lowest first, none of them received yet.

    ``named`` is False for an image without a manifest: any form of its layers is accepted.  Raises
    :class:`VerificationError` if the manifest and the configuration disagree, and
    :class:`UnsupportedError` for more layers than can be mounted.
    """
    if len(blobs) != len(diff_ids):
        raise VerificationError(
            f"the manifest has {len(blobs)} layers, the configuration {len(diff_ids)}"
        )
    check_depth(len(diff_ids))
    for diff_id in diff_ids:
        validate_digest(diff_id)
    chains = [chain_id(diff_ids[: depth + 1]) for depth in range(len(diff_ids))]
    return [
        Arrival(blob, diff_id, chain, parent, short_id(blob.digest), named)
        for blob, diff_id, chain, parent in zip(
            blobs, diff_ids, chains, ["", *chains[:-1]], strict=True
        )
    ]


def announce(blobs: Iterable[Descriptor], emit: EventSink) -> None:
    """Report all blobs as waiting, before the first one is processed."""
    for blob in blobs:
        task = short_id(blob.digest)
        emit(TaskStarted(task, task, blob.size))
        emit(TaskProgress(task, 0, blob.size, "Waiting"))


@contextmanager
def reporting_failure(emit: EventSink, task: str, *, reason: bool = True) -> Iterator[None]:
    """Report a task as failed, with the ``reason``, if the block raises."""
    started = time.monotonic()
    try:
        yield
    except OperationCancelledError:
        raise
    except ContainersError as error:
        detail = error.message[:200] if reason else ""
        emit(TaskFinished(task, "failed", detail, time.monotonic() - started))
        raise


def take_in(
    store: Store,
    layers: Sequence[Arrival],
    receive: Callable[[Arrival], None],
    *,
    words: str,
    lease: Lease,
    workers: int,
    emit: EventSink,
    cancel: CancelToken,
) -> list[Descriptor]:
    """Receive and unpack all layers; return the descriptors of their blobs, lowest first.

    ``receive`` runs in ``workers`` threads; ``words`` is the report of a finished layer.  The first
    failure ends everything.
    """
    lease.add(*(layer.chain_id for layer in layers))
    announce([layer.blob for layer in layers], emit)

    def received(layer: Arrival) -> None:
        known = _already_here(store, layer)
        if known is not None:
            layer.settle(known)
            return
        try:
            with reporting_failure(emit, layer.task):
                receive(layer)
        finally:
            layer.fail()  # no effect if it has arrived

    def unpacked() -> None:
        for layer in layers:
            with reporting_failure(emit, layer.task):
                _unpack(store, layer, words, emit, cancel)

    jobs: list[Callable[[], None]] = [unpacked]
    jobs += [lambda layer=layer: received(layer) for layer in layers]  # type: ignore[misc]  # a default has no type
    in_parallel(lambda job: job(), jobs, workers=workers + 1, cancel=cancel)
    return [layer.settled(cancel) for layer in layers]


def _already_here(store: Store, layer: Arrival) -> Descriptor | None:
    """Return the stored blob of a layer that is also unpacked, or None.

    A blob that a manifest names must be exactly that one, because ``save`` and ``push`` send it.
    """
    record = store.snapshots.get(layer.chain_id)
    if record is None:
        return None
    for blob in (layer.blob,) if layer.named else (layer.blob, record.blob):
        if store.content.has(blob.digest):
            return blob
    return None


def _unpack(store: Store, layer: Arrival, words: str, emit: EventSink, cancel: CancelToken) -> None:
    started, snapshots = time.monotonic(), store.snapshots
    if snapshots.has(layer.chain_id):
        layer.settled(cancel)
        emit(TaskFinished(layer.task, "exists", "Already exists"))
        return

    def progress(done: int) -> None:
        if layer.has_settled:
            emit(TaskProgress(layer.task, done, layer.blob.size, "Extracting"))

    snapshots.unpack(
        layer.parent,
        layer.diff_id,
        layer.blob,
        layer.source(cancel),
        cancel=cancel,
        progress=progress,
        settled=lambda: layer.settled(cancel),
    )
    emit(TaskFinished(layer.task, "done", words, time.monotonic() - started))


def _wait_for(future: Future[T], cancel: CancelToken) -> T:
    while True:
        try:
            return future.result(_POLL_SECONDS)
        except NotYet:
            if future.done():
                raise
            cancel.check()
