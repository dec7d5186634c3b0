"""Mounts inside other mounts, made without a path through a tree that others change.

A *nested* mount has its target below that of a bind.  The runtime would look up the target, or
create it, by a path in a tree that another container may share; runc before 1.1.14 then follows a
link that appears in between (CVE-2024-45310).  So nested mounts, and the mounts that contain them,
are *composed*: mounted on the root file system before the runtime begins, each on a descriptor of
its target.  The runtime binds the root with all mounts below it.

Mounts that only the runtime can make (``/proc``, ``/sys``, ``/dev/pts`` …), and everything inside
them, are left to it.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from jupyter_containers.errors import ContainersError, InvalidArgumentError
from jupyter_containers.runtime.mounts import PROPAGATIONS, PrivateMounts, make_place
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root, split

RuntimeMount = Mapping[str, Any]  # of a runtime specification
_COMPOSED = ("bind", "tmpfs")


def compose(
    wanted: Sequence[RuntimeMount], rootfs: Path, places: Path, mounts: PrivateMounts
) -> list[RuntimeMount]:
    """Mount nested mounts on ``rootfs``; return the mounts that are left to the runtime.

    Call it in the private mount namespace; ``places`` is a folder that no container can reach.
    Raises :class:`ContainersError`.
    """
    if not any(_holds_others(mount) for mount in wanted):
        return list(wanted)
    with Root(rootfs) as root:
        composed = nested(wanted, root)
        for number in sorted(composed):
            mount = wanted[number]
            place = _prepare(mount, places / f"n{number}", mounts)
            attach(place, root, mount["destination"], mounts)
    return [mount for number, mount in enumerate(wanted) if number not in composed]


def nested(wanted: Sequence[RuntimeMount], root: Root) -> frozenset[int]:
    """Return the indexes of the mounts to compose: nested ones and those that contain them."""
    found: set[int] = set()
    targets: dict[str, int] = {}
    resolve = lru_cache(maxsize=None)(root.resolve)  # /etc is above several targets
    for number, mount in enumerate(wanted):
        target, above = _place(resolve, mount, targets)
        kinds = {wanted[outer]["type"] for outer in above} | {mount["type"]}
        inside_bind = any(_holds_others(wanted[outer]) for outer in above)
        if inside_bind and kinds.issubset(_COMPOSED):
            found |= {number, *above}
        targets[target] = number
    return frozenset(found)


def _place(
    resolve: Callable[[str], str], mount: RuntimeMount, targets: Mapping[str, int]
) -> tuple[str, frozenset[int]]:
    """Return the path of a target in the root, and the earlier mounts that contain it.

    Links of the image are resolved; the contents of other mounts are not read.
    """
    if mount["type"] not in _COMPOSED:
        return mount["destination"].strip("/"), frozenset()
    parts = [part for part in mount["destination"].split("/") if part]
    here, above = "", set[int]()
    for count, part in enumerate(parts, 1):
        here = f"{here}/{part}" if above else resolve(f"{here}/{part}")
        above |= {
            number
            for target, number in targets.items()
            if here.startswith(f"{target}/") or (here == target and count < len(parts))
        }
    return here, frozenset(above)


def _holds_others(mount: RuntimeMount) -> bool:
    return mount["type"] == "bind" and os.path.isdir(mount["source"])


def _prepare(mount: RuntimeMount, place: Path, mounts: PrivateMounts) -> Path:
    """Mount something with all its options on a mount point of the engine."""
    words = list(mount["options"])
    propagation = [word for word in words if word in PROPAGATIONS]
    recursive_lock = "rro" in words
    plain = ",".join(word for word in words if word not in PROPAGATIONS and word != "rro")
    folder = mount["type"] != "bind" or os.path.isdir(mount["source"])
    make_place(place, folder=folder)
    mounts.device("" if mount["type"] == "bind" else "tmpfs", mount["source"], place, plain)
    for word in propagation:
        mounts.propagate(place, word)
    if recursive_lock:
        mounts.lock_below(place)
    return place


def attach(place: Path, root: Root, target: str, mounts: PrivateMounts) -> None:
    """Bind a prepared mount to ``target`` of a root; create the mount point if it is missing.

    Call it in the private mount namespace.  Raises :class:`ContainersError`, also if a directory of
    the target is replaced by a link at this moment.
    """
    try:
        descriptor = _mount_point(root, target, folder=place.is_dir())
    except OSError as error:
        raise _unreachable(target, error) from error
    try:
        mounts.bind(place, Path(at.path_of(descriptor)))
    finally:
        os.close(descriptor)


def _mount_point(root: Root, target: str, *, folder: bool) -> int:
    if folder:
        canonical = root.make_folders(target, 0o755, 0, 0)
        return root.open_directory(split(os.fsencode(canonical)), links=False)
    root.make_folders(posixpath.dirname(target), 0o755, 0, 0)
    with root.place(root.resolve(target)) as (directory, name):
        if at.look(directory, name) is None:
            with suppress(FileExistsError):
                os.close(at.create(directory, name, 0o755))
        descriptor = at.open_path(directory, name)
    if stat.S_ISLNK(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), target)
    return descriptor


def _unreachable(target: str, error: OSError) -> ContainersError:
    return InvalidArgumentError(
        f"cannot make the mount point {target}: {error.strerror}",
        hint="it is inside another mount: check what is at that path there"
        + (", or mount that for writing" if error.errno == errno.EROFS else ""),
    )
