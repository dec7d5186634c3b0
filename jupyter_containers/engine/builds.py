"""The builder's surroundings, made of the engine's rooms: base images, layers, RUN steps.

A *workspace* is a transient upper directory over the parent's layers, mounted in a private mount
namespace.  RUN steps start the OCI runtime directly there, without a monitor: nobody but the
build waits for them, and when the build's process dies the sweep ends what is left.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO, TypeVar

from jupyter_containers.build import Builder, BuildResult
from jupyter_containers.build.seams import (
    BaseImage,
    CommittedLayer,
    LayerRef,
    OutputSink,
    StepMount,
    StepRequest,
    Workspace,
)
from jupyter_containers.build.tree import DigestMemo
from jupyter_containers.engine.assembly import (
    Bundle,
    host_trust,
    make_folder,
    read_text,
    with_environment,
)
from jupyter_containers.engine.images import Images
from jupyter_containers.engine.networks import Networks
from jupyter_containers.engine.rooms import Rooms
from jupyter_containers.engine.transfer import record_image
from jupyter_containers.errors import BuildError, ContainersError, InvalidArgumentError
from jupyter_containers.events import CancelToken, EventSink
from jupyter_containers.network import names
from jupyter_containers.oci.descriptor import Descriptor, Platform, RawDocument
from jupyter_containers.oci.image import ExecutionConfig, Manifest, parse_manifest
from jupyter_containers.oci.mount import Mount
from jupyter_containers.oci.reference import Reference
from jupyter_containers.options import BuildOptions, RunOptions
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.spec import BindMount, ContainerContext, TmpfsMount, runtime_spec
from jupyter_containers.runtime.users import resolve_user
from jupyter_containers.store import ImageRecord, Lease, extract_archive
from jupyter_containers.store.rooted import Root, split

T = TypeVar("T")
Pull = Callable[[Reference, str, EventSink, CancelToken], ImageRecord]


class Builds:
    """Builds images into one store."""

    def __init__(self, rooms: Rooms, images: Images, networks: Networks, pull: Pull) -> None:
        self._rooms, self._images, self._networks, self._pull = rooms, images, networks, pull
        self._memo: DigestMemo = {}

    def build(self, options: BuildOptions, emit: EventSink, cancel: CancelToken) -> ImageRecord:
        """Build, record and name an image."""
        references = [Reference.parse(tag) for tag in options.tags]
        for reference in references:
            if reference.digest:
                raise InvalidArgumentError(f"a tag cannot be a digest: {reference.familiar}")
        with self._rooms.store.leases.hold() as lease:
            builder = Builder(
                images=_Source(self._rooms, self._images, self._pull, lease, emit, cancel),
                layers=_Layers(self._rooms, self._networks, lease, cancel),
                cache=_Cache(self._rooms),
                blobs=_Blobs(self._rooms, lease),
                extract=_extract,
                memo=self._memo,
                trust_host_ca=self._trusts_host_ca(),
            )
            result = builder.build(options, emit, cancel)
            record = self._record(result)
            for reference in references:
                digest = record.manifest.digest
                self._rooms.store.records.set_name(str(reference), digest, digest)
        if options.iidfile:
            options.iidfile.write_text(record.config_digest)
        return record

    def build_text(self, text: str, tag: str, emit: EventSink, cancel: CancelToken) -> ImageRecord:
        """Build a Dockerfile that copies nothing from its context."""
        with self._folder() as folder:
            options = BuildOptions.of(folder, dockerfile=text, tag=tag, source_name=f"{tag} recipe")
            return self.build(options, emit, cancel)

    def changed_config(self, changes: tuple[str, ...] | list[str] | object) -> ExecutionConfig:
        """Return the configuration that Dockerfile instructions (``import --change``) make."""
        lines = [str(change) for change in changes] if isinstance(changes, (tuple, list)) else []
        if not lines:
            return ExecutionConfig()
        from jupyter_containers.build.changes import changed_config

        return changed_config(lines)

    @contextmanager
    def _folder(self) -> Iterator[Path]:
        folder = self._rooms.workbench / step_name()
        folder.mkdir(parents=True)
        try:
            yield folder
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def _trusts_host_ca(self) -> bool:
        setting = self._rooms.settings.trust_host_ca
        return setting == "always" or (setting == "auto" and self._rooms.host.ca.extra)

    def _record(self, result: BuildResult) -> ImageRecord:
        existing = self._rooms.store.records.get_image(result.manifest.digest)
        if existing is not None:
            return existing
        content = self._rooms.store.content
        document = RawDocument(content.read(result.manifest.digest), result.manifest.media_type)
        manifest = parse_manifest(document)
        assert isinstance(manifest, Manifest)  # the builder writes manifests only
        return record_image(self._rooms, document, manifest, result.config)


def step_name() -> str:
    """Return a new name for a build step that tells, when found later, whose it was."""
    from jupyter_containers.runtime.process import ProcessIdentity

    owner = ProcessIdentity.of(os.getpid())
    assert owner is not None  # we are alive
    return f"build-{owner.pid}-{owner.start_time}-{secrets.token_hex(4)}"


class _Source:
    """Base images: from the store, else pulled."""

    def __init__(
        self,
        rooms: Rooms,
        images: Images,
        pull: Pull,
        lease: Lease,
        emit: EventSink,
        cancel: CancelToken,
    ) -> None:
        self._rooms, self._images, self._pull = rooms, images, pull
        self._lease, self._emit, self._cancel = lease, emit, cancel

    def resolve(self, reference: Reference, platform: Platform, pull: bool) -> BaseImage:
        record = None if pull else self._images.lookup(reference.familiar)
        if record is None:
            record = self._fetch(reference, platform)
        self._lease.add(record.manifest.digest, record.config_digest, *record.chain_ids)
        config = self._images.config(record)
        if platform.match_score(record.platform) == 0:
            raise BuildError(
                f"image {reference.familiar} is for {record.platform}, not for {platform}",
                hint=f"choose another base, or pull it: pull --platform {platform} …",
            )
        document = RawDocument(
            self._rooms.store.content.read(record.manifest.digest), record.manifest.media_type
        )
        manifest = parse_manifest(document)
        assert isinstance(manifest, Manifest)  # only manifests are recorded as images
        layers = zip(manifest.layers, record.diff_ids, strict=True)
        return BaseImage(
            reference.familiar,
            record.manifest.digest,
            config,
            tuple(LayerRef(blob, diff_id) for blob, diff_id in layers),
            record.chain_id,
        )

    def _fetch(self, reference: Reference, platform: Platform) -> ImageRecord:
        try:
            return self._pull(reference, str(platform), self._emit, self._cancel)
        except ContainersError as error:
            if not error.hint or error.hint.startswith("check"):
                error.hint = _base_hint(reference) or error.hint
            raise


def _base_hint(reference: Reference) -> str:
    from jupyter_containers.engine.bootstrap import recipe_of

    try:
        recipe_of(reference)
    except InvalidArgumentError:
        return ""
    return f"without a registry: bootstrap {reference.familiar} makes it from Debian's packages"


class _Cache:
    """The layer cache, in the store's records."""

    def __init__(self, rooms: Rooms) -> None:
        self._records = rooms.store.records

    def get(self, key: str) -> bytes | None:
        return self._records.cache_get(key)

    def put(self, key: str, value: bytes, chain_id: str) -> None:
        self._records.cache_put(key, value, chain_id)


