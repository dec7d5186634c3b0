"""The contract of image places, tested on all four of them, and copies between any two.

Another implementation of the protocols joins by one entry in ``KINDS``.  Seen to fail: without the
check in ``blobs.checked_pieces`` a layout and an archive keep wrong bytes; with ``tag`` before the
blobs in ``copy`` a name refers to a missing image; if documents are encoded again, their digests
change.
"""

from __future__ import annotations

import gzip
import io
import json
import os
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from jupyter_containers.engine import Engine
from jupyter_containers.engine.images.copy import copy, image_of
from jupyter_containers.engine.images.places.archive import ArchiveReader, ArchiveWriter
from jupyter_containers.engine.images.places.base import (
    Destination,
    Facts,
    Image,
    Pieces,
    Place,
    Source,
    Target,
    Transfer,
    ignore_progress,
)
from jupyter_containers.engine.images.places.blobs import file_pieces
from jupyter_containers.engine.images.places.layout import LayoutPlace
from jupyter_containers.engine.images.places.registry import open_repository
from jupyter_containers.engine.images.places.store import ThroughStore, open_store
from jupyter_containers.engine.images.saving import archive_output
from jupyter_containers.errors import (
    BlobNotFoundError,
    ContainersError,
    NotFoundError,
    OperationCancelledError,
    RegistryError,
    VerificationError,
)
from jupyter_containers.events import CancelToken, Event, TaskFinished, discard
from jupyter_containers.oci.descriptor import (
    CONFIG,
    INDEX,
    LAYER_GZIP,
    MANIFEST,
    Descriptor,
    Platform,
    RawDocument,
    digest_of,
)
from jupyter_containers.oci.image import Index, parse_manifest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store.tarfiles import open_files
from tests.integration.engine_fixtures import fresh_engine
from tests.integration.registry_server import DockerRegistry
from tests.integration.served_image import member, tar

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root: layers are unpacked")
MB = 1024 * 1024


