"""An OCI image layout as a place: a folder with ``oci-layout``, ``index.json`` and ``blobs/``.

A blob appears under its digest once it is complete, and ``index.json`` is replaced after everything
that it names has been written.  OCI Image Specification 1.1, image-layout.md.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import msgspec

from jupyter_containers.engine.images.places.base import (
    Facts,
    Image,
    Outcome,
    Pieces,
    Progress,
    Source,
    Target,
    Transfer,
)
from jupyter_containers.engine.images.places.blobs import (
    checked_pieces,
    file_pieces,
    write_in_order,
)
from jupyter_containers.errors import (
    DigestMismatchError,
    NotFoundError,
    UnsupportedError,
    VerificationError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.lazy_modules import hashlib, json
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.descriptor import INDEX, Descriptor, RawDocument, encode_json
from jupyter_containers.store.content import LAYOUT, REF_NAME
from jupyter_containers.store.faults import storage_error, storage_errors

if TYPE_CHECKING:
    from jupyter_containers.store.tarfiles import Files, FolderFiles

FULL_NAME = "io.containerd.image.name"


def blob_path(digest: str) -> str:
    """Return the path of a blob in a layout."""
    return "blobs/" + digest.replace(":", "/", 1)


def entries(targets: Iterable[Target]) -> Iterator[Descriptor]:
    """Yield the targets' entries for an index, one for each name."""
    for target in targets:
        entry = target.entry
        for name in target.names or (None,):
            marks = {FULL_NAME: str(name), REF_NAME: name.tag or ""} if name else {}
            given = {key: text for key, text in marks.items() if text}
            yield msgspec.structs.replace(entry, annotations=entry.annotations | given)


def refuse_unmade(image: Image) -> None:
    """Raise for an image without a manifest: only a store can create one."""
    if image.document is None:
        raise UnsupportedError(
            f"image {image.digest} has no manifest",
            capability="images without a manifest outside the store",
            hint="load it into the store first",
        )


@dataclass(frozen=True, slots=True)
class LayoutReader:
    """The files of a layout, in a folder or in an archive, as a source."""

    files: Files
    cancel: CancelToken

    facts = Facts()

    def find(self, name: str) -> RawDocument:
        """Return the document of a name, a tag or a digest in ``index.json``."""
        return self.manifest(_find_entry(self.listed(), name))

    def listed(self) -> list[dict[str, Any]]:
        """Return the entries of ``index.json`` unchanged; none without that file.

        Raises :class:`VerificationError` if the file is invalid.
        """
        if not self.files.has("index.json"):
            return []
        return _parse_index(self.files.read("index.json"))

    def manifest(self, target: Descriptor) -> RawDocument:
        """Return the manifest or index of a descriptor, verified."""
        return RawDocument(self.read(target), target.media_type)

    def read(self, blob: Descriptor) -> bytes:
        """Return the bytes of a small blob, verified."""
        data = self.files.read(self.path(blob.checked()))
        algorithm = blob.digest.partition(":")[0]
        found = f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"
        if found != blob.digest:
            raise DigestMismatchError(f"blob {blob.digest}: the content's digest is {found}")
        return data

    def path(self, blob: Descriptor) -> str:
        """Return the name of a blob's file."""
        return blob_path(blob.digest)

    def has(self, digest: str) -> bool:
        """Return whether the blob's file exists."""
        return self.files.has(blob_path(digest))

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        """Return a blob's bytes, always from the beginning."""
        del offset
        return file_pieces(self.file(blob), self.cancel)

    def file(self, blob: Descriptor) -> BinaryIO:
        """Return a blob as a file."""
        return self.files.open(self.path(blob))

    def hold(self, *digests: str) -> None:
        """Do nothing: a layout has no garbage collection."""


@dataclass(frozen=True, slots=True)
class _Folder:
    """The files of a folder that may not exist yet; it is opened for each operation."""

    path: Path

    @contextmanager
    def _files(self) -> Iterator[FolderFiles]:
        from jupyter_containers.store.tarfiles import FolderFiles
        from jupyter_containers.trees.rooted import Root

        try:
            root = Root(self.path)
        except OSError as error:
            raise storage_error(f"read {self.path}", error) from error
        with root:
            yield FolderFiles(root)

    def has(self, name: str) -> bool:
        return (self.path / name).is_file()

    def size(self, name: str) -> int:
        with self._files() as files:
            return files.size(name)

    def open(self, name: str) -> BinaryIO:
        with self._files() as files:
            return files.open(name)

    def read(self, name: str) -> bytes:
        with self._files() as files:
            return files.read(name)


