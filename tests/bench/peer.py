"""The peers: Debian's docker.io, a daemon of our own, and podman, each in one folder."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType

CLIENT, DAEMON = "/usr/bin/docker", "/usr/sbin/dockerd"
CGROUP = "jupyter-containers-bench"


class Docker:
    """A running dockerd and its command line; ends with its ``with`` block.

    ``flags`` are further ones of the daemon (``--bridge=none`` beside a host's own engine).
    ``chroot`` is the root of another Debian whose Docker it is; ``folder`` is below /tmp then,
    which that root sees.
    """

    def __init__(self, folder: Path, *flags: str, chroot: Path | None = None) -> None:
        self._folder = folder
        self._enter = ["chroot", str(chroot)] if chroot else []
        self._flags = flags
        self._daemon: subprocess.Popen[bytes] | None = None
        self.environment = {
            "PATH": "/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME": str(folder),
            "DOCKER_CONFIG": str(folder / "client"),
            "DOCKER_HOST": f"unix://{folder / 'docker.sock'}",
        }

    def __enter__(self) -> Docker:
        self._folder.mkdir(parents=True)
        (self._folder / "daemon.json").write_text("{}")
        # In a separate mount namespace, so that its mounts end with it.
        argv = ["unshare", "--mount", *self._enter, DAEMON]
        argv += ["--config-file", str(self._folder / "daemon.json")]
        argv += ["--data-root", str(self._folder / "data")]
        argv += ["--exec-root", str(self._folder / "exec")]
        argv += ["--pidfile", str(self._folder / "pid"), "-H", self.environment["DOCKER_HOST"]]
        argv += ["--cgroup-parent", f"/{CGROUP}", *self._flags]
        with open(self._folder / "log", "wb") as log:
            self._daemon = subprocess.Popen(
                argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        try:
            self._await()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop()

    def _await(self) -> None:
        assert self._daemon is not None
        deadline = time.monotonic() + 30
        while self._daemon.poll() is None and time.monotonic() < deadline:
            if self._client(["version"]).returncode == 0:
                return
            time.sleep(0.1)
        said = (self._folder / "log").read_text(errors="replace")[-2000:]
        raise RuntimeError(f"dockerd does not answer:\n{said}")

    def _stop(self) -> None:
        daemon, self._daemon = self._daemon, None
        if daemon is None:
            return
        daemon.send_signal(signal.SIGTERM)
        try:
            daemon.wait(20)
        except subprocess.TimeoutExpired:
            daemon.kill()
            daemon.wait()

    def _client(
        self, arguments: Sequence[str], **environment: str
    ) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(
            [*self._enter, CLIENT, *arguments],
            env={**self.environment, **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
        )

    def __call__(self, *arguments: str, **environment: str) -> str:
        """Return the command's output; raise RuntimeError if it failed."""
        done = self._client(arguments, **environment)
        if done.returncode != 0:
            said = (done.stderr + done.stdout).decode(errors="replace")[-2000:]
            raise RuntimeError(f"docker {' '.join(arguments)} failed:\n{said}")
        return done.stdout.decode(errors="replace").strip()


class Podman:
    """Debian's podman with everything in one folder; it has no daemon."""

    def __init__(self, folder: Path) -> None:
        # With the same runtime as the others: crun, its own choice, also refuses hybrid cgroups.
        places = ("--root", str(folder / "root"), "--runroot", str(folder / "run"))
        self._options = (*places, "--runtime", "runc")

    def __call__(self, *arguments: str) -> str:
        """Return the command's output; raise RuntimeError if it failed."""
        done = subprocess.run(
            ["podman", *self._options, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        if done.returncode != 0:
            raise RuntimeError(f"podman {' '.join(arguments)} failed:\n{done.stderr[-2000:]}")
        return done.stdout.strip()


def remove_cgroups(parent: str) -> None:
    """Remove the empty cgroup ``parent`` (below which containers were) from every hierarchy."""
    for base in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").iterdir()]:
        folder = base / parent.strip("/")
        for path, _, _ in os.walk(folder, topdown=False):
            with contextlib.suppress(OSError):
                os.rmdir(path)
