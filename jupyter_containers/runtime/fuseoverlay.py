"""Overlay mounts by the program fuse-overlayfs, where the kernel's own do not work.

The program serves the mount from a process, which must live exactly as long as the mount. It mounts
in its own mount namespace; the mount is moved into the container's
(:meth:`.mounts.PrivateMounts.graft`) and removed from the first.  From then on only the container's
namespace has it, and when that ends the kernel closes the connection and the program ends.  Until
the mount is moved, a shell beside the program ends it if this process dies.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from jupyter_containers.errors import StorageError
from jupyter_containers.lazy_modules import shutil, subprocess, tempfile
from jupyter_containers.oci.mount import Mount
from jupyter_containers.runtime.mounts import PrivateMounts, is_mounted, unmount

PROGRAM = "fuse-overlayfs"
_DEVICE = "/dev/fuse"
_PATIENCE_SECONDS = 10.0
_BESIDE = '"$@" </dev/null >/dev/null & echo $!; exec 2>/dev/null; read taken || kill $!'


def missing() -> str:
    """Return the missing requirement, or an empty text."""
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} is not installed"
    if not os.access(_DEVICE, os.R_OK | os.W_OK):
        return f"{_DEVICE} cannot be opened"
    return ""


@contextmanager
def serve_mount(mount: Mount, target: Path) -> Iterator[int]:
    """Yield a process that has the mount at ``target``; move the mount before the block ends.

    Raises :class:`StorageError` if the program does not mount it.
    """
    with PrivateMounts() as own, tempfile.TemporaryFile() as errors:
        process = own.call(
            subprocess.Popen,
            ["sh", "-c", _BESIDE, "sh", PROGRAM, "-f", "-o", _options(mount), str(target)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            start_new_session=True,
        )
        with process:
            assert process.stdin is not None
            assert process.stdout is not None
            server = int(process.stdout.readline())
            deadline = time.monotonic() + _PATIENCE_SECONDS
            while not own.call(is_mounted, target, "fuse"):
                if not os.path.exists(f"/proc/{server}/ns/mnt") or time.monotonic() > deadline:
                    errors.seek(0)
                    said = errors.read(500).decode("utf-8", "replace").strip()
                    raise StorageError(f"{PROGRAM} cannot mount the layers: {said or 'no reason'}")
                time.sleep(0.002)
            yield server
            own.call(unmount, target)
            process.stdin.write(b"taken\n")


def _options(mount: Mount) -> str:
    lowers = ":".join(_escaped(f"{mount.base}/{name}") for name in mount.lowers)
    options = [f"lowerdir={lowers}"]
    if mount.upper is not None:
        options += [
            f"upperdir={_escaped(str(mount.upper))}",
            f"workdir={_escaped(str(mount.work))}",
        ]
    return ",".join(options)


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace(",", "\\,").replace(":", "\\:")
