"""Builds in a cluster: the context is sent to a builder pod, which pushes the image.

Only what has changed since the last build travels, by the digests that the build cache uses too.
The output and the reasons of cache misses are those of a build on this machine.
"""

from __future__ import annotations

import hashlib
import os
import stat
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Unpack, cast

import msgspec

from jupyter_containers.build.context import LocalContext, read_dockerfile
from jupyter_containers.build.digests import FileDigests
from jupyter_containers.build.tree import Entry, SourceTree
from jupyter_containers.engine.images.image import Image
from jupyter_containers.errors import (
    BuildError,
    ImageNotFoundError,
    InvalidArgumentError,
    OperationCancelledError,
)
from jupyter_containers.events import CancelToken, EventSink, discard
from jupyter_containers.kubernetes.build_messages import (
    CHUNK,
    DATA,
    Begin,
    Done,
    Failed,
    Frames,
    Happened,
    SentFile,
    Wanted,
    frame,
    message,
)
from jupyter_containers.kubernetes.builder_pod import CACHE, BuilderPod
from jupyter_containers.kubernetes.client import Cluster, ending
from jupyter_containers.kubernetes.images import ImageSource, Published, destination
from jupyter_containers.kubernetes.streams import ERROR, STDERR, STDIN, STDOUT, Channel
from jupyter_containers.kubernetes.translation import MAIN
from jupyter_containers.kubernetes.unsupported import missing
from jupyter_containers.kubernetes.volumes import ClusterVolumes
from jupyter_containers.oci.descriptor import validate_digest
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options.build import BuildOptions, SecretSource
from jupyter_containers.options.buildflags import BuildFlags
from jupyter_containers.options.flag import with_keywords
from jupyter_containers.settings import Settings
from jupyter_containers.store import ImageRecord
from jupyter_containers.version import __version__

if TYPE_CHECKING:
    from jupyter_containers.engine.images.service import ImageService

_COMMAND = ["python3", "-m", "jupyter_containers.kubernetes.builder_program"]
_CACHE_SIZE = "20g"
_MOST_STDERR = 4000
# They travel as they are; the others are resolved here, or refused.
_PASSED = (
    "add_host", "allow", "annotation", "cache_from", "cache_to", "format", "isolation",
    "lines_above", "network", "no_cache", "no_cache_filter", "platform", "pull", "shm_size",
    "target", "trust_host_ca", "ulimit",
)  # fmt: skip
_REFUSED = {
    "ssh": "an agent cannot be reached from there",
    "build_context": "only the main context travels",
    "build_contexts": "only the main context travels",
    "output": "the image is pushed to the context's registry",
    "outputs": "the image is pushed to the context's registry",
    "load": "pull the image to have it on this machine",
    "metadata_file": "it is not written for builds in a cluster",
}


