"""The name files of a container: ``hosts``, ``hostname`` and ``resolv.conf``.

A container can write any amount of data into them, so they are not on a disk of the host: each
container has a small tmpfs (:data:`SIZE`) for them, mounted in its private mount namespace on the
folder ``names`` of its bundle.  The engine that starts the container writes them there; other
engines reach them through the root directory of its monitor, which is in that namespace.  They
disappear with the container.
"""

from __future__ import annotations

import os
import stat
from pathlib import Path

from jupyter_containers.engine.bundle import Bundle
from jupyter_containers.engine.records import ContainerRecord
from jupyter_containers.errors import InvalidStateError
from jupyter_containers.runtime.mounts import PrivateMounts
from jupyter_containers.runtime.process import ProcessIdentity
from jupyter_containers.trees.rooted import Root

# For all three files: enough for some twenty thousand containers on one network.
SIZE = 1024 * 1024
_OPTIONS = f"size={SIZE},nr_inodes=16,mode=755,nosuid,nodev,noexec"


def mount_names(mounts: PrivateMounts, bundle: Bundle, label: str = "") -> None:
    """Mount an empty file system for the name files of a starting container or build step.

    ``label`` is an option of mount(8) that sets the SELinux label.
    """
    bundle.names.mkdir(exist_ok=True)
    mounts.tmpfs(bundle.names, _OPTIONS, label)


def share_names(
    mounts: PrivateMounts, bundle: Bundle, target: ContainerRecord, folder: Path
) -> None:
    """Mount another container's name files in a starting one that joins its network.

    ``folder`` is where they are mounted.  Raises :class:`InvalidStateError` if its monitor is gone.
    """
    bundle.names.mkdir(exist_ok=True)
    monitor = target.state.monitor
    if monitor is None or not monitor.alive or not folder.is_dir():
        raise InvalidStateError(
            f"cannot share the host names of container {target.name}",
            status=str(target.state.status),
            operation="join",
            hint=f"start it again: restart {target.name}",
        )
    mounts.graft(monitor.pid, str(folder), bundle.names)


def open_hosts(folder: str) -> int:
    """Return a descriptor of the hosts file of the container whose bundle is in ``folder``.

    The caller closes it.  Raises :class:`FileNotFoundError` for a container that does not run.  The
    monitor is found by its process ID, which may have been reused by a process of some container;
    so no link is followed, and only a regular file is accepted.
    """
    with open(f"{folder}/conmon.pid", "rb") as file:
        pid = int(file.read(20) or b"0")
    names = tuple(part for part in os.fsencode(f"{folder}/names/hosts").split(b"/") if part)
    try:
        with Root(f"/proc/{pid}/root") as root:
            descriptor = root.open(names, os.O_RDWR | os.O_NONBLOCK | os.O_NOCTTY, links=False)
    except OSError as error:
        raise FileNotFoundError(error.errno, error.strerror, folder) from error
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise FileNotFoundError(folder)
    return descriptor


def shown_path(folder: Path, monitor: ProcessIdentity | None, name: str) -> str:
    """Return the host's path of one of the files of a running container."""
    return f"/proc/{monitor.pid}/root{folder}/names/{name}" if monitor else ""
