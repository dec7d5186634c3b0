"""Layers on their way in, as one pipeline: several arrive at once while one chain is unpacked.

A *receiver* brings one layer's blob into the store (from a registry, from an archive); several run
at once.  One more thread unpacks the layers from the lowest to the highest, each from bytes that
may still be arriving.  What is in memory at any moment is a few chunks for each of them: bytes
that nobody is ready for are on disk.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from concurrent.futures import TimeoutError as NotYet
from contextlib import contextmanager
from dataclasses import dataclass, field
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
from jupyter_containers.oci.descriptor import Descriptor, chain_id, short_id, validate_digest
from jupyter_containers.oci.image import check_depth
from jupyter_containers.store import Lease, Store

T = TypeVar("T")
_POLL_SECONDS = 0.05


@dataclass(frozen=True)
class Arrival:
    """One layer that arrives: ``blob`` as announced, ``diff_id`` as the configuration says.

    ``named`` says that a manifest names this very blob: another form of the layer (compressed, or
    compressed differently) does not stand in for it.

    The receiver calls :meth:`offer` as soon as its bytes can be read, and :meth:`settle` when the
    blob is in the store, verified.
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
        """Let the unpacking begin; ``open_blob`` may give bytes that still arrive."""
        if not self._source.done():
            self._source.set_result(open_blob)

    def settle(self, blob: Descriptor) -> None:
        """Tell that the blob is in the store, and under which descriptor."""
        self._settled.set_result(blob)

    def fail(self) -> None:
        """Let nobody wait for a layer that will not come."""
        for future in (self._source, self._settled):
            if not future.done():
                future.set_exception(OperationCancelledError("the layer did not arrive"))

    @property
    def has_settled(self) -> bool:
        """True once the blob is in the store, or failed to be."""
        return self._settled.done()

    def source(self, cancel: CancelToken) -> Callable[[], BinaryIO]:
        """Wait until there is something to read, and return how to open it."""
        return _awaited(self._source, cancel)

    def settled(self, cancel: CancelToken) -> Descriptor:
        """Wait until the blob is in the store, and return its descriptor."""
        return _awaited(self._settled, cancel)


def arrivals(
    blobs: Sequence[Descriptor], diff_ids: Sequence[str], *, named: bool = True
) -> list[Arrival]:
    """Return the layers of an image, lowest first, none of them here yet.

    ``named`` is False for an image without a manifest: any form of its layers will do.  Raises
    :class:`VerificationError` where the manifest and the configuration do not agree, and
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
    """Tell of all blobs that will be worked on, before the first one's turn comes."""
    for blob in blobs:
        task = short_id(blob.digest)
        emit(TaskStarted(task, task, blob.size))
        emit(TaskProgress(task, 0, blob.size, "Waiting"))


@contextmanager
def told(emit: EventSink, task: str, *, reason: bool = True) -> Iterator[None]:
    """Tell that a task failed, with the ``reason``, when the work in this block fails."""
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

    ``receive`` runs in ``workers`` threads; ``words`` says how a layer is reported when it is done.
    The first failure ends everything.
    """
    lease.add(*(layer.chain_id for layer in layers))
    announce([layer.blob for layer in layers], emit)

    def received(layer: Arrival) -> None:
        known = _already_here(store, layer)
        if known is not None:
            layer.settle(known)
            return
        try:
            with told(emit, layer.task):
                receive(layer)
        finally:
            layer.fail()  # does nothing to one that has come

    def unpacked() -> None:
        for layer in layers:
            with told(emit, layer.task):
                _unpack(store, layer, words, emit, cancel)

    jobs: list[Callable[[], None]] = [unpacked]
    jobs += [lambda layer=layer: received(layer) for layer in layers]  # type: ignore[misc]  # a default has no type
    in_parallel(lambda job: job(), jobs, workers=workers + 1, cancel=cancel)
    return [layer.settled(cancel) for layer in layers]


def _already_here(store: Store, layer: Arrival) -> Descriptor | None:
    """Return the blob of a layer that is unpacked and whose blob is here too.

    A blob that a manifest names must be that very one: ``save`` and ``push`` send it.
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


def _awaited(future: Future[T], cancel: CancelToken) -> T:
    while True:
        try:
            return future.result(_POLL_SECONDS)
        except NotYet:
            if future.done():
                raise
            cancel.check()
