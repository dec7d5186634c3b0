"""A busybox root file system, and containers of it over the real runtime and kernel."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ParamSpec, TypeVar

from jupyter_containers.oci.image import ExecutionConfig
from jupyter_containers.oci.mount import Mount
from jupyter_containers.options import RunOptions
from jupyter_containers.runtime import cgroups, monitor
from jupyter_containers.runtime.attach import Attachment
from jupyter_containers.runtime.host import HostCapabilities, probe
from jupyter_containers.runtime.monitor import ExitStatus, Monitor, MonitorState
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.oci_runtime import OCIRuntime
from jupyter_containers.runtime.spec import ContainerContext, Spec, runtime_spec
from jupyter_containers.runtime.users import resolve_user

P = ParamSpec("P")
T = TypeVar("T")
PASSWD = "root:x:0:0:root:/root:/bin/sh\nann:x:1000:1000::/home/ann:/bin/sh\n"
GROUP = "root:x:0:\nann:x:1000:\ndata:x:2000:ann\n"


def make_root(base: Path) -> None:
    """Make the layers ``base`` (busybox) and ``empty`` in a folder."""
    root = base / "base"
    for name in ("bin", "etc", "tmp", "root", "home/ann"):
        (root / name).mkdir(parents=True)
    (base / "empty").mkdir()
    shutil.copy("/bin/busybox", root / "bin/busybox")
    applets = subprocess.run(
        ["/bin/busybox", "--list"], capture_output=True, text=True, check=True
    ).stdout.split()
    for applet in applets:
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "etc/passwd").write_text(PASSWD)
    (root / "etc/group").write_text(GROUP)
    (root / "tmp").chmod(0o1777)
    (root / "bin/data").write_text("no program\n")
    os.chown(root / "home/ann", 1000, 1000)


@dataclass
class Output:
    stdout: bytearray = field(default_factory=bytearray)
    stderr: bytearray = field(default_factory=bytearray)

    def __call__(self, stream: str, data: bytes) -> None:
        getattr(self, stream).extend(data)


@dataclass
class Container:
    lab: Lab
    id: str
    bundle: Path
    spec: Spec
    state: MonitorState

    def start(self) -> None:
        self.lab.call(self.lab.runtime.start, self.id)

    def wait(self, timeout: float = 20) -> ExitStatus:
        status = monitor.wait(self.bundle, self.state, timeout=timeout)
        assert status is not None, "the container still runs"
        return status

    def attach(self) -> Attachment:
        return Attachment(self.bundle)

    @property
    def cgroup(self) -> str:
        return self.lab.runtime.cgroup_path(self.id)


class Lab:
    """One temporary place for bundles, a runtime root and a cgroup parent.

    ``prepare`` changes each mount namespace in which the runtime is started; without it only
    containers are created in one.
    """

    def __init__(
        self,
        folder: Path,
        host: HostCapabilities,
        prepare: Callable[[PrivateMounts], None] | None = None,
    ) -> None:
        self._prepare = prepare
        self.folder = folder
        self.host = host
        self.layers = folder / "layers"
        self.layers.mkdir(parents=True)
        make_root(self.layers)
        self.parent = f"/jc-test-{uuid.uuid4().hex[:8]}"
        self.runtime = OCIRuntime(host, folder / "runtime", cgroup_parent=self.parent)
        self.monitor = Monitor(host.require_conmon(), self.runtime)
        self.containers: list[Container] = []

    @contextmanager
    def mounts(self) -> Iterator[PrivateMounts]:
        """Yield a mount namespace in which the runtime can be started."""
        with PrivateMounts() as mounts:
            if self._prepare is not None:
                self._prepare(mounts)
            yield mounts

    def call(self, function: Callable[P, T], *args: P.args, **flags: P.kwargs) -> T:
        """Return the result of a function that starts the runtime."""
        if self._prepare is None:
            return function(*args, **flags)
        with self.mounts() as mounts:
            return mounts.call(function, *args, **flags)

    def bundle(
        self,
        *command: str,
        config: ExecutionConfig | None = None,
        context: Callable[[ContainerContext], ContainerContext] = lambda value: value,
        **flags: object,
    ) -> tuple[str, Path, Spec, Mount]:
        container_id = uuid.uuid4().hex
        bundle = self.folder / "containers" / container_id
        for name in ("rootfs", "upper", "work"):
            (bundle / name).mkdir(parents=True)
        options = RunOptions.of("busybox", command, **flags)
        config = config or ExecutionConfig()
        made = ContainerContext(
            container_id,
            str(bundle / "rootfs"),
            self.host,
            user=resolve_user(options.user or config.user, PASSWD, GROUP, options.group_add),
            hostname=options.hostname,
            cgroup_path=self.runtime.cgroup_path(container_id),
            default_pids_limit=512,
        )
        spec = runtime_spec(config, options, context(made))
        (bundle / "config.json").write_text(json.dumps(spec))
        mount = Mount(self.layers, ("base",), bundle / "upper", bundle / "work")
        return container_id, bundle, spec, mount

    def create(
        self, *command: str, monitor_flags: dict[str, object] | None = None, **flags: object
    ) -> Container:
        container_id, bundle, spec, mount = self.bundle(*command, **flags)
        keywords: dict[str, object] = {
            "terminal": bool(flags.get("tty")),
            "interactive": bool(flags.get("interactive")),
            **(monitor_flags or {}),
        }
        with self.mounts() as mounts:
            mounts.overlay(mount, bundle / "rootfs")
            state = mounts.call(self.monitor.create, container_id, bundle, **keywords)
        container = Container(self, container_id, bundle, spec, state)
        self.containers.append(container)
        return container

    def run(self, *command: str, stdin: bytes | None = None, **flags: object) -> tuple[int, Output]:
        """Run to the end under a monitor; return exit code and output."""
        output = Output()
        container = self.create(*command, interactive=stdin is not None, **flags)
        with container.attach() as attachment:
            container.start()
            attachment.pump(output, stdin=stdin)
        status = container.wait()
        assert status.code is not None
        self.call(self.runtime.delete, container.id)
        return status.code, output

    def remove_containers(self) -> None:
        for container in self.containers:
            self.call(self.runtime.delete, container.id, force=True)
            if container.state.conmon is not None:
                container.state.conmon.wait(timeout=5)
        self.containers.clear()

    def close(self) -> None:
        self.remove_containers()
        for container_id in self.runtime.container_ids():
            self.call(self.runtime.delete, container_id, force=True)
        cgroups.remove(self.host.cgroups, self.parent)


def open_lab(folder: Path) -> Iterator[Lab]:
    lab = Lab(folder, probe())
    try:
        yield lab
    finally:
        lab.close()


def with_context(**changes: object) -> Callable[[ContainerContext], ContainerContext]:
    return lambda context: replace(context, **changes)