class ClusterBuilds:
    """The builder of a context; all but ``build`` is done by the engine of this machine."""

    noun = "builds"

    def __init__(
        self,
        cluster: Cluster,
        images: ImageSource,
        volumes: ClusterVolumes,
        settings: Settings,
        engine: Any,
    ) -> None:
        self._cluster, self._images, self._volumes = cluster, images, volumes
        self._settings, self._engine = settings, engine

    def __getattr__(self, name: str) -> Any:
        if name.startswith("_"):
            raise AttributeError(name)
        return getattr(self._engine.local.builds, name)

    @with_keywords(BuildFlags)
    def build(
        self,
        context: str | Path | bytes | Mapping[str, str | bytes] = ".",
        *,
        emit: EventSink = discard,
        cancel: CancelToken | None = None,
        stream: BinaryIO | None = None,
        **flags: Unpack[BuildFlags],
    ) -> Image:
        """Build an image in the cluster and push it to the context's registry.

        The options are those of a build on this machine; what needs this machine is refused by
        name.  The image's names are those of the registry.
        """
        token = cancel or CancelToken()
        if stream is not None:
            raise missing("--output", _REFUSED["output"])
        options = BuildOptions.of(context, **flags)
        for name, reason in _REFUSED.items():
            if flags.get(name):
                raise missing(f"--{name.replace('_', '-').removesuffix('s')}", reason)
        names = self._names(options)
        with ExitStack() as stack:
            sent = stack.enter_context(_opened(options, self._settings))
            begin = self._begin(sent, options, dict(flags), names)
            pod = self._pod(token)
            channel = stack.enter_context(
                Channel(
                    self._cluster,
                    str(pod.metadata.name),
                    "exec",
                    container=MAIN,
                    command=_COMMAND,
                    stdin=True,
                    stdout=True,
                    stderr=True,
                )
            )
            stack.enter_context(ending(channel.end, token))
            done = _converse(channel, sent, begin, emit, token)
        return self._result(done, names, options)

    def _names(self, options: BuildOptions) -> tuple[Reference, ...]:
        """Return the names under which the image is pushed."""
        registry = self._cluster.endpoint.registry
        wanted = options.tags or (f"untagged:{_mark(options)}",)
        found = [destination(Reference.parse(name), registry) for name in wanted]
        names = tuple(name for name in found if name is not None)
        if not names:
            raise InvalidArgumentError(
                f"the context {self._cluster.name} has no registry for the image",
                hint=f"context update {self._cluster.name} --kubernetes registry=HOST/PREFIX",
            )
        return names

    def _begin(
        self,
        sent: _Sent,
        options: BuildOptions,
        flags: dict[str, Any],
        names: tuple[Reference, ...],
    ) -> Begin:
        passed = {name: flags[name] for name in _PASSED if flags.get(name)}
        text = sent.dockerfile
        passed |= {
            "dockerfile": text.text,
            "source_name": text.name,
            "place": options.place or f"{options.context.label} {text.name}",
            "build_arg": dict(options.build_args),
            "label": dict(options.labels),
        }
        return Begin(
            _mark(options),
            tuple(sent.files),
            msgspec.to_builtins(passed, enc_hook=str),
            tuple(str(name) for name in names),
            {name: _secret(name, source) for name, source in options.secrets.items()},
            dict(options.files),
            self._images.credentials({name.registry for name in names} | {"docker.io"}),
        )

    def _pod(self, cancel: CancelToken) -> Any:
        image = self._cluster.endpoint.builder or f"jupyter-containers-builder:{__version__}"
        try:
            published: Published = self._images.published(image, cancel=cancel)
        except ImageNotFoundError as error:
            raise ImageNotFoundError(
                f"the context has no image for builder pods: {error.message}",
                hint="docs/install/kubernetes shows its Dockerfile; another name:"
                f" context update {self._cluster.name} --kubernetes builder=IMAGE",
            ) from error
        if CACHE not in [volume.name for volume in self._volumes()]:
            self._volumes.create(CACHE, opt=[f"size={_CACHE_SIZE}"])
        pod = BuilderPod(self._cluster).provide(published, cancel)
        self._images.own(published.secrets, pod)
        return pod

    def _result(self, done: Done, names: tuple[Reference, ...], options: BuildOptions) -> Image:
        record = msgspec.convert(done.record, type=ImageRecord)
        for digest in (record.config_digest, record.manifest.digest, done.digest):
            validate_digest(digest)
        if options.iidfile is not None:
            options.iidfile.write_text(record.config_digest)
        service = cast("ImageService", self._engine.images)
        digests = tuple(str(name.with_digest(done.digest)) for name in names)
        return Image(service, record, tuple(name.familiar for name in names), digests)


class _Sent:
    """The files of an open context, and its Dockerfile."""

    def __init__(self, tree: SourceTree, dockerfile: Any) -> None:
        self.tree, self.dockerfile = tree, dockerfile
        self.entries: list[Entry] = []
        for source in tree.find("/"):
            self.entries += [entry for entry in tree.walk(source) if entry.below]
        self.files = [
            SentFile(
                entry.below,
                entry.status.st_mode,
                entry.status.st_mtime_ns,
                tree.digest(entry),
                entry.target,
            )
            for entry in self.entries
        ]

    def chunks(self, number: int) -> Iterator[bytes]:
        """Yield the contents of a file."""
        entry = self.entries[number]
        if not stat.S_ISREG(entry.status.st_mode):
            raise BuildError(f"the builder asks for {entry.path}, which is no file")
        with os.fdopen(self.tree.open_regular(entry), "rb") as file:
            while data := file.read(CHUNK):
                yield data