@dataclass(frozen=True, slots=True)
class LayoutPlace(LayoutReader):
    """A layout's folder; :meth:`at` creates the place, but not the folder.

    Existing contents stay, except entries with the same name.  The index of a ``fresh`` layout
    names only the images of this copy.
    """

    folder: Path = Path()
    fresh: bool = False
    workers: int = 1
    _own: list[dict[str, Any]] = field(default_factory=list)

    @classmethod
    def at(cls, folder: Path, cancel: CancelToken, *, fresh: bool = False) -> LayoutPlace:
        """Return the place of a folder."""
        return cls(_Folder(folder), cancel, folder, fresh)

    def expect(self, targets: Sequence[Target]) -> None:
        """Refuse images without a manifest."""
        for target in targets:
            for image in target.images:
                refuse_unmade(image)

    def write(self, blob: Descriptor, source: Source, progress: Progress) -> Outcome:
        """Write a blob beside its final path, and rename it once it is complete."""
        target = self.folder / blob_path(blob.checked().digest)
        with storage_errors(f"write {self.folder}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            if target.exists():
                return "exists"
            partial = target.with_name(f".{target.name}.partial")
            try:
                with partial.open("wb", buffering=0) as file:
                    for piece in checked_pieces(source, blob):
                        _write_all(file, piece)
                        progress(file.tell())
                partial.rename(target)
            except BaseException:
                partial.unlink(missing_ok=True)
                raise
        return "uploaded"

    def receive(self, image: Image, source: Source, transfer: Transfer) -> Image:
        """Write an image's blobs."""
        write_in_order(self, image.blobs, source, transfer)
        return image

    def put(self, document: RawDocument) -> None:
        """Write a manifest or index."""
        self._write(blob_path(document.digest), document.data)

    def tag(self, target: Target) -> None:
        """Write a target's documents and list its names."""
        self.put(target.document)
        own = [msgspec.to_builtins(entry) for entry in entries([target])]
        names = {mark for entry in own for mark in _names_of(entry)[:1]}
        kept = self._own if self.fresh else self.listed()
        others = [each for each in kept if names.isdisjoint(_names_of(each)) and each not in own]
        self._own[:] = [*others, *own]
        self._write("oci-layout", LAYOUT)
        index = {"schemaVersion": 2, "manifests": self._own, "mediaType": INDEX}
        self._write("index.json", encode_json(index))

    def _write(self, name: str, data: bytes) -> None:
        target = self.folder / name
        with storage_errors(f"write {self.folder}"):
            target.parent.mkdir(parents=True, exist_ok=True)
            partial = target.with_name(f".{target.name}.partial")
            partial.write_bytes(data)
            partial.rename(target)


def _parse_index(data: bytes) -> list[dict[str, Any]]:
    try:
        found = json.loads(data)["manifests"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise VerificationError("index.json is not that of an image layout") from error
    if not isinstance(found, list):
        raise VerificationError("index.json is not that of an image layout")
    return [entry for entry in found if isinstance(entry, dict)]


def _find_entry(entries: Iterable[dict[str, Any]], name: str) -> Descriptor:
    for entry in entries:
        if name in (*_names_of(entry), entry.get("digest")):
            return _descriptor(entry)
    raise NotFoundError(f"the layout names no {name}")


def _descriptor(entry: dict[str, Any]) -> Descriptor:
    try:
        return msgspec.convert(entry, Descriptor).checked()
    except DECODE_ERRORS as error:
        raise VerificationError(f"a malformed entry of an image layout: {error}") from error


def _names_of(entry: dict[str, Any]) -> tuple[str, ...]:
    """Return the full name and the tag of an entry, if present."""
    marks = entry.get("annotations")
    marks = marks if isinstance(marks, dict) else {}
    return tuple(str(marks[key]) for key in (FULL_NAME, REF_NAME) if marks.get(key))


def _write_all(file: Any, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[file.write(view) :]
