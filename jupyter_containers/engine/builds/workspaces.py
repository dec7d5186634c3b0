"""The layers of a build in progress, and its RUN steps.

A *workspace* is a temporary upper directory over the parent's layers, mounted in a private mount
namespace.  RUN steps start the OCI runtime directly there, without a monitor: only the build waits
for them, and if the build's process dies, the sweep ends the rest.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TypeVar

from jupyter_containers.build.seams import (
    CommittedLayer,
    FailedRun,
    LayerRef,
    OutputSink,
    StepRequest,
    Workspace,
)
from jupyter_containers.engine.builds.failed_steps import FailedSteps
from jupyter_containers.engine.builds.step_mounts import StepMounts
from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.security_labels import labels_for
from jupyter_containers.engine.containers.spec_builder import (
    check_mounts,
    make_folder,
    of_the_host,
    with_environment,
)
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.name_files import mount_names
from jupyter_containers.engine.naming import step_name
from jupyter_containers.engine.networks.connections import Connections
from jupyter_containers.errors import ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_modules import shutil
from jupyter_containers.network import names
from jupyter_containers.oci.descriptor import chain_id
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.options import RunOptions
from jupyter_containers.options.run import SHM_BYTES
from jupyter_containers.options.security import SecurityOption
from jupyter_containers.runtime.binfmt import require_runnable
from jupyter_containers.runtime.confinement import Labels
from jupyter_containers.runtime.mounts import PrivateMounts, Unmounted, detach_inside
from jupyter_containers.runtime.nesting import compose
from jupyter_containers.runtime.spec import BindMount, ContainerContext, TmpfsMount, runtime_spec
from jupyter_containers.runtime.users import resolve_user
from jupyter_containers.store import Lease
from jupyter_containers.trees.rooted import Root

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class BuildLayers:
    """Unpacked layers, and workspaces on top of them, for one build."""

    engine_context: EngineContext
    connections: Connections
    lease: Lease
    cancel: CancelToken

    def has(self, chain_id: str) -> bool:
        """Return whether the stack is usable; if so, it stays usable until the build ends."""
        # Add it to the lease before looking, so that a prune in between cannot remove it.
        if chain_id:
            self.lease.add(chain_id)
        snapshots = self.engine_context.store.snapshots
        snapshots.take_offered(chain_id, self.cancel)
        return not chain_id or snapshots.has(chain_id)

    def stack(self, parent_chain_id: str, layer: LayerRef) -> str:
        """Return the chain ID of a stored layer on top of another stack, unpacked there."""
        chain = chain_id([parent_chain_id, layer.diff_id]) if parent_chain_id else layer.diff_id
        self.lease.add(chain)
        self.engine_context.store.snapshots.unpack(
            parent_chain_id, layer.diff_id, layer.descriptor, cancel=self.cancel
        )
        return chain

    def workspace(self, parent_chain_id: str) -> AbstractContextManager[Workspace]:
        """Return a workspace on top of ``parent_chain_id``."""
        return self._open(parent_chain_id)

    @contextmanager
    def _open(self, parent_chain_id: str) -> Iterator[Workspace]:
        key, snapshots = step_name(), self.engine_context.store.snapshots
        bundle = Bundle(self.engine_context.workbench / key)
        # Released last: its records need space on a disk that a step has filled.
        with ExitStack() as last:
            try:
                bundle.create()
                upper = snapshots.prepare(key, parent_chain_id, transient=True)
                refusal = self.engine_context.driver.refusal
                if refusal is not None:
                    still = Unmounted(refusal)
                    yield _Workspace(self, still, bundle, key, parent_chain_id, last, upper)
                    return
                with PrivateMounts() as mounts:
                    overlay, rootfs = snapshots.mount(parent_chain_id, key), bundle.rootfs
                    mounts.overlay(overlay, rootfs, volatile=True)
                    yield _Workspace(self, mounts, bundle, key, parent_chain_id, last, rootfs)
            finally:
                with deferred():
                    snapshots.discard(key)
                    shutil.rmtree(bundle.folder, ignore_errors=True)


@dataclass(frozen=True, slots=True)
class _Workspace:
    """One step's root file system, in the folder ``rootfs``."""

    layers: BuildLayers
    mounts: PrivateMounts | Unmounted
    bundle: Bundle
    key: str
    parent: str
    last: ExitStack
    rootfs: Path

    def call(self, function: Callable[[str], T]) -> T:
        """Return ``function(rootfs)``; an interrupt cancels the build's token and waits for it."""

        def work(rootfs: str, *, cancel: CancelToken) -> T:
            del cancel  # the function checks the build's token itself
            return function(rootfs)

        return self.mounts.call(work, str(self.rootfs), cancel=self.layers.cancel)

    def commit(self, *, source_date_epoch: int | None = None) -> CommittedLayer:
        """Store the changes as a layer; no further step can run here."""
        self.mounts.close()
        self.layers.engine_context.quotas.check_disk(self.layers.engine_context)
        layer = self.layers.engine_context.store.snapshots.commit(
            self.key,
            self.parent,
            source_date_epoch=source_date_epoch,
            lease=self.layers.lease,
            cancel=self.layers.cancel,
        )
        return CommittedLayer(layer.diff_id, layer.chain_id, layer.blob, layer.size, layer.entries)

    def keep(self, failed: FailedRun) -> str:
        """Move the writable layer aside under a name; no further step can run here."""
        self.mounts.close()
        # The step's own failure matters more: without space for a record, nothing is kept.
        with suppress(ContainersError):
            return FailedSteps(self.layers.engine_context).keep(self.key, self.parent, failed)
        return ""

    def run(self, request: StepRequest, on_output: OutputSink, cancel: CancelToken) -> int:
        """Run the step's process and return its exit code; its mounts and network end with it."""
        engine_context, mounts = self.layers.engine_context, self.mounts
        if isinstance(mounts, Unmounted):
            raise mounts.refusal
        if request.platform is not None:
            require_runnable(request.platform)
        with ExitStack() as stack:
            network = self.layers.connections.temporary(self.key, request.network)
            namespace = self.last.enter_context(network)
            step_mounts = StepMounts(engine_context, mounts, self.bundle, stack, cancel)
            resolved = tuple(step_mounts.resolve(mount) for mount in request.mounts)
            netns = namespace.path if namespace else ""
            labels = self.labels(request.privileged)
            mount_names(mounts, self.bundle, labels.mount_option)
            mounts.call(self._write_spec, request, netns, resolved, mounts, labels)
            try:
                return mounts.call(
                    engine_context.runtime.run,
                    self.key,
                    self.bundle.folder,
                    on_output=lambda stream, data: on_output(data, stream),
                    cancel=cancel,
                )
            finally:
                mounts.call(detach_inside, self.rootfs)

    def labels(self, privileged: bool) -> Labels:
        """Return the security labels of the step: only an AppArmor profile.

        There is no SELinux label, because the step's files become a layer, and its binds are the
        context's.
        """
        options = RunOptions(
            image="build", privileged=privileged, security_opt=(SecurityOption("label=disable"),)
        )
        return labels_for(self.layers.engine_context, options, self.key)

    def _write_spec(
        self,
        request: StepRequest,
        netns: str,
        mounts: tuple[BindMount | TmpfsMount, ...],
        private: PrivateMounts,
        labels: Labels,
    ) -> None:
        engine_context, bundle = self.layers.engine_context, self.bundle
        check_mounts(bundle.rootfs, mounts)
        host_mounts, variables = of_the_host(
            engine_context.host, bundle, trusting=request.trust_host_ca
        )
        mounts += host_mounts
        config = with_environment(ExecutionConfig(env=request.env), variables)
        options = RunOptions(
            image="build",
            command=request.argv,
            entrypoint=(),
            workdir=request.cwd or "/",
            user=request.user,
            hostname=request.hostname,
            network=request.network,
            privileged=request.privileged,
            ulimit=request.means.ulimit,
            shm_size=request.means.shm_size or SHM_BYTES,
        )
        with Root(bundle.rootfs) as root:
            user = resolve_user(
                request.user, root.read_text("/etc/passwd"), root.read_text("/etc/group")
            )
            make_folder(root, options.workdir, user)
            files = {
                name: bundle.write_name_file(name, text)
                for name, text in self._files(request).items()
                if name != "hostname" or root.exists("/etc/hostname")
            }
        context = ContainerContext(
            container_id=self.key,
            rootfs=str(bundle.rootfs),
            host=engine_context.host,
            user=user,
            hostname=request.hostname,
            network="path" if netns else "host" if request.network == "host" else "new",
            netns=netns,
            mounts=mounts,
            hosts_file=files.get("hosts", ""),
            resolv_conf=files.get("resolv.conf", ""),
            hostname_file=files.get("hostname", ""),
            cgroup_path=engine_context.runtime.cgroup_path(self.key),
            default_pids_limit=engine_context.settings.pids_limit,
            labels=labels,
            no_new_privileges=engine_context.settings.no_new_privileges,
        )
        spec = runtime_spec(config, options, context)
        places = bundle.folder / "nested"
        spec["mounts"] = compose(spec["mounts"], bundle.rootfs, places, private)
        bundle.write_spec(spec)

    def _files(self, request: StepRequest) -> dict[str, str]:
        on_host = request.network == "host"
        gateway = self.layers.connections.gateway_of(request.network)
        extra = names.added_hosts(request.means.add_host, gateway)
        head = names.hosts_file(request.hostname, ["127.0.0.1"], extra=extra)
        others = self.layers.connections.hostnames.known(self.key)
        return {
            "hosts": head + others,
            "resolv.conf": names.resolv_conf(names.read_resolv_conf(), keep_loopback=on_host),
            "hostname": names.hostname_file(request.hostname),
        }
