"""Bootstraps base images without a registry, from the Debian packages of this machine's apt.

``busybox``          the static busybox of the busybox-static package
``debian:SUITE[-slim]`` a minimal Debian through mmdebstrap
``python:X.Y-slim``  Debian's Python with pip, built by a Dockerfile on top of the Debian image
``registry:2``       the registry of Debian's docker-registry package

The same archive state gives the same layer digest: modification times are clamped to the date of
the archive's Release file, and nothing specific to this machine is included.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from email.utils import parsedate_to_datetime
from pathlib import Path

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.images import registry_image
from jupyter_containers.engine.images.catalog import Images
from jupyter_containers.engine.images.recipes import Recipe, recipe_of
from jupyter_containers.engine.interrupts import deferred
from jupyter_containers.engine.work import drain
from jupyter_containers.errors import (
    ContainersError,
    OperationCancelledError,
    UnsupportedError,
)
from jupyter_containers.events import (
    CancelToken,
    EventSink,
    Outcome,
    TaskFinished,
    TaskOutput,
    TaskStarted,
)
from jupyter_containers.lazy_modules import secrets, shutil, subprocess
from jupyter_containers.oci.image import ExecutionConfig, History, rfc3339
from jupyter_containers.oci.reference import Reference
from jupyter_containers.runtime.fake_chown import fake_chown_command
from jupyter_containers.store import ImageRecord

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_EPOCH = 1577836800  # for tools in the chroot; file times come from the archive
_KILL_SECONDS = 5.0
_SLIM = ("/usr/share/doc/*", "/usr/share/man/*", "/usr/share/locale/*", "/usr/share/info/*")


class Bootstrap:
    """Creates base images; ``build`` builds those that are defined by a Dockerfile."""

    def __init__(
        self, context: EngineContext, images: Images, build: Callable[[str, str], ImageRecord]
    ) -> None:
        self._context, self._images, self._build = context, images, build

    def make(self, reference: Reference, emit: EventSink, cancel: CancelToken) -> ImageRecord:
        """Create the image that ``reference`` names; return its record."""
        recipe = recipe_of(reference)
        if recipe.kind == "python":
            base = f"debian:{recipe.suite}-slim"
            if self._images.lookup(base) is None:
                self.make(Reference.parse(base), emit, cancel)
            return self._build(python_dockerfile(base, recipe.python), reference.familiar)
        task, started = reference.familiar, time.monotonic()
        snapshots, key = self._context.store.snapshots, f"bootstrap-{secrets.token_hex(6)}"
        emit(TaskStarted(task, f"bootstrap {task}"))
        try:
            root = snapshots.prepare(key, transient=True)
            if recipe.kind == "busybox":
                epoch = self._busybox(root, task, emit, cancel)
                config = ExecutionConfig(env=(PATH,), cmd=("sh",))
            elif recipe.kind == "registry":
                epoch = self._registry(root, task, emit, cancel)
                config = ExecutionConfig(
                    env=(PATH,),
                    cmd=registry_image.COMMAND,
                    exposed_ports={registry_image.PORT: {}},
                    volumes={registry_image.DATA: {}},
                )
            else:
                epoch = self._debian(root, recipe, task, emit, cancel)
                config = ExecutionConfig(env=(PATH,), cmd=("bash",))
            _leave_mount_points(root)
            with self._context.store.leases.hold() as lease:
                layer = snapshots.commit(
                    key, "", source_date_epoch=epoch, lease=lease, cancel=cancel
                )
                created = rfc3339(epoch)
                step = History(
                    created=created, created_by=f"bootstrap {task}", comment="Debian packages"
                )
                record = self._images.compose(
                    [layer], config, [step], created, reference, lease=lease
                )
        except BaseException as error:
            stopped = isinstance(error, (KeyboardInterrupt, OperationCancelledError))
            outcome: Outcome = "cancelled" if stopped else "failed"
            emit(TaskFinished(task, outcome, seconds=time.monotonic() - started))
            raise
        finally:
            with deferred():
                snapshots.discard(key)
        emit(TaskFinished(task, "done", seconds=time.monotonic() - started))
        return record

    def _debian(
        self, root: Path, recipe: Recipe, task: str, emit: EventSink, cancel: CancelToken
    ) -> int:
        _require("mmdebstrap")
        argv = ["mmdebstrap", "--variant=minbase", "--format=directory", "--skip=cleanup/apt/lists"]
        argv += keyrings()
        if recipe.slim:
            argv += [f"--dpkgopt=path-exclude={pattern}" for pattern in _SLIM]
            argv.append("--dpkgopt=path-include=/usr/share/doc/*/copyright")
        argv += ['--aptopt=Acquire::Languages "none"', recipe.suite, str(root)]
        if self._context.settings.debian_mirror:
            self._context.quotas.check_packages(self._context.settings.debian_mirror)
            argv.append(self._context.settings.debian_mirror)
        _run(self._user_arguments(argv), task, emit, cancel)
        epoch = release_date(root)
        _remove_machine_state(root)
        return epoch

    def _busybox(self, root: Path, task: str, emit: EventSink, cancel: CancelToken) -> int:
        program = Path("/bin/busybox")
        if not _is_static(program):
            extracted = self._extract("busybox-static", root, task, emit, cancel)
            found = [extracted / name for name in ("bin/busybox", "usr/bin/busybox")]
            program = next(path for path in found if path.exists())
        return busybox_root(root, program)

    def _registry(self, root: Path, task: str, emit: EventSink, cancel: CancelToken) -> int:
        source = Path("/")
        if not (source / registry_image.PROGRAM).exists():
            source = self._extract("docker-registry,libc6", root, task, emit, cancel)
        return registry_image.registry_root(root, source)

    def _extract(
        self, packages: str, root: Path, task: str, emit: EventSink, cancel: CancelToken
    ) -> Path:
        """Return a folder beside ``root`` with Debian packages, extracted but not installed."""
        _require("mmdebstrap")
        extracted = root.with_name("extracted")
        argv = ["mmdebstrap", "--variant=extract", f"--include={packages}", *keyrings()]
        _run(self._user_arguments([*argv, "bookworm", str(extracted)]), task, emit, cancel)
        return extracted

    def _user_arguments(self, argv: list[str]) -> list[str]:
        """Return the arguments for a tool that assigns files to users who may not exist here."""
        if self._context.host.users.size > 1:
            return argv
        # The tool's own /dev/pts belongs to a group that may not exist.
        return fake_chown_command([argv[0], *_DEVICES_OF_ONE_USER, *argv[1:]])


def keyrings(root: Path = Path("/")) -> list[str]:
    """Return mmdebstrap's arguments for Debian's keys if apt does not have them, as on Ubuntu."""
    trusted = root / "etc/apt/trusted.gpg.d"
    debian = root / "usr/share/keyrings/debian-archive-keyring.gpg"
    if not debian.exists() or any(trusted.glob("debian-archive-*")):
        return []
    return [f"--keyring={place}" for place in (trusted, debian) if place.exists()]


def python_dockerfile(base: str, version: str) -> str:
    """Return the Dockerfile of ``python:VERSION-slim`` on Debian."""
    return f"""\
