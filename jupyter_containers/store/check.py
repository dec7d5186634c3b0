"""Checks a store: compares bytes, records and directories with each other.

A *problem* is a place where they disagree.  A check changes nothing and may run beside working
processes: their changes can look like a problem for a moment, so the caller checks twice and
reports the problems found both times.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Literal

from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.layout import StoreLayout
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.oci.descriptor import Descriptor, RawDocument, is_digest
from jupyter_containers.oci.image import Manifest, parse_image_config, parse_manifest
from jupyter_containers.store.additional import layers_open
from jupyter_containers.store.layers import LayerRecord
from jupyter_containers.store.store import Store
from jupyter_containers.store.uppers import tree_size

ProblemKind = Literal[
    "changed layer",
    "damaged blob",
    "damaged record",
    "damaged records",
    "index out of date",
    "left mount",
    "lost build step",
    "lost image",
    "lost name",
    "lost volume",
    "lost writable layer",
    "missing blob",
    "missing layer",
    "open layers",
    "stray file",
    "unreadable image",
]
_CHUNK = 1024 * 1024
_HASHERS = 2
_MOUNTS = Path("/proc/self/mountinfo")


@dataclass(frozen=True, slots=True)
class Problem:
    """A fault of the store; ``subject`` is a digest, a name or a path."""

    kind: ProblemKind
    subject: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Needed:
    """The needs of containers: chain IDs and keys of writable layers, each by container name."""

    chains: Mapping[str, str]
    uppers: Mapping[str, str]


class StoreCheck:
    """One check of a store; ``progress`` is called with the bytes read."""

    def __init__(
        self, store: Store, cancel: CancelToken, progress: Callable[[int], object] | None = None
    ) -> None:
        self._store = store
        self._cancel = cancel
        self._progress = progress
        self._read = 0
        self.blobs = self.bytes = self.layers = self.images = 0

    def problems(self, needed: Needed) -> list[Problem]:
        """Return all problems, causes before effects."""
        found = [
            *(Problem("damaged records", "records.db", text) for text in self._store.damage()),
            *self._stray(),
            *self._blobs(),
            *self._layers(needed),
            *self._images(),
            *self._names(),
            *self._build_steps(),
            *self._writable(needed),
            *self._mounts(),
            *self._shared(),
        ]
        # Several records may miss the same blob; it is reported once.
        return list({(item.kind, item.subject): item for item in reversed(found)}.values())[::-1]

    # -- bytes ------------------------------------------------------------------------------------

    def _blobs(self) -> Iterator[Problem]:
        digests = self._store.content.digests()
        self.blobs = len(digests)
        with ThreadPoolExecutor(_HASHERS, thread_name_prefix="check") as pool:
            try:
                for digest, actual in zip(digests, pool.map(self._digest, digests), strict=True):
                    if actual is not None and actual != digest:
                        yield Problem("damaged blob", digest, f"its content's digest is {actual}")
            except BaseException:
                # An interrupt is raised in this thread; the others then stop reading.
                self._cancel.cancel()
                raise
        self.bytes = self._read

    def _digest(self, digest: str) -> str | None:
        """Return the digest of a blob's content, None if it was removed."""
        algorithm = digest.partition(":")[0]
        found = hashlib.new(algorithm)
        try:
            with open(self._store.content.path(digest), "rb") as file:
                while chunk := file.read(_CHUNK):
                    self._cancel.check()
                    found.update(chunk)
                    self._read += len(chunk)
                    if self._progress is not None:
                        self._progress(self._read)
        except FileNotFoundError:
            return None
        except OSError as error:
            return f"unreadable: {error.strerror}"
        return f"{algorithm}:{found.hexdigest()}"

    def _stray(self) -> Iterator[Problem]:
        """Yield files and folders that belong to no record and no rule of the layout."""
        store = self._store
        blobs = store.content.root / "blobs"
        for folder in blobs.iterdir():
            if not folder.is_dir():
                yield Problem("stray file", str(folder.relative_to(store.root)))
                continue
            for entry in os.scandir(folder):
                if not is_digest(f"{folder.name}:{entry.name}") or not entry.is_file(
                    follow_symlinks=False
                ):
                    yield Problem("stray file", str(Path(entry.path).relative_to(store.root)))
        known = store.snapshots.layers.directories() | {store.snapshots.scratch.name}
        known |= {name for name in os.listdir(store.snapshots.root) if name.startswith("@")}
        # The directory of a damaged record is unknown and may be in use.
        if not store.snapshots.layers.damaged():
            for name in sorted(set(os.listdir(store.snapshots.root)) - known):
                yield Problem("stray file", f"layers/{name}")
        for name in sorted(os.listdir(store.layout.ingest)):
            if not is_digest(name.replace("-", ":", 1)):
                yield Problem("stray file", f"ingest/{name}")

    # -- layers -----------------------------------------------------------------------------------

    def _layers(self, needed: Needed) -> Iterator[Problem]:
        records = {layer.chain_id: layer for layer in self._store.snapshots.layers.all()}
        self.layers = len(records)
        for record in records.values():
            self._cancel.check()
            yield from self._layer(record)
        for chain, name in needed.chains.items():
            if chain and not self._store.snapshots.layers.known(chain):
                yield Problem("missing layer", chain, f"container {name} needs it")

    def _layer(self, record: LayerRecord) -> Iterator[Problem]:
        snapshots = self._store.snapshots
        folder = snapshots.root / record.directory
        parent = record.parent_chain_id
        if not folder.is_dir():
            yield Problem("missing layer", record.chain_id, f"{folder.name} is missing")
        elif (size := tree_size(folder)) != record.size and self._changed(record, size):
            yield Problem(
                "changed layer", record.chain_id, f"{size} bytes instead of {record.size}"
            )
        if parent and not snapshots.layers.known(parent):
            yield Problem("missing layer", parent, f"{record.chain_id} needs it")
        if not self._store.content.has(record.blob.digest):
            yield Problem("missing blob", record.blob.digest, f"of layer {record.chain_id}")

    def _changed(self, record: LayerRecord, size: int) -> bool:
        """Return whether a layer differs from its archive; an archive may contain a file twice."""
        try:
            return self._store.snapshots.measure(record, self._cancel) != size
        except ContainersError:
            return True

    # -- records ----------------------------------------------------------------------------------

    def _images(self) -> Iterator[Problem]:
        store = self._store
        images = store.records.images()
        self.images = len(images)
        for image in images:
            what = f"of image {image.config_digest[7:19]}"
            yield from self._missing([image.manifest], what)
            for chain in image.chain_ids:
                if not store.snapshots.layers.known(chain):
                    yield Problem("missing layer", chain, what)
            if not store.content.has(image.manifest.digest):
                continue
            try:
                document = RawDocument(
                    store.content.read(image.manifest.digest), image.manifest.media_type
                )
                manifest = parse_manifest(document)
            except ContainersError as error:
                yield Problem("unreadable image", image.manifest.digest, str(error))
                continue
            if not isinstance(manifest, Manifest) or manifest.config.digest != image.config_digest:
                yield Problem("unreadable image", image.manifest.digest, "not its manifest")
                continue
            yield from self._missing([manifest.config, *manifest.layers], what)
            yield from self._configuration(image.manifest.digest, image.config_digest)

    def _configuration(self, manifest: str, digest: str) -> Iterator[Problem]:
        if self._store.content.has(digest):
            try:
                parse_image_config(self._store.content.read(digest))
            except ContainersError as error:
                yield Problem("unreadable image", manifest, str(error))

    def _missing(self, blobs: Iterable[Descriptor], what: str) -> Iterator[Problem]:
        for blob in blobs:
            if not self._store.content.has(blob.digest):
                yield Problem("missing blob", blob.digest, what)

    def _names(self) -> Iterator[Problem]:
        store = self._store
        known = {image.manifest.digest for image in store.records.images()}
        for entry in store.records.names():
            if entry.manifest_digest not in known:
                yield Problem("lost name", entry.name, f"no image {entry.manifest_digest}")
        if store.index_differs():
            yield Problem("index out of date", "content/index.json")

    def _build_steps(self) -> Iterator[Problem]:
        layers = self._store.snapshots.layers
        for entry in self._store.records.cache_entries():
            if entry.chain_id and not layers.known(entry.chain_id):
                yield Problem("lost build step", entry.key, f"its layer {entry.chain_id} is gone")

    # -- containers and mounts --------------------------------------------------------------------

    def _writable(self, needed: Needed) -> Iterator[Problem]:
        there = set(self._store.snapshots.uppers.keys())
        for key, name in needed.uppers.items():
            if key not in there:
                yield Problem("lost writable layer", key, f"of container {name}")
        for key in sorted(there - needed.uppers.keys()):
            yield Problem("stray file", f"uppers/{key}")

    def _mounts(self) -> Iterator[Problem]:
        """Yield the mounts inside the store: containers mount only in their own namespaces."""
        folders = tuple(f"{self._store.root}/{name}/" for name in ("layers", "uppers", "staging"))
        for line in _MOUNTS.read_text(errors="surrogateescape").splitlines():
            point = line.split(" ")[4].replace("\\040", " ")
            if point.startswith(folders):
                yield Problem("left mount", point)

    def _shared(self) -> Iterator[Problem]:
        """Yield the layers of shared stores that every user of the machine can enter."""
        for store in self._store.additional:
            if layers_open(store.root):
                layers = str(StoreLayout(store.root).layers)
                yield Problem("open layers", layers, "root's next command closes them")