class _Blobs:
    """The content store, every new blob protected by the build's lease."""

    def __init__(self, rooms: Rooms, lease: Lease) -> None:
        self._content, self._lease = rooms.store.content, lease

    def put(self, data: bytes, media_type: str) -> Descriptor:
        return self._content.put(data, media_type, self._lease)

    def has(self, digest: str) -> bool:
        return self._content.has(digest)


class _Layers:
    """Unpacked layers and workspaces on top of them."""

    def __init__(self, rooms: Rooms, networks: Networks, lease: Lease, cancel: CancelToken) -> None:
        self._rooms, self._networks = rooms, networks
        self._lease, self._cancel = lease, cancel

    def has(self, chain_id: str) -> bool:
        # Leased before it is looked for: a prune in between cannot take it away again.
        if chain_id:
            self._lease.add(chain_id)
        return not chain_id or self._rooms.store.snapshots.has(chain_id)

    def workspace(self, parent_chain_id: str) -> AbstractContextManager[Workspace]:
        return self._open(parent_chain_id)

    @contextmanager
    def _open(self, parent_chain_id: str) -> Iterator[Workspace]:
        key, snapshots = step_name(), self._rooms.store.snapshots
        bundle = Bundle(self._rooms.workbench / key)
        bundle.create()
        snapshots.prepare(key, parent_chain_id, transient=True)
        try:
            with PrivateMounts() as mounts:
                mounts.overlay(snapshots.mount(parent_chain_id, key), bundle.rootfs, volatile=True)
                yield _Workspace(
                    self._rooms, self._networks, mounts, bundle, key, parent_chain_id, self._lease
                )
        finally:
            snapshots.discard(key)
            shutil.rmtree(bundle.folder, ignore_errors=True)