FROM {base}
ENV LANG=C.UTF-8 PIP_ROOT_USER_ACTION=ignore PYTHON_VERSION={version}
RUN apt-get update \\
 && apt-get install -y --no-install-recommends ca-certificates python3 python3-pip \\
 && rm -f /usr/lib/python{version}/EXTERNALLY-MANAGED \\
 && ln -s python3 /usr/bin/python \\
 && rm -rf /var/lib/apt/lists/* /var/cache/* /var/log/*
CMD ["python3"]
"""


def busybox_root(root: Path, program: Path) -> int:
    """Create a root file system around a static busybox; return the program's mtime."""
    folders = (
        "bin",
        "dev",
        "etc",
        "home",
        "proc",
        "root",
        "sys",
        "tmp",
        "usr",
        "usr/bin",
        "usr/sbin",
        "var",
        "var/www",
        "lib",
        "sbin",
    )
    root.chmod(0o755)
    for folder in folders:
        (root / folder).mkdir()
        (root / folder).chmod(0o755)
    (root / "tmp").chmod(0o1777)
    (root / "root").chmod(0o700)
    shutil.copyfile(program, root / "bin/busybox")
    (root / "bin/busybox").chmod(0o755)
    applets = subprocess.run([program, "--list"], capture_output=True, text=True, check=True).stdout
    for applet in applets.split():
        if applet != "busybox":
            (root / "bin" / applet).symlink_to("busybox")
    (root / "usr/bin/env").symlink_to("../../bin/busybox")
    files = {
        "etc/passwd": "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\n"
        "www-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n",
        "etc/group": "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n",
        "etc/nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\n",
    }
    for name, text in files.items():
        (root / name).write_text(text)
        (root / name).chmod(0o644)
    return int(program.stat().st_mtime)


def release_date(root: Path) -> int:
    """Return the date (seconds since the epoch) of the newest Release file that apt read."""
    dates = [
        parsedate_to_datetime(line.removeprefix("Date:").strip()).timestamp()
        for path in (root / "var/lib/apt/lists").glob("*Release")
        for line in path.read_text(errors="replace").splitlines()
        if line.startswith("Date:")
    ]
    return int(max(dates, default=_EPOCH))


def _remove_machine_state(root: Path) -> None:
    for pattern in (
        "var/lib/apt/lists/*",
        "var/cache/apt/*",
        "var/cache/ldconfig/*",
        "var/log/*",
        "run/*",
        "tmp/*",
        "dev/*",
    ):
        for path in root.glob(pattern):
            if path.is_dir() and not path.is_symlink():
                shutil.rmtree(path)
            else:
                path.unlink()
    (root / "var/lib/apt/lists/partial").mkdir(parents=True, exist_ok=True)
    for name in ("etc/machine-id", "var/lib/dbus/machine-id"):
        (root / name).unlink(missing_ok=True)
    # A layer never installs its packages again: keep no archives and no translations.
    (root / "etc/apt/apt.conf.d/99containers").write_text(
        'APT::Keep-Downloaded-Packages "false";\nAcquire::Languages "none";\n'
    )


def _leave_mount_points(root: Path) -> None:
    """Leave empty files at the runtime's mount points, so that no later layer adds them."""
    for name in ("etc/hostname", "etc/hosts", "etc/resolv.conf"):
        (root / name).unlink(missing_ok=True)
        (root / name).write_bytes(b"")
        (root / name).chmod(0o644)


def _require(program: str) -> None:
    if shutil.which(program) is None:
        raise UnsupportedError(
            f"{program} is not installed here",
            capability=program,
            provided_by=f"apt-get install {program}",
        )


def _is_static(program: Path) -> bool:
    if not program.is_file():
        return False
    header = program.read_bytes()[:4096]
    return b"ld-linux" not in header and b"/lib64/ld" not in header


_DEVICES_OF_ONE_USER = (
    "--skip=chroot/mount/dev",
    '--extract-hook=mkdir -p "$1/dev"; for name in null zero full random urandom tty; do'
    ' : > "$1/dev/$name"; mount --bind "/dev/$name" "$1/dev/$name"; done',
)
# The tool gets its own process and mount namespaces: they end with all their processes when it is
# killed or when this process dies, and the host sees none of its mounts.
_CONFINED = (
    *("setpriv", "--pdeathsig=KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child=KILL", "--mount-proc"),
)


def _run(argv: list[str], task: str, emit: EventSink, cancel: CancelToken) -> None:
    """Run a tool and report its output as events; an interrupt or cancel ends its processes."""
    environ = {**os.environ, "SOURCE_DATE_EPOCH": str(_EPOCH), "LC_ALL": "C.UTF-8"}
    tail: list[str] = []
    process = subprocess.Popen(
        [*_CONFINED, *argv],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environ,
        start_new_session=True,
    )
    given_up = threading.Event()

    def forward() -> None:
        assert process.stdout is not None
        with process.stdout:
            for line in process.stdout:
                if not given_up.is_set():
                    emit(TaskOutput(task, line))
                if text := line.decode("utf-8", "replace").strip():
                    tail.append(text)
                    del tail[:-20]

    reader = threading.Thread(target=forward, daemon=True)
    reader.start()
    try:
        drain(reader, cancel)
    except BaseException:
        with deferred():
            given_up.set()
            process.kill()
            reader.join(_KILL_SECONDS)  # the pipe closes with the last process that holds it
            process.wait()
        raise
    if process.wait() != 0:
        raise failure(argv[0], process.returncode, tail)


def failure(tool: str, code: int, tail: list[str]) -> ContainersError:
    """Return the error for a tool that failed; ``tail`` are its last lines."""
    if any("NO_PUBKEY" in line for line in tail):
        return ContainersError(
            f"{tool} does not know the keys of Debian's archive",
            hint="as root: apt-get install debian-archive-keyring",
        )
    # apt's first error is the cause; the later ones follow from it.
    reasons = [line for line in tail if line.startswith("E: ")]
    reason = (reasons or tail or [""])[0 if reasons else -1]
    return ContainersError(
        f"{tool} failed with exit code {code}: {reason.removeprefix('E: ')}",
        hint="its last lines: " + " / ".join(tail[-4:-1]),
    )
