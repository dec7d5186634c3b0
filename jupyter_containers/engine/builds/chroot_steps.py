"""RUN steps by chroot, in a copy of all files: nothing is mounted, and no namespace is made.

What a container would mount is put in place before the step and taken away after it
(:mod:`.stand_ins`): names, devices, a picture of ``/proc``, and the mounts of the step, which are
moved or copied.  What cannot be given is refused by name.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from functools import partial
from pathlib import Path

from jupyter_containers.build.seams import ContextFile, OutputSink, StepMount, StepRequest
from jupyter_containers.engine.builds.cache_mounts import CacheMounts
from jupyter_containers.engine.builds.socket_forwarding import forwarded
from jupyter_containers.engine.builds.stand_ins import StandIns
from jupyter_containers.engine.builds.step_mounts import copy_open, fill_cache, open_in_context
from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.containers.spec_builder import (
    check_mounts,
    make_folder,
    of_the_host,
    with_environment,
)
from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.naming import step_name
from jupyter_containers.errors import BuildError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import replace
from jupyter_containers.lazy_modules import socket
from jupyter_containers.network import names
from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.options import RunOptions
from jupyter_containers.options.run import SHM_BYTES
from jupyter_containers.runtime import chroot
from jupyter_containers.runtime.spec import BindMount, ContainerContext, TmpfsMount, process_spec
from jupyter_containers.runtime.users import User, resolve_user
from jupyter_containers.trees.owners import give
from jupyter_containers.trees.rooted import Root

_NODES = {
    "null": (1, 3), "zero": (1, 5), "full": (1, 7), "random": (1, 8), "urandom": (1, 9),
    "tty": (5, 0),
}  # fmt: skip
# Files of /proc that programs read while they are installed, and that are the same for everybody.
_PROC = "cpuinfo devices filesystems loadavg meminfo stat uptime version"
_PROC_SYS = "kernel/osrelease kernel/ostype kernel/cap_last_cap kernel/pid_max fs/file-max"
_MOST_OF_PROC = 1 << 20


def step_options(request: StepRequest) -> RunOptions:
    """Return the options that run a step as a container."""
    return RunOptions(
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


class ChrootStep:
    """One RUN step in the folder ``rootfs``, the copied upper ``key``."""

    def __init__(
        self,
        engine_context: EngineContext,
        bundle: Bundle,
        key: str,
        rootfs: Path,
        cancel: CancelToken,
    ) -> None:
        self._engine_context, self._bundle = engine_context, bundle
        self._key, self._rootfs, self._cancel = key, rootfs, cancel
        self._folder = rootfs.parent / "stand-ins"
        self._count = 0

    def run(self, request: StepRequest, on_output: OutputSink) -> int:
        """Run the step; return its exit code once none of its processes is left."""
        _refuse(request)
        check_mounts(self._rootfs, [TmpfsMount(mount.target) for mount in request.mounts])
        host_mounts, variables = of_the_host(
            self._engine_context.host, self._bundle, trusting=request.trust_host_ca
        )
        with Root(self._rootfs) as root:
            user = resolve_user(
                request.user, root.read_text("/etc/passwd"), root.read_text("/etc/group")
            )
            make_folder(root, request.cwd or "/", user)
        context = ContainerContext(
            container_id=self._key,
            rootfs=str(self._rootfs),
            host=self._engine_context.host,
            user=user,
            hostname=request.hostname,
            no_new_privileges=self._engine_context.settings.no_new_privileges,
        )
        config = with_environment(ExecutionConfig(env=request.env), variables)
        process = process_spec(config, step_options(request), context)
        self._folder.mkdir(mode=0o700)
        # Caches go home before they are released.
        with ExitStack() as held, self._stand_ins() as stand_ins:
            outputs = self._put_system(stand_ins, request, host_mounts, user)
            caches = self._caches(request.mounts, held)
            # Outer targets first, so that an inner one is not covered.
            for mount in sorted(request.mounts, key=lambda one: one.target.count("/")):
                self._put(stand_ins, mount, caches, held)
            stand_ins.seal()
            return chroot.run(
                process,
                self._rootfs,
                outputs,
                on_output=lambda stream, data: on_output(data, stream),
                cancel=self._cancel,
            )

    @contextmanager
    def _stand_ins(self) -> Iterator[StandIns]:
        uppers, remove = (
            self._engine_context.store.snapshots.uppers,
            self._engine_context.store.remove_tree,
        )
        stand_ins = StandIns(self._rootfs, self._folder, uppers.note(self._key))
        try:
            yield stand_ins
        finally:
            with deferred():
                uppers.replace_note(self._key, stand_ins.take_away(remove))
                remove(self._folder)

    def _fresh(self, *, folder: bool = False) -> Path:
        self._count += 1
        place = self._folder / f"made{self._count}"
        if folder:
            place.mkdir(mode=0o755)
        return place

    # -- what every container has -----------------------------------------------------------------

    def _put_system(
        self,
        stand_ins: StandIns,
        request: StepRequest,
        host_mounts: tuple[BindMount, ...],
        user: User,
    ) -> chroot.Outputs:
        """Put the system's files in place; return the FIFOs that are the step's output."""
        devices = self._devices(user)
        for mount in host_mounts:
            self._write(Path(mount.source).read_bytes(), devices / os.path.basename(mount.target))
        stand_ins.put(devices, "/dev")
        stand_ins.put(self._picture_of_proc(), "/proc")
        stand_ins.put(self._fresh(folder=True), "/sys")
        for name, text in self._names(request).items():
            stand_ins.put(self._write(text.encode()), f"/etc/{name}")
        # By the path that they have now.
        place = self._rootfs / "dev"
        with Root(self._rootfs) as root:
            place = self._rootfs / root.resolve("/dev")
        return chroot.Outputs(place / "stdout", place / "stderr")

    def _names(self, request: StepRequest) -> dict[str, str]:
        """Return the texts of hosts, resolv.conf and, if the image has one, hostname."""
        extra = names.added_hosts(request.means.add_host, "")
        own = f"{request.hostname} {socket.gethostname()}"
        texts = {
            "hosts": names.hosts_file(own, ["127.0.0.1"], extra=extra),
            "resolv.conf": names.resolv_conf(names.read_resolv_conf(), keep_loopback=True),
        }
        with Root(self._rootfs) as root:
            if root.exists("/etc/hostname"):
                texts["hostname"] = names.hostname_file(request.hostname)
        return texts

    def _devices(self, user: User) -> Path:
        """Return a folder for /dev: nodes if they can be made, else an empty file for ``null``."""
        folder = self._fresh(folder=True)
        for name, (major, minor) in _NODES.items():
            node = folder / name
            try:
                os.mknod(node, stat.S_IFCHR | 0o666, os.makedev(major, minor))
                node.chmod(0o666)
                if name != "tty":
                    os.close(os.open(node, os.O_RDWR | os.O_CLOEXEC))
            except OSError:
                # A file of random bytes would give the same keys to everybody: there is none.
                with suppress(FileNotFoundError):
                    node.unlink()
        if not (folder / "null").exists():
            self._write(b"", folder / "null").chmod(0o666)
        for name in ("stdout", "stderr"):
            os.mkfifo(folder / name)
            os.chown(folder / name, user.uid, user.gid)
            (folder / name).chmod(0o622)
        (folder / "shm").mkdir()
        (folder / "shm").chmod(0o1777)
        return folder

    def _picture_of_proc(self) -> Path:
        folder = self._fresh(folder=True)
        for name in (*_PROC.split(), *(f"sys/{one}" for one in _PROC_SYS.split())):
            with suppress(OSError), open(f"/proc/{name}", "rb") as file:
                data = file.read(_MOST_OF_PROC)
                (folder / name).parent.mkdir(mode=0o755, parents=True, exist_ok=True)
                self._write(data, folder / name).chmod(0o444)
        return folder

    def _write(self, data: bytes, place: Path | None = None) -> Path:
        place = place or self._fresh()
        place.write_bytes(data)
        place.chmod(0o644)
        return place

    # -- the step's own mounts --------------------------------------------------------------------

    def _put(
        self,
        stand_ins: StandIns,
        mount: StepMount,
        caches: Mapping[str, Path],
        held: ExitStack,
    ) -> None:
        if mount.type == "cache":
            place = caches[mount.target]
            stand_ins.put(place, mount.target, home=place)
            return
        if mount.type == "tmpfs":
            place = self._fresh(folder=True)
            place.chmod(0o1777)
        elif mount.type == "file":
            place = self._write(mount.data)
            place.chmod(mount.mode)
            give(place, mount.uid, mount.gid)
        elif mount.type == "socket":
            place = self._fresh()
            served = forwarded(mount.source, place, mount.mode, mount.uid, mount.gid)
            held.enter_context(served)
        elif mount.context is not None:
            place = self._of_context(mount.context)
        else:
            place = _inside(self._stage(mount.chain_id or "", held), mount.source)
        stand_ins.put(place, mount.target)

    def _caches(self, mounts: Iterable[StepMount], held: ExitStack) -> dict[str, Path]:
        """Return the caches of a step by target; they are moved there, so other steps wait.

        All steps wait for them in the same order, so that no two wait for each other.
        """
        found = {}
        wanted = [mount for mount in mounts if mount.type == "cache"]
        for mount in sorted(wanted, key=lambda one: (one.cache_id, one.source, one.variant)):
            alone = mount if mount.sharing == "private" else replace(mount, sharing="locked")
            fill = None if mount.chain_id is None else partial(self._fill, mount, held)
            caches = CacheMounts(self._engine_context)
            found[mount.target] = held.enter_context(caches.hold(alone, fill, self._cancel))
        return found

    def _fill(self, mount: StepMount, held: ExitStack, folder: Path) -> None:
        stage = self._stage(mount.chain_id or "", held)
        fill_cache(mount, stage, folder, cancel=self._cancel)

    def _stage(self, chain_id: str, held: ExitStack) -> Path:
        key, snapshots = step_name(), self._engine_context.store.snapshots
        held.callback(snapshots.discard, key)
        return snapshots.prepare(key, chain_id, transient=True, copy=True)

    def _of_context(self, file: ContextFile) -> Path:
        source, place = open_in_context(file), self._fresh()
        try:
            copy_open(source, place)
        finally:
            os.close(source)
        return place


def _inside(stage: Path, source: str) -> Path:
    """Return the path of ``source`` in a stage, its links resolved inside the stage."""
    with Root(stage) as root:
        path = root.resolve(source or "/")
        if root.stat(path) is None:
            raise BuildError(f"mount source {source!r} not found")
    return stage / path if path else stage


def _refuse(request: StepRequest) -> None:
    """Raise :class:`UnsupportedError` for what only a container could have."""
    caches = [mount.cache_id for mount in request.mounts if mount.type == "cache"]
    wishes = {
        f"the network {request.network}": request.network not in ("bridge", "host"),
        "--security=insecure": request.privileged,
        "--shm-size": bool(request.means.shm_size),
        "the size of a tmpfs": any(one.size for one in request.mounts),
        "a read-only cache": any(one.type == "cache" and one.read_only for one in request.mounts),
        "one cache at two places": len(set(caches)) < len(caches),
    }
    for name, wanted in wishes.items():
        if wanted:
            raise UnsupportedError(
                f"RUN by chroot cannot have {name}",
                capability="containers",
                provided_by="a place where containers run, and --isolation oci",
            )