class _Workspace:
    """One step's root file system."""

    def __init__(
        self,
        rooms: Rooms,
        networks: Networks,
        mounts: PrivateMounts,
        bundle: Bundle,
        key: str,
        parent_chain_id: str,
        lease: Lease,
    ) -> None:
        self._rooms, self._networks, self._mounts = rooms, networks, mounts
        self._bundle, self._key = bundle, key
        self._parent, self._lease = parent_chain_id, lease

    def call(self, function: Callable[[str], T]) -> T:
        return self._mounts.call(function, str(self._bundle.rootfs))

    def commit(self, *, source_date_epoch: int | None = None) -> CommittedLayer:
        self._mounts.close()
        layer = self._rooms.store.snapshots.commit(
            self._key, self._parent, source_date_epoch=source_date_epoch, lease=self._lease
        )
        return CommittedLayer(layer.diff_id, layer.chain_id, layer.blob, layer.size, layer.entries)

    def run(self, request: StepRequest, on_output: OutputSink, cancel: CancelToken) -> int:
        with ExitStack() as stack:
            network = self._networks.temporary(self._key, request.network)
            namespace = stack.enter_context(network)
            step_mounts = _StepMounts(self._rooms, self._mounts, self._bundle, stack, cancel)
            mounts = tuple(step_mounts.resolve(mount) for mount in request.mounts)
            netns = namespace.path if namespace else ""
            self._mounts.call(self._write_spec, request, netns, mounts)
            return self._mounts.call(
                self._rooms.runtime.run,
                self._key,
                self._bundle.folder,
                on_output=lambda stream, data: on_output(data, stream),
                cancel=cancel,
            )

    def _write_spec(
        self, request: StepRequest, netns: str, mounts: tuple[BindMount | TmpfsMount, ...]
    ) -> None:
        rooms, bundle = self._rooms, self._bundle
        config = ExecutionConfig(env=request.env)
        if request.trust_host_ca:
            ca_mounts, variables = host_trust(rooms.host, os.environ)
            mounts += ca_mounts
            config = with_environment(config, variables)
        options = RunOptions(
            image="build",
            command=request.argv,
            entrypoint=(),
            workdir=request.cwd or "/",
            user=request.user,
            hostname=request.hostname,
            network=request.network,
        )
        with Root(bundle.rootfs) as root:
            user = resolve_user(
                request.user, read_text(root, "/etc/passwd"), read_text(root, "/etc/group")
            )
            make_folder(root, options.workdir, user)
            files = {
                name: bundle.write(name, text)
                for name, text in self._files(request).items()
                if root_has(root, f"/etc/{name}") or name != "hostname"
            }
        context = ContainerContext(
            container_id=self._key,
            rootfs=str(bundle.rootfs),
            host=rooms.host,
            user=user,
            hostname=request.hostname,
            network="path" if netns else "host" if request.network == "host" else "new",
            netns=netns,
            mounts=mounts,
            hosts_file=files.get("hosts", ""),
            resolv_conf=files.get("resolv.conf", ""),
            hostname_file=files.get("hostname", ""),
            cgroup_path=rooms.runtime.cgroup_path(self._key),
            default_pids_limit=rooms.settings.pids_limit,
        )
        bundle.write_spec(runtime_spec(config, options, context))

    def _files(self, request: StepRequest) -> dict[str, str]:
        on_host = request.network == "host"
        return {
            "hosts": names.hosts_file(request.hostname, ["127.0.0.1"]),
            "resolv.conf": names.resolv_conf(names.read_resolv_conf(), keep_loopback=on_host),
            "hostname": names.hostname_file(request.hostname),
        }


