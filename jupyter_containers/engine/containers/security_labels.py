"""Applies the host's security modules: loads the profile, labels binds."""

from __future__ import annotations

import errno
import os
import stat
from pathlib import Path

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import MountRecord
from jupyter_containers.errors import InvalidArgumentError, StorageError
from jupyter_containers.lazy_modules import subprocess
from jupyter_containers.options import RunOptions
from jupyter_containers.runtime.confinement import (
    NO_LABELS,
    PROFILE,
    Labels,
    labels_of,
    profile_is_loaded,
    profile_of,
    shared_label,
)
from jupyter_containers.runtime.host import HostCapabilities, find_program
from jupyter_containers.runtime.security import security_options
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root

_ATTRIBUTE = "security.selinux"
# A different label on these would break the host itself.
_NEVER = ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run")
_NEVER_TOO = ("/sbin", "/srv", "/sys", "/tmp", "/usr", "/var")  # refused
_OF_CONTAINER = "container:"


def labels_for(context: EngineContext, options: RunOptions, container_id: str) -> Labels:
    """Return a container's labels for the host's security modules; load the profile if possible."""
    modules = context.host.modules
    if not (modules.apparmor or modules.selinux):
        return NO_LABELS
    security = security_options(options.security_opt, privileged=options.privileged)
    own = not security.apparmor and not options.privileged
    loaded = modules.apparmor and own and (profile_is_loaded() or load_profile(context.host))
    profile = profile_of(security.apparmor, modules, privileged=options.privileged, loaded=loaded)
    joined = next(
        (
            context.containers.find(mode.removeprefix(_OF_CONTAINER))
            for mode in (options.ipc, options.pid)
            if mode.startswith(_OF_CONTAINER)
        ),
        None,
    )
    shared = options.privileged or "host" in (options.pid, options.ipc)
    labelled = labels_of(
        security.labels, modules, joined.id if joined else container_id, shared=shared
    )
    return Labels(profile, *labelled)


def load_profile(host: HostCapabilities) -> bool:
    """Load the engine's profile into the kernel; return whether it is loaded."""
    parser = find_program("apparmor_parser")
    if not parser or not host.users.initial or os.geteuid() != 0:
        return False
    command = [parser, "--replace", "--skip-cache"]
    done = subprocess.run(command, input=PROFILE.encode(), capture_output=True, check=False)
    return done.returncode == 0


def relabel(context: EngineContext, mounts: tuple[MountRecord, ...], labels: Labels) -> None:
    """Label the folders of ``:z`` and ``:Z`` and named volumes for use by the container.

    Does nothing if SELinux is off or the container has no label.  Raises
    :class:`InvalidArgumentError` for a system folder.
    """
    if not labels.mount:
        return
    everybody = shared_label(context.host.modules)
    for mount in mounts:
        label = labels.mount if mount.relabel == "Z" else everybody
        if mount.type == "bind" and not mount.relabel:
            continue
        if mount.type == "tmpfs":
            continue
        if mount.source in (*_NEVER, *_NEVER_TOO):
            raise InvalidArgumentError(
                f"SELinux relabeling of {mount.source} is not allowed",
                hint="mount a folder below it, or use --security-opt label=disable",
            )
        label_tree(Path(mount.source), label)


def label_tree(path: Path, label: str) -> None:
    """Set the label of a file, or of a folder and its contents; follow no links."""
    value = label.encode() + b"\0"
    try:
        with Root(path.parent) as root:
            _label_entry(root.descriptor, path.name, value)
    except OSError as error:
        raise StorageError(f"cannot label {path}: {error.strerror}") from error


def _label_entry(directory: int, name: str, value: bytes) -> None:
    status = at.look(directory, name)
    if status is None:
        return  # it has been removed
    try:
        at.setxattr(directory, name, _ATTRIBUTE, value)
    except OSError as error:
        if error.errno not in (errno.ENOENT, errno.ENOTSUP):
            raise
        return  # gone, or a file system without labels
    if stat.S_ISDIR(status.st_mode):
        with at.folder(directory, name) as inner:
            for entry in at.names(inner):
                _label_entry(inner, entry, value)
