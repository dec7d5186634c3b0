"""The catalog of images: find, list, tag, remove, import."""

from __future__ import annotations

import io
import re
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images.selection import Selection
from jupyter_containers.engine.results import HistoryEntry
from jupyter_containers.engine.shared_stores import refuse_shared
from jupyter_containers.engine.units import parse_time
from jupyter_containers.errors import (
    ImageNotFoundError,
    InUseError,
    InvalidArgumentError,
    InvalidReferenceError,
)
from jupyter_containers.events import CancelToken
from jupyter_containers.oci.descriptor import (
    CONFIG,
    MANIFEST,
    Platform,
    RawDocument,
    chain_id,
    encode_json,
    short_id,
)
from jupyter_containers.oci.image import (
    ExecutionConfig,
    History,
    ImageConfig,
    RootFS,
    check_depth,
    new_manifest,
    parse_image_config,
    rfc3339,
)
from jupyter_containers.oci.reference import Reference
from jupyter_containers.store import ImageRecord, LayerRecord, Lease, Store

Names = dict[str, str]
T = TypeVar("T")


class Images:
    """The images of one store."""

    def __init__(self, context: EngineContext) -> None:
        self._context = context

    def all(self) -> list[tuple[ImageRecord, Names]]:
        """Return all images with their names (name → digest as pulled), newest first."""
        records = self._context.store.records
        names: dict[str, Names] = {}
        for entry in records.names():
            names.setdefault(entry.manifest_digest, {})[entry.name] = entry.target_digest
        pairs = [(record, names.get(record.manifest.digest, {})) for record in records.images()]
        return sorted(pairs, key=lambda pair: pair[0].created, reverse=True)

    def names_of(self, record: ImageRecord) -> Names:
        """Return an image's names, each with the digest at which it was pulled or pushed."""
        names = self._context.store.records.names(record.manifest.digest)
        return {entry.name: entry.target_digest for entry in names}

    def find(self, text: str) -> ImageRecord:
        """Return the image with this name, ID, unique ID prefix or digest.

        Raises :class:`ImageNotFoundError`, with similar names as a hint.
        """
        record = self.lookup(text)
        if record is None:
            raise ImageNotFoundError(f"no such image: {text}", hint=self._hint(text))
        return record

    def lookup(self, text: str) -> ImageRecord | None:
        """Return the image that ``text`` refers to, or None."""
        records = self._context.store.records
        try:
            reference: Reference | None = Reference.parse(text)
        except InvalidReferenceError:
            reference = None
        if reference is not None:
            named = self._by_reference(reference)
            if named is not None:
                return named
        prefix = text.removeprefix("sha256:")
        if re.fullmatch(r"[0-9a-f]{2,64}", prefix):
            found = records.find_images(prefix)
            if len({record.config_digest for record in found}) > 1:
                raise InvalidArgumentError(
                    f"image ID {text} is ambiguous",
                    hint="give more characters: "
                    + ", ".join(record.config_digest[7:23] for record in found),
                )
            return found[0] if found else None
        if reference is None:
            Reference.parse(text)  # neither a name nor an ID: raise the parser's error
        return None

    def named_by(self, text: str) -> list[tuple[ImageRecord, tuple[str, ...]]]:
        """Return images with the names selected by ``text``: one, a repository's, or none.

        A repository without a tag selects all its tags; an ID selects the image without a name.
        Raises :class:`ImageNotFoundError`.
        """
        store = self._context.store
        try:
            reference = Reference.parse(text)
        except InvalidReferenceError:
            return [(self.find(text), ())]
        if ":" not in text.rpartition("/")[2]:
            whole = [
                entry
                for entry in store.records.names()
                if Reference.parse(entry.name).name == reference.name and "@" not in entry.name
            ]
            if whole:
                records = {record.manifest.digest: record for record in store.records.images()}
                return [(records[entry.manifest_digest], (entry.name,)) for entry in whole]
        entry = store.records.get_name(str(reference))
        return [(self.find(text), (entry.name,) if entry and reference.tag else ())]

    def tags_of(self, repository: str) -> list[Reference]:
        """Return the images' names in a repository; raise if there are none."""
        wanted = whole_repository(repository)
        names = [Reference.parse(entry.name) for entry in self._context.store.records.names()]
        found = [name for name in names if name.name == wanted.name and name.tag]
        if not found:
            raise ImageNotFoundError(f"no image has a name in {wanted.familiar_name}")
        return found

    def serves(self, record: ImageRecord, platform: str) -> bool:
        """Return whether an image runs on ``platform`` (``os/arch[/variant]``)."""
        return Platform.parse(platform).match_score(self.config(record).platform) > 0

    def _by_reference(self, reference: Reference) -> ImageRecord | None:
        records = self._context.store.records
        if reference.digest is None:
            entry = records.get_name(str(reference))
            return records.get_image(entry.manifest_digest) if entry else None
        for entry in records.names():
            same = Reference.parse(entry.name).name == reference.name
            if same and reference.digest in (entry.target_digest, entry.manifest_digest):
                return records.get_image(entry.manifest_digest)
        return None

    def like(self, reference: Reference) -> list[str]:
        """Return similar names in this store: other tags, else names with a similar spelling."""
        import difflib

        def bare(item: Reference) -> str:
            return item.repository.removeprefix("library/")  # a prefix of all names

        known = [Reference.parse(entry.name) for entry in self._context.store.records.names()]
        others = [item for item in known if item != reference]
        others = [item for item in others if item.registry == reference.registry]
        wanted, names = bare(reference), {bare(item) for item in others}
        near = (
            [wanted] if wanted in names else difflib.get_close_matches(wanted, names, cutoff=0.75)
        )
        return sorted(item.familiar for item in others if bare(item) in near)[:3]

    def _hint(self, text: str) -> str:
        import difflib

        known = [
            Reference.parse(entry.name).familiar for entry in self._context.store.records.names()
        ]
        near = difflib.get_close_matches(text, known, n=3, cutoff=0.5)
        return f"did you mean {' or '.join(near)}?" if near else "see `images` for what is here"

    def config(self, record: ImageRecord) -> ImageConfig:
        """Return the image's configuration."""
        return parse_image_config(self._context.store.content.read(record.config_digest))

    def tag(self, source: str, target: str) -> None:
        """Add the name ``target`` to the image ``source``, moving it from another if necessary."""
        reference = Reference.parse(target)
        if reference.digest:
            raise InvalidReferenceError(f"a tag cannot be a digest: {target!r}")
        record = self.find(source)
        digest = record.manifest.digest
        self._context.store.set_name(str(reference), digest)
        self.note("tag", record, reference.familiar)

    def note(self, action: str, record: ImageRecord, name: str = "") -> None:
        """Record an event of an image, under the name that was used or its ID."""
        image_id = record.config_digest
        self._context.journal.record("image", action, image_id, {"name": name or image_id})

    def history(self, record: ImageRecord) -> list[HistoryEntry]:
        """Return the image's history, newest first."""
        config = self.config(record)
        entries: list[HistoryEntry] = []
        depth = 0
        for step in config.history:
            size = 0
            if not step.empty_layer and depth < len(config.rootfs.diff_ids):
                depth += 1
                size = self._context.store.snapshots.usage(chain_id(config.rootfs.diff_ids[:depth]))
            entries.append(
                HistoryEntry(
                    "<missing>",
                    parse_time(step.created),
                    step.created_by,
                    size,
                    step.comment,
                    step.empty_layer,
                )
            )
        entries.reverse()
        if entries:
            first = entries[0]
            entries[0] = HistoryEntry(
                record.config_digest,
                first.created,
                first.created_by,
                first.size,
                first.comment,
                first.empty_layer,
            )
        return entries

    def remove(
        self, text: str, users: Iterable[tuple[str, str, bool]], *, force: bool
    ) -> list[str]:
        """Remove a name, or an image with its last name; return Docker's messages.

        ``users`` are ``(container name, manifest digest, is running)``.  Raises :class:`InUseError`
        if a container (with ``force``: a running one) needs the image, or if an ID with several
        names is given without ``force``.
        """
        store = self._context.store
        record = self.find(text)
        names = self.names_of(record)
        by_id = not self._is_name(text, names)
        using = [user for user in users if user[1] == record.manifest.digest]
        if not by_id:
            reference = Reference.parse(text)
            # A digest that is not a name itself selects the image under any name in its repository.
            same = [name for name in names if Reference.parse(name).name == reference.name]
            chosen = [str(reference)] if str(reference) in names else same
        else:
            chosen = list(names)
            if len(chosen) > 1 and not force:
                raise InUseError(
                    f"image {short_id(record.config_digest)} has several names",
                    hint=f"remove them by name ({', '.join(_familiar(chosen))}) or use force",
                )
        last = set(chosen) == set(names)
        running = [user for user in using if user[2]]
        if last and using and (running or not force):
            state = "running " if running else ""
            raise InUseError(
                f"image {text} is used by {state}container {(running or using)[0][0]}",
                hint=f"remove it first: rm -f {(running or using)[0][0]}",
            )
        refuse_shared(store, record, chosen)
        for name in chosen:
            store.remove_name(name)
            self.note("untag", record)
        lines = [f"Untagged: {text}" for text in self.released(record, names, chosen)]
        if last and not using:
            taken = {user[1] for user in users}
            for gone in (record, *self._orphans_of(record)):
                if gone.manifest.digest not in taken:
                    store.delete_image(gone.manifest.digest)
                    self.note("delete", gone)
                    lines.append(f"Deleted: {gone.config_digest}")
        return lines

    def released(self, record: ImageRecord, names: Names, chosen: Iterable[str]) -> Iterator[str]:
        """Yield the names that an image loses along with ``chosen``, in Docker's form.

        A digest in a registry's repository is removed with the last tag there.
        """
        left = [Reference.parse(name) for name in names]
        sources = self._context.store.records.blob_sources(record.config_digest)
        for name in chosen:
            reference = Reference.parse(name)
            left.remove(reference)
            yield reference.familiar
            known = (reference.registry, reference.repository) in sources
            if known and reference.tag and reference.name not in [one.name for one in left]:
                yield reference.with_digest(names[name]).familiar

    def _orphans_of(self, record: ImageRecord) -> list[ImageRecord]:
        """Return the images for other platforms that only this image's name keeps."""
        pairs = [pair for pair in self.all() if pair[0].manifest != record.manifest]
        left = index_members([*pairs, (record, {"": ""})]) - index_members(pairs)
        return [other for other, _ in pairs if other.manifest.digest in left]

    def _is_name(self, text: str, names: Names) -> bool:
        try:
            reference = Reference.parse(text)
        except InvalidReferenceError:
            return False
        return any(Reference.parse(name).name == reference.name for name in names)

    def import_tar(
        self,
        source: BinaryIO,
        reference: Reference | None,
        config: ExecutionConfig,
        message: str,
        *,
        platform: Platform | None = None,
        cancel: CancelToken,
    ) -> ImageRecord:
        """Create an image of one layer from the tar of a root file system."""
        with self._context.store.leases.hold() as lease:
            layer = self._context.store.snapshots.import_tar(source, lease=lease, cancel=cancel)
            created = rfc3339(time.time())
            step = History(created=created, created_by="", comment=message)
            record = self.compose(
                [layer], config, [step], created, reference, platform=platform, lease=lease
            )
        self.note("import", record)
        return record

    def compose(
        self,
        layers: list[LayerRecord],
        config: ExecutionConfig,
        history: list[History],
        created: str,
        reference: Reference | None,
        *,
        platform: Platform | None = None,
        lease: Lease | None = None,
        author: str = "",
    ) -> ImageRecord:
        """Write configuration and manifest of an image of layers in the store.

        ``lease`` protects them until the image is recorded; without ``platform`` the host's is
        used.
        """
        from jupyter_containers.engine.images.places.store import image_record

        check_depth(len(layers))
        platform = platform or Platform.host()
        image = ImageConfig(
            architecture=platform.architecture,
            os=platform.os,
            variant=platform.variant,
            created=created,
            author=author,
            config=config,
            rootfs=RootFS(diff_ids=tuple(layer.diff_id for layer in layers)),
            history=tuple(history),
        )
        content = self._context.store.content
        stored = content.put(encode_json(image), CONFIG, lease)
        manifest = new_manifest(stored, tuple(layer.blob for layer in layers))
        document = RawDocument(encode_json(manifest), MANIFEST)
        content.put(document.data, MANIFEST, lease)
        record = image_record(self._context.store, document, manifest, image)
        self._context.store.put_image(record, [str(reference)] if reference else ())
        return record

    def familiar(self, names: Mapping[str, str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """Return names as Docker prints them, and one ``repository@digest`` per repository."""
        parsed = [(Reference.parse(name), digest) for name, digest in names.items()]
        tagged = tuple(reference.familiar for reference, _ in parsed if reference.tag)
        digests = {f"{reference.familiar_name}@{digest}" for reference, digest in parsed}
        return tagged, tuple(sorted(digests))

    def listed(
        self,
        make: Callable[[ImageRecord, Mapping[str, str]], T],
        filters: Mapping[str, Iterable[str]],
        *,
        all: bool = False,  # Docker's flag
    ) -> list[T]:
        """Return ``make(record, names)`` for each image selected by ``images --filter``.

        With ``all``, this includes the images for other platforms in a named image's index.
        """
        selection = Selection(filters, self.find)
        pairs = self.all()
        hidden = frozenset() if all else index_members(pairs)
        chosen = (
            (record, selection.names(record, names))
            for record, names in pairs
            if record.manifest.digest not in hidden
        )
        return [make(record, names) for record, names in chosen if names is not None]


def index_members(pairs: Iterable[tuple[ImageRecord, Names]]) -> frozenset[str]:
    """Return the manifests without a name in the index of a named image."""
    pairs = list(pairs)
    named = {record.index_digest for record, names in pairs if names} - {""}
    return frozenset(
        record.manifest.digest
        for record, names in pairs
        if not names and record.index_digest in named
    )


def _familiar(names: Iterable[str]) -> list[str]:
    return [Reference.parse(name).familiar for name in names]


@contextmanager
def open_archive(source: str | Path | BinaryIO | bytes) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a tar (a path, an open file or its bytes) for reading, and its name for messages.

    Raises :class:`InvalidArgumentError` for a path that cannot be read.
    """
    if isinstance(source, bytes):
        yield io.BytesIO(source), "-"
    elif isinstance(source, (str, Path)):
        try:
            file = open(source, "rb")  # noqa: SIM115  # closed by the context below
        except OSError as error:
            raise InvalidArgumentError(f"cannot read {source}: {error.strerror}") from error
        with file:
            yield file, Path(source).name
    else:
        yield source, "-"


def whole_repository(name: str) -> Reference:
    """Return the repository ``name``; raise if it has a tag or digest."""
    if "@" in name or ":" in name.rpartition("/")[2]:
        raise InvalidArgumentError(
            "tag can't be used with --all-tags/-a", hint="name the repository only"
        )
    return Reference.parse(name)


@contextmanager
def fetched_archive(
    source: str | Path | BinaryIO | bytes, store: Store, cancel: CancelToken
) -> Iterator[tuple[BinaryIO, str]]:
    """Yield a tar as :func:`open_archive` does, after downloading it if it is a URL."""
    if not isinstance(source, str) or not source.startswith(("http://", "https://")):
        with open_archive(source) as opened:
            yield opened
        return
    from jupyter_containers.build.remote import download, shown

    with store.scratch() as folder:
        folder.mkdir(mode=0o700)
        with open_archive(download(source, folder, cancel).path) as (file, _):
            yield file, shown(source)
