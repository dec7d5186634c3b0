"""Security modules of the host, applied: the profile is loaded, binds are given their label."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
from pathlib import Path

from jupyter_containers.engine.context import EngineContext
from jupyter_containers.engine.records import MountRecord
from jupyter_containers.errors import InvalidArgumentError, StorageError
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
# Another label on these would stop the host itself.
_NEVER = ("/", "/bin", "/boot", "/dev", "/etc", "/home", "/lib", "/lib64", "/proc", "/root", "/run")
_NEVER_TOO = ("/sbin", "/srv", "/sys", "/tmp", "/usr", "/var")  # refused
_OF_CONTAINER = "container:"


def labels_for(context: EngineContext, options: RunOptions, container_id: str) -> Labels:
    """Return what the host's security modules give a container; loads the profile where it can."""
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
    """Give the kernel the engine's profile; return whether it has it now."""
    parser = find_program("apparmor_parser")
    if not parser or not host.users.initial or os.geteuid() != 0:
        return False
    command = [parser, "--replace", "--skip-cache"]
    done = subprocess.run(command, input=PROFILE.encode(), capture_output=True, check=False)
    return done.returncode == 0


def relabel(context: EngineContext, mounts: tuple[MountRecord, ...], labels: Labels) -> None:
    """Give the folders of ``:z`` and ``:Z``, and named volumes, a label that the container may use.

    Nothing happens where SELinux is off, or the container has no label.  Raises
    :class:`InvalidArgumentError` for a folder of the system.
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
                f"{mount.source} is given no other SELinux label",
                hint="mount a folder below it, or use --security-opt label=disable",
            )
        label_tree(Path(mount.source), label)


def label_tree(path: Path, label: str) -> None:
    """Set the label of a file or of a folder with all that is in it; no link is followed."""
    value = label.encode() + b"\0"
    try:
        with Root(path.parent) as root:
            _label_entry(root.descriptor, path.name, value)
    except OSError as error:
        raise StorageError(f"cannot label {path}: {error.strerror}") from error


def _label_entry(directory: int, name: str, value: bytes) -> None:
    status = at.look(directory, name)
    if status is None:
        return  # it went away meanwhile
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
