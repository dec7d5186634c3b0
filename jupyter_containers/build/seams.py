"""The protocols of a build's dependencies, implemented by the engine.

Vocabulary: a *workspace* is the merged root of a stack of layers with an empty writable layer on
top.  It may exist only in a private mount namespace, so it is used through :meth:`Workspace.call`
and :meth:`Workspace.run`.  Life: opened → called and run → committed, or discarded on exit.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import BinaryIO, Literal, Protocol, TypeVar

from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.oci.descriptor import Descriptor, Platform
from jupyter_containers.oci.image import ExecutionConfig, ImageConfig
from jupyter_containers.options.build import StepMeans

Stream = Literal["stdout", "stderr"]
OutputSink = Callable[[bytes, Stream], None]
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class LayerRef:
    """A layer of an image: its blob and its diff_id."""

    descriptor: Descriptor
    diff_id: str


@dataclass(frozen=True, slots=True)
class BaseImage:
    """An image whose layers are unpacked; ``chain_id`` names the whole stack."""

    name: str
    manifest_digest: str
    config: ImageConfig
    layers: tuple[LayerRef, ...]
    chain_id: str


@dataclass(frozen=True, slots=True)
class CommittedLayer:
    """A workspace's changes as a layer; ``entries`` 0 means that there were none."""

    diff_id: str
    chain_id: str
    blob: Descriptor
    size: int
    entries: int


@dataclass(frozen=True, slots=True)
class ContextFile:
    """A file or folder of a build context for a mount.

    ``path`` is canonical below ``folder``, which is absolute and free of links; ``identity`` is
    its device and inode number.
    """

    folder: str
    identity: tuple[int, int]
    path: str


@dataclass(frozen=True, slots=True)
class StepMount:
    """A mount that exists during one RUN step only; nothing in it is committed.

    ``bind``: the file or directory ``context`` of a context, or ``source`` inside the root of
    ``chain_id``; changes to writable binds (``read_only`` false) are discarded. ``is_file`` means
    that the source is not a folder. ``cache``: a persistent folder named ``cache_id``; a new one is
    filled from ``source`` of ``chain_id`` if given, else made with ``mode``, ``uid`` and ``gid``.
    ``variant`` tells caches of one id apart that were asked for with other owners or modes.
    ``tmpfs``: ``size`` bytes, 0 for no limit. ``file``: a read-only file that holds ``data`` with
    ``mode``. ``socket``: the socket ``source`` of the host.
    """

    type: Literal["bind", "cache", "tmpfs", "file", "socket"]
    target: str
    source: str = ""
    chain_id: str | None = None
    read_only: bool = True
    cache_id: str = ""
    variant: str = ""
    sharing: Literal["shared", "private", "locked"] = "shared"
    mode: int = 0o755
    uid: int = 0
    gid: int = 0
    size: int = 0
    data: bytes = b""
    is_file: bool = False
    context: ContextFile | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class StepRequest:
    """One RUN step; ``user`` is as in an image's config, ``network`` as in ``run --network``."""

    step_id: str
    argv: tuple[str, ...]
    env: tuple[str, ...]
    cwd: str
    user: str
    network: str
    mounts: tuple[StepMount, ...] = ()
    hostname: str = "buildkitsandbox"
    platform: Platform | None = None
    trust_host_ca: bool = False
    privileged: bool = False
    means: StepMeans = field(default_factory=StepMeans)


@dataclass(frozen=True, slots=True)
class FailedRun:
    """A RUN step that failed; ``config`` is the configuration of its command."""

    title: str
    place: str
    exit_code: int
    config: ExecutionConfig


class Workspace(Protocol):
    """A root to change and then commit."""

    def call(self, function: Callable[[str], _Result]) -> _Result:
        """Call ``function(rootfs)`` with the path of the merged root; return its result.

        Open descriptors stay valid outside.  Exceptions propagate unchanged.
        """
        ...

    def run(self, request: StepRequest, on_output: OutputSink, cancel: CancelToken) -> int:
        """Run the step's process; return its exit code (128 + n for signal n)."""
        ...

    def keep(self, failed: FailedRun) -> str:
        """Keep the root for inspection; return its name, empty if that failed."""
        ...

    def commit(self, *, source_date_epoch: int | None = None) -> CommittedLayer:
        """Commit the changes as a layer; limit times to ``source_date_epoch`` (seconds)."""
        ...


class ImageSource(Protocol):
    """Finds images by name."""

    def resolve(self, name: str, platform: Platform, pull: bool) -> BaseImage:
        """Return the unpacked image for a name, an ID or ``oci-layout://PATH[:TAG]``.

        It is pulled if it is missing here, or with ``pull``.
        """
        ...

    def look(self, name: str, platform: Platform) -> BaseImage | None:
        """Return the image if it exists here; pull nothing."""
        ...


class LayerStore(Protocol):
    """Provides unpacked layers; the empty chain ID is the empty root."""

    def has(self, chain_id: str) -> bool:
        """Return whether the stack ``chain_id`` can be used now."""
        ...

    def stack(self, parent_chain_id: str, layer: LayerRef) -> str:
        """Unpack a stored layer on top of another stack; return the resulting chain ID."""
        ...

    def workspace(self, parent_chain_id: str) -> AbstractContextManager[Workspace]:
        """Return a workspace on top of ``parent_chain_id``; discard uncommitted changes on exit."""
        ...


class CacheStore(Protocol):
    """Stores results of steps; values vanish with the layer they name."""

    def get(self, key: str) -> bytes | None:
        """Return the value of ``key``, or None."""
        ...

    def put(self, key: str, value: bytes, chain_id: str) -> None:
        """Store ``value``; an empty ``chain_id`` ties it to no layer."""
        ...

    def alone(self, key: str, cancel: CancelToken) -> AbstractContextManager[object]:
        """Return a block in which no other thread or process makes the result of ``key``."""
        ...


class BlobStore(Protocol):
    """Stores verified blobs."""

    def put(self, data: bytes, media_type: str) -> Descriptor:
        """Store ``data`` on disk and return its descriptor."""
        ...


class ExtractArchive(Protocol):
    """Unpacks an uncompressed tar into a folder and nowhere else."""

    def __call__(self, stream: BinaryIO, folder: str, owner: tuple[int, int] | None) -> None:
        """Extract; ``owner`` replaces every owner in the archive.  No whiteouts: plain files."""
        ...