@contextmanager
def _opened(options: BuildOptions, settings: Settings) -> Iterator[_Sent]:
    """Yield the files of a context: a folder, or files by name."""
    kind = options.context.kind
    if kind not in ("folder", "files"):
        raise missing(f"a context of the kind {kind}", "unpack or check it out here first")
    with ExitStack() as stack:
        if kind == "files":
            folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            for name, data in options.context.files.items():
                place = folder / name
                place.parent.mkdir(parents=True, exist_ok=True)
                place.write_bytes(data)
            digests = FileDigests()
        else:
            folder = Path(options.context.place)
            name = hashlib.sha256(os.fsencode(os.path.realpath(folder))).hexdigest()[:32]
            digests = FileDigests(settings.layout.contexts / name)
        dockerfile = read_dockerfile(options, folder)
        local = stack.enter_context(
            LocalContext(folder, dockerfile.path, digests, store=settings.root)
        )
        tree = stack.enter_context(local.tree.reading())
        sent = _Sent(tree, dockerfile)
        digests.save()
        yield sent


def _converse(
    channel: Channel, sent: _Sent, begin: Begin, emit: EventSink, cancel: CancelToken
) -> Done:
    """Serve one build; return its result or raise its error."""
    errors = bytearray()
    output = _Output(channel, errors)
    frames = Frames(output.read)
    try:
        _send(channel, message(begin))
        wanted = frames.message(Wanted | Failed)
        if isinstance(wanted, Failed):
            raise wanted.error()
        for number in wanted.numbers:
            if not 0 <= number < len(sent.entries):
                raise BuildError("the builder asks for a file that was not offered")
            cancel.check()
            for data in sent.chunks(number):
                _send(channel, frame(DATA, data))
            _send(channel, frame(DATA, b""))
        while True:
            found = frames.message(Happened | Done | Failed)
            if isinstance(found, Happened):
                emit(found.event())
            elif isinstance(found, Failed):
                raise found.error()
            else:
                done: Done = found
                return done
    except (EOFError, msgspec.MsgspecError) as error:
        if cancel.cancelled:
            raise OperationCancelledError("cancelled") from error
        said = errors.decode("utf-8", "replace").strip().splitlines()
        raise BuildError(
            f"the builder pod has ended the build: {said[-1] if said else error}",
            hint="the image of builder pods needs python3 and this package",
        ) from error


def _send(channel: Channel, data: bytes) -> None:
    if not channel.send(STDIN, data):
        raise EOFError("the connection to the builder pod has ended")


class _Output:
    """The standard output of a channel as a stream; its errors are collected."""

    def __init__(self, channel: Channel, errors: bytearray) -> None:
        self._channel, self._errors, self._rest = channel, errors, b""

    def read(self, size: int) -> bytes:
        while not self._rest:
            found = self._channel.receive()
            if found is None:
                return b""
            stream, data = found
            if stream == STDOUT:
                self._rest = data
            elif stream in (STDERR, ERROR) and len(self._errors) < _MOST_STDERR:
                self._errors += data[:_MOST_STDERR]
            if stream == ERROR:
                return b""
        data, self._rest = self._rest[:size], self._rest[size:]
        return data


def _mark(options: BuildOptions) -> str:
    """Return the name of a context at the builder: the same for the next build of it."""
    text = f"{options.context.kind} {options.context.label}"
    return hashlib.sha256(text.encode(errors="surrogateescape")).hexdigest()[:16]


def _secret(name: str, source: SecretSource) -> bytes:
    if source.value is not None:
        return source.value
    if source.env:
        if source.env not in os.environ:
            raise InvalidArgumentError(f"secret {name}: the variable {source.env} is not set")
        return os.environ[source.env].encode()
    assert source.file is not None  # one of the three
    try:
        return source.file.read_bytes()
    except OSError as error:
        raise InvalidArgumentError(f"secret {name}: cannot read {source.file}") from error
