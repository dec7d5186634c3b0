"""The files by which a container knows names: ``hosts``, ``hostname`` and ``resolv.conf``.

A container may write into them as much as it likes, so they are on no disk of the host: each has
them in a file system in memory with room for little (:data:`SIZE`), mounted in the container's
private mount namespace on the folder ``names`` of its bundle.  The engine that starts the container
writes them there; other engines reach them by the root directory of its monitor, which is in that
namespace.  They end with the container.
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

# Of all three together: some twenty thousand containers on one network.
SIZE = 1024 * 1024
_OPTIONS = f"size={SIZE},nr_inodes=16,mode=755,nosuid,nodev,noexec"


def mount_names(mounts: PrivateMounts, bundle: Bundle, label: str = "") -> None:
    """Give a starting container (or a build step) an empty place for its files.

    ``label`` is an option of mount(8) that gives them their SELinux label.
    """
    bundle.names.mkdir(exist_ok=True)
    mounts.tmpfs(bundle.names, _OPTIONS, label)


def share_names(
    mounts: PrivateMounts, bundle: Bundle, target: ContainerRecord, folder: Path
) -> None:
    """Show a starting container the files of one whose network it joins.

    ``folder`` is the place of those.  Raises :class:`InvalidStateError` when its monitor is gone.
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

    The caller closes it.  Raises :class:`FileNotFoundError` for a container that does not run.
    The monitor is looked up by number, and its number may have gone to a process of some container;
    so no link is followed, and anything but a regular file counts as none.
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
    """Return a path by which the host sees one of the files while the container runs."""
    return f"/proc/{monitor.pid}/root{folder}/names/{name}" if monitor else ""