@dataclass
class Memory:
    """A source in memory; ``lies`` are sent instead of the blobs with those digests."""

    blobs: dict[str, bytes] = field(default_factory=dict)
    lies: dict[str, bytes] = field(default_factory=dict)
    before_read: Callable[[], object] = lambda: None
    facts = Facts()

    def find(self, name: str) -> RawDocument:
        raise NotFoundError(f"no image {name}")

    def manifest(self, target: Descriptor) -> RawDocument:
        return RawDocument(self.blobs[target.digest], target.media_type)

    def has(self, digest: str) -> bool:
        return digest in self.blobs

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        del offset
        return file_pieces(self.file(blob), CancelToken())

    def file(self, blob: Descriptor) -> io.BytesIO:
        self.before_read()
        if blob.digest not in self.blobs:
            raise BlobNotFoundError(f"no blob {blob.digest}")
        return io.BytesIO(self.lies.get(blob.digest, self.blobs[blob.digest]))

    def hold(self, *digests: str) -> None:
        pass

    def add(self, data: bytes, media_type: str = LAYER_GZIP) -> Descriptor:
        self.blobs[digest_of(data)] = data
        return Descriptor(media_type, digest_of(data), len(data))

    def image(self, *files: bytes, architecture: str = "amd64") -> Image:
        """Add an image with a layer for each content of a file.

        Its documents are not in the form in which this package encodes JSON.
        """
        layers = [tar(member(f"f{number}", data)) for number, data in enumerate(files)]
        config = {
            "rootfs": {"type": "layers", "diff_ids": [digest_of(layer) for layer in layers]},
            "os": "linux",
            "architecture": architecture,
        }
        blobs = [self.add(gzip.compress(layer, 1, mtime=0)) for layer in layers]
        described = self.add(json.dumps(config, indent=3).encode(), CONFIG)
        document = {
            "mediaType": MANIFEST,
            "schemaVersion": 2,
            "layers": [_entry(blob) for blob in blobs],
            "config": _entry(described),
        }
        data = json.dumps(document, indent=3).encode()
        self.add(data, MANIFEST)
        return image_of(RawDocument(data, MANIFEST), Platform(architecture, "linux"))

    def index(self, *images: Image) -> Target:
        """Add an index of images."""
        entries = [
            {
                **_entry(Descriptor(MANIFEST, image.digest, len(self.blobs[image.digest]))),
                "platform": {"os": "linux", "architecture": image.platform.architecture},
            }
            for image in images
            if image.platform
        ]
        document = {"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}
        data = json.dumps(document, indent=3).encode()
        self.add(data, INDEX)
        return Target(images, index=RawDocument(data, INDEX))


def _entry(blob: Descriptor) -> dict[str, object]:
    return {"mediaType": blob.media_type, "digest": blob.digest, "size": blob.size}


@dataclass
class Kept:
    """One place of a kind: how it is written to, and read from afterwards."""

    writing: Callable[[Transfer], AbstractContextManager[Destination]]
    reading: Callable[[Transfer], AbstractContextManager[Source]]
    name_of: Callable[[Reference], str] = str


@dataclass
class Around:
    """The folder for a test's places."""

    folder: Path
    registry: DockerRegistry
    stack: ExitStack
    made: int = 0

    def fresh(self) -> Path:
        self.made += 1
        folder = self.folder / str(self.made)
        folder.mkdir()
        return folder

    def engine(self) -> Engine:
        return self.stack.enter_context(fresh_engine(self.fresh()))

    def make(self, kind: str) -> Kept:
        return KINDS[kind](self)

    @property
    def reference(self) -> Reference:
        return Reference.parse(f"{self.registry.host}/{self.folder.name.lower()}/app:1")


def _store(around: Around) -> Kept:
    context = around.engine()._context

    def opened(transfer: Transfer) -> AbstractContextManager[Place]:
        return open_store(context, transfer)

    return Kept(opened, opened)


def _registry(around: Around) -> Kept:
    context, number = around.engine()._context, around.made
    reference = around.reference
    reference = replace(reference, repository=f"{reference.repository}{number}")

    @contextmanager
    def reading(transfer: Transfer) -> Iterator[Source]:
        with (
            open_repository(context, reference, transfer) as place,
            open_store(context, transfer) as store,
        ):
            yield ThroughStore(store, place)

    def writing(transfer: Transfer) -> AbstractContextManager[Place]:
        return open_repository(context, reference, transfer, push=True)

    return Kept(writing, reading, lambda name: name.tag or "")


def _streamed(around: Around) -> Kept:
    """As a registry, but read without a store between."""
    kept = _registry(around)
    return Kept(kept.writing, kept.writing, kept.name_of)  # type: ignore[arg-type]  # it is both


def _layout(around: Around) -> Kept:
    folder = around.fresh() / "layout"

    @contextmanager
    def opened(transfer: Transfer) -> Iterator[Place]:
        yield LayoutPlace.at(folder, transfer.cancel)

    return Kept(opened, opened)


def _archive(around: Around) -> Kept:
    folder = around.fresh()

    @contextmanager
    def writing(transfer: Transfer) -> Iterator[Destination]:
        with (
            archive_output(folder / "images.tar", None) as put,
            ArchiveWriter(put, transfer) as archive,
        ):
            yield archive

    @contextmanager
    def reading(transfer: Transfer) -> Iterator[Source]:
        if not (folder / "images.tar").exists():
            assert list(folder.iterdir()) == [], "half an archive"
            yield Memory()
            return
        with (
            (folder / "images.tar").open("rb") as file,
            open_files(file, folder / "scratch", cancel=transfer.cancel) as files,
        ):
            yield ArchiveReader(files, transfer.cancel)

    return Kept(writing, reading)


KINDS: dict[str, Callable[[Around], Kept]] = {
    "store": _store,
    "registry": _registry,
    "layout": _layout,
    "archive": _archive,
}


@pytest.fixture
def around(
    tmp_path: Path, registry: DockerRegistry, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Around]:
    monkeypatch.setenv("DOCKER_CONFIG", str(tmp_path / "docker"))
    with ExitStack() as stack:
        yield Around(tmp_path, registry, stack)


@pytest.fixture(params=list(KINDS))
def kept(request: pytest.FixtureRequest, around: Around) -> Kept:
    return around.make(request.param)


@pytest.fixture
def transfer() -> Transfer:
    return Transfer(discard, CancelToken())


def content(source: Source, blob: Descriptor) -> bytes:
    with source.open(blob) as pieces:
        return b"".join(pieces)


# -- one place ------------------------------------------------------------------------------------


def test_a_blob_comes_back_as_it_was(kept: Kept, transfer: Transfer) -> None:
    memory = Memory()
    large, empty = memory.add(os.urandom(2 * MB + 17)), memory.add(b"")
    told: list[int] = []
    with kept.writing(transfer) as place:
        assert not place.has(large.digest)
        assert place.write(large, memory, told.append) == "uploaded"
        assert place.has(large.digest)
        assert place.write(large, memory, told.append) == "exists"
        assert place.write(empty, memory, ignore_progress) == "uploaded"
    assert told == sorted(told)
    assert told[-1] == large.size
    with kept.reading(transfer) as source:
        assert source.has(large.digest)
        assert content(source, large) == memory.blobs[large.digest]
        assert content(source, empty) == b""
        with source.file(large) as file:
            file.seek(MB + 1)
            assert file.read(10) == memory.blobs[large.digest][MB + 1 : MB + 11]


def test_bytes_from_the_middle_on(kept: Kept, transfer: Transfer) -> None:
    """A source begins at the requested offset, or reports that it begins at 0."""
    memory = Memory()
    blob = memory.add(os.urandom(MB))
    with kept.writing(transfer) as place:
        place.write(blob, memory, ignore_progress)
    with kept.reading(transfer) as source, source.open(blob, 1000) as pieces:
        assert b"".join(pieces) == memory.blobs[blob.digest][pieces.offset :]
        assert pieces.offset in (0, 1000)


def test_what_is_not_there(kept: Kept, transfer: Transfer) -> None:
    memory = Memory()
    there, missing = memory.add(b"there"), memory.add(b"missing")
    with kept.writing(transfer) as place:
        place.write(there, memory, ignore_progress)
    with kept.reading(transfer) as source:
        assert not source.has(missing.digest)
        with pytest.raises((NotFoundError, VerificationError)):
            content(source, missing)
        with pytest.raises(ContainersError):
            source.find("nothing:1")


@pytest.mark.parametrize("lie", [lambda data: data[:-1] + b"!", lambda data: data[:-1]])
def test_wrong_bytes_are_refused(
    kept: Kept, transfer: Transfer, lie: Callable[[bytes], bytes]
) -> None:
    memory = Memory()
    blob = memory.add(os.urandom(MB) + b"?")
    memory.lies[blob.digest] = lie(memory.blobs[blob.digest])
    with pytest.raises((VerificationError, RegistryError)), kept.writing(transfer) as place:
        place.write(blob, memory, ignore_progress)
    with kept.reading(transfer) as source:
        assert not source.has(blob.digest)
    memory.lies.clear()
    with kept.writing(transfer) as place:
        assert place.write(blob, memory, ignore_progress) == "uploaded"


def test_what_is_no_digest_is_refused(kept: Kept, transfer: Transfer) -> None:
    """A digest in a hostile manifest is never used as a path."""
    memory = Memory()
    memory.blobs["sha256:../../../escaped"] = b"x"
    blob = Descriptor(LAYER_GZIP, "sha256:../../../escaped", 1)
    with pytest.raises(ContainersError), kept.writing(transfer) as place:
        place.write(blob, memory, ignore_progress)


def test_an_interrupt_leaves_no_blob(kept: Kept) -> None:
    transfer = Transfer(discard, CancelToken())
    memory = Memory(before_read=transfer.cancel.cancel)
    blob = memory.add(os.urandom(3 * MB))
    with pytest.raises(OperationCancelledError), kept.writing(transfer) as place:
        place.write(blob, _Checking(memory, transfer.cancel), ignore_progress)
    with kept.reading(Transfer(discard, CancelToken())) as source:
        assert not source.has(blob.digest)


class _Checking:
    """A source that looks at the token for each piece, as sources do."""

    def __init__(self, memory: Memory, cancel: CancelToken) -> None:
        self._memory, self._cancel = memory, cancel
        self.facts, self.find, self.manifest = memory.facts, memory.find, memory.manifest
        self.has, self.file, self.hold = memory.has, memory.file, memory.hold

    def open(self, blob: Descriptor, offset: int = 0) -> AbstractContextManager[Pieces]:
        del offset
        return file_pieces(self._memory.file(blob), self._cancel)


def test_several_threads_bring_the_same_blob(kept: Kept, transfer: Transfer) -> None:
    memory = Memory()
    blob = memory.add(os.urandom(MB))
    with kept.writing(transfer) as place:
        writers = [
            threading.Thread(target=place.write, args=(blob, memory, ignore_progress))
            for _ in range(4 if place.workers > 1 else 1)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join(60)
    with kept.reading(transfer) as source:
        assert content(source, blob) == memory.blobs[blob.digest]


def test_a_name_means_what_was_copied_last(kept: Kept, around: Around, transfer: Transfer) -> None:
    memory = Memory()
    for image in (memory.image(b"1"), memory.image(b"1", b"2")):
        target = Target((image,), (around.reference,))
        with kept.writing(transfer) as place:
            [copied] = copy(memory, place, [target], transfer)
        assert copied == target
        with kept.reading(transfer) as source:
            found = source.find(kept.name_of(around.reference))
            assert (found.digest, found.media_type) == (image.digest, MANIFEST)


@pytest.mark.parametrize("which", ["layer", "config"])
def test_names_come_last(kept: Kept, around: Around, transfer: Transfer, which: str) -> None:
    """A failed copy creates no name, and the next one continues from its blobs."""
    memory = Memory()
    image = memory.image(b"first", b"second")
    blob = image.manifest.config if which == "config" else image.manifest.layers[1]
    data = memory.blobs.pop(blob.digest)
    target = Target((image,), (around.reference,))
    with pytest.raises(ContainersError), kept.writing(transfer) as place:
        copy(memory, place, [target], transfer)
    again = Transfer(discard, CancelToken())
    with kept.reading(again) as source, pytest.raises(ContainersError):
        source.find(kept.name_of(around.reference))
    memory.blobs[blob.digest] = data
    with kept.writing(again) as place:
        copy(memory, place, [target], again)
    with kept.reading(again) as source:
        assert source.find(kept.name_of(around.reference)).digest == image.digest


# -- any two --------------------------------------------------------------------------------------


def whole(source: Source, name: str, reference: Reference) -> Target:
    """Return all that a name means in a source."""
    document = source.find(name)
    parsed = parse_manifest(document)
    if not isinstance(parsed, Index):
        return Target((image_of(document),), (reference,))
    images = [image_of(source.manifest(one), one.platform) for one in parsed.manifests]
    return Target(tuple(images), (reference,), document)


@pytest.mark.parametrize("several", [False, True], ids=["image", "index"])
@pytest.mark.parametrize("end", list(KINDS))
@pytest.mark.parametrize("start", list(KINDS))
def test_every_pair_keeps_digests(
    around: Around, transfer: Transfer, start: str, end: str, several: bool
) -> None:
    memory = Memory()
    one, other = memory.image(b"1", b"2"), memory.image(b"3", b"2", architecture="arm64")
    target = memory.index(one, other) if several else Target((one,))
    target = replace(target, names=(around.reference,))
    first, second = around.make(start), around.make(end)
    with first.writing(transfer) as place:
        copy(memory, place, [target], transfer)
    with first.reading(transfer) as source, second.writing(transfer) as place:
        found = whole(source, first.name_of(around.reference), around.reference)
        [copied] = copy(source, place, [found], transfer)
    assert copied.document.digest == target.document.digest
    with second.reading(transfer) as source:
        assert whole(source, second.name_of(around.reference), around.reference) == found
        for image in target.images:
            for blob in image.blobs:
                assert content(source, blob) == memory.blobs[blob.digest]


@pytest.mark.parametrize("end", ["store", "layout", "archive"])
def test_a_registry_needs_no_store_on_the_way_to_files(
    around: Around, transfer: Transfer, end: str
) -> None:
    memory = Memory()
    target = Target((memory.image(b"1", os.urandom(MB)),), (around.reference,))
    first, second = _streamed(around), around.make(end)
    with first.writing(transfer) as place:
        copy(memory, place, [target], transfer)
    with first.reading(transfer) as source, second.writing(transfer) as place:
        found = whole(source, "1", around.reference)
        copy(source, place, [found], transfer)
    with second.reading(transfer) as source:
        assert source.find(second.name_of(around.reference)).digest == target.document.digest


def test_a_registry_mounts_what_it_has_elsewhere(around: Around) -> None:
    """Between two repositories of one registry no blob passes this machine."""
    events: list[Event] = []
    transfer = Transfer(events.append, CancelToken())
    memory = Memory()
    target = Target((memory.image(b"1", b"2"),), (around.reference,))
    first, second = around.make("registry"), around.make("registry")
    with first.writing(transfer) as place:
        copy(memory, place, [target], transfer)
    events.clear()
    with first.reading(transfer) as source, second.writing(transfer) as place:
        assert isinstance(source, ThroughStore)
        copy(source, place, [whole(source, "1", around.reference)], transfer)
        assert source.here.store.content.digests() == []
    ends = [event.detail for event in events if isinstance(event, TaskFinished)]
    assert ends == ["Mounted"] * 3


def test_an_image_of_several_names_is_copied_once(around: Around, transfer: Transfer) -> None:
    memory = Memory()
    image = memory.image(b"1")
    names = [replace(around.reference, tag=tag) for tag in ("1", "2")]
    read: list[None] = []
    memory.before_read = lambda: read.append(None)
    kept = around.make("store")
    with kept.writing(transfer) as place:
        copy(memory, place, [Target((image,), (name,)) for name in names], transfer)
    assert len(read) <= 3, "the configuration, and the layer for the blob and for unpacking"
    with kept.reading(transfer) as source:
        assert {source.find(str(name)).digest for name in names} == {image.digest}