def root_has(root: Root, path: str) -> bool:
    """Return whether a path exists inside the root."""
    try:
        os.close(root.open(split(path.encode()), os.O_PATH))
    except OSError:
        return False
    return True


class _StepMounts:
    """Turns the mounts of a RUN step into mounts of the runtime; all end with the step."""

    def __init__(
        self,
        rooms: Rooms,
        mounts: PrivateMounts,
        bundle: Bundle,
        stack: ExitStack,
        cancel: CancelToken,
    ) -> None:
        self._rooms, self._mounts, self._bundle = rooms, mounts, bundle
        self._stack, self._cancel = stack, cancel
        self._count = 0

    def resolve(self, mount: StepMount) -> BindMount | TmpfsMount:
        """Return the runtime's form of one mount."""
        if mount.type == "tmpfs":
            return TmpfsMount(mount.target, mount.size)
        if mount.type == "file":
            return self._file(mount)
        if mount.type == "cache":
            return self._cache(mount)
        source = mount.source or "/"
        if mount.chain_id is not None:
            source = self._inside(self._stage(mount.chain_id, mount.read_only), source)
        elif not mount.read_only and os.path.isdir(source):
            source = str(self._writable(Path(source)))
        return BindMount(source, mount.target, mount.read_only)

    def _fresh(self, kind: str) -> Path:
        self._count += 1
        folder = self._bundle.folder / f"{kind}{self._count}"
        folder.mkdir()
        return folder

    def _file(self, mount: StepMount) -> BindMount:
        path = self._fresh("file") / "data"
        path.write_bytes(mount.data)
        path.chmod(mount.mode)
        os.chown(path, mount.uid, mount.gid)
        return BindMount(str(path), mount.target, read_only=True)

    def _cache(self, mount: StepMount) -> BindMount:
        name = hashlib.sha256(mount.cache_id.encode()).hexdigest()[:32]
        folder = self._rooms.settings.root / "cache-mounts" / name
        if mount.sharing == "private":
            folder = folder.with_name(f"{name}-{self._bundle.folder.name}")
            self._stack.callback(shutil.rmtree, folder, ignore_errors=True)
        elif mount.sharing == "locked":
            self._stack.enter_context(self._rooms.store.locks.hold(f"cache-{name}", self._cancel))
        if not folder.exists():
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(mount.mode)
            os.chown(folder, mount.uid, mount.gid)
        return BindMount(str(folder), mount.target, mount.read_only)

    def _stage(self, chain_id: str, read_only: bool) -> Path:
        target, snapshots = self._fresh("stage"), self._rooms.store.snapshots
        key = None
        if not read_only:
            key = step_name()
            snapshots.prepare(key, chain_id, transient=True)
            self._stack.callback(snapshots.discard, key)
        self._mounts.overlay(snapshots.mount(chain_id, key), target)
        return target

    def _writable(self, source: Path) -> Path:
        """Show a host folder in which whatever is written is lost."""
        target, snapshots, key = self._fresh("bind"), self._rooms.store.snapshots, step_name()
        upper = snapshots.prepare(key, transient=True)
        self._stack.callback(snapshots.discard, key)
        overlay = Mount(source.parent, (source.name,), upper, upper.parent / "work")
        self._mounts.overlay(overlay, target)
        return target

    def _inside(self, folder: Path, source: str) -> str:
        def real_path() -> str:
            with Root(folder) as root:
                try:
                    descriptor = root.open(split(os.fsencode(source)), os.O_PATH)
                except OSError as error:
                    raise BuildError(f"cannot mount {source}: {error.strerror}") from error
                try:
                    return os.readlink(f"/proc/self/fd/{descriptor}")
                finally:
                    os.close(descriptor)

        return self._mounts.call(real_path)


def _extract(stream: BinaryIO, folder: str, owner: tuple[int, int] | None) -> None:
    if owner is not None:
        raise InvalidArgumentError("ADD --chown of an archive is not available yet")
    extract_archive(stream, Path(folder))
