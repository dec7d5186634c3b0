"""Checks mount targets and working directories: none may be inside the runtime's folders.

Vocabulary: the *places* are ``/dev``, ``/proc`` and ``/sys``.  The runtime mounts its own file
systems there, creates devices and masks files of the kernel by mounting ``/dev/null`` on them.
Control over the contents of these folders is control over the masking (the class of
CVE-2025-31133), and an image in which a place is a link makes old runtimes write to the link's
target on the host.

Allowed are the mounts that users of Docker make: anything below ``/dev`` except the runtime's own
names, binds of the host's own object at the same path (``/dev``, ``/sys/fs/cgroup``), of device
nodes, of a file on one of the files of ``/proc`` that runc allows, and a tmpfs below ``/sys``.
Links of the image are followed up to a place; the rest belongs to the runtime, not the image.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root

_PLACES = ("dev", "proc", "sys")
_MOST_LINKS = 40
# The runtime creates these in /dev, and uses them to mask files or to open a terminal.
_OF_THE_RUNTIME = {
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "fd", "stdin",
    "stdout", "stderr", "core",
}  # fmt: skip
# Files that lxcfs and similar programs replace (runc, "checkProcMount").
_FILES_OF_PROC = {
    "cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """A requested mount; ``source`` is a path of the host, empty for a tmpfs."""

    target: str
    source: str = ""


def check_target(wish: Wish) -> None:
    """Raise :class:`InvalidArgumentError` for a mount whose target is in a place."""
    _check(tuple(posixpath.normpath("/" + wish.target).strip("/").split("/")), wish)


def check_targets(root: Root, wishes: tuple[Wish, ...]) -> None:
    """Raise :class:`InvalidArgumentError` for a mount that the image's links lead to a place.

    Also for an image in which a place is not a plain folder.
    """
    for place in _PLACES:
        status = at.look(root.descriptor, place)
        if status is not None and not stat.S_ISDIR(status.st_mode):
            kind = "a link" if stat.S_ISLNK(status.st_mode) else "no folder"
            raise InvalidArgumentError(
                f"/{place} of the image is {kind}",
                hint=f"in an image /{place} is an empty folder or nothing",
            )
    for wish in wishes:
        check_target(wish)
        _check(resolve_target(root, wish.target), wish)


def check_folder(root: Root | None, path: str) -> None:
    """Raise :class:`InvalidArgumentError` for a working directory that is a process's descriptor.

    Without a root, only the path as written is checked.
    """
    found = [tuple(posixpath.normpath("/" + path).strip("/").split("/"))]
    if root is not None:
        found.append(resolve_target(root, path))
    for parts in found:
        of_process = parts[0] == "proc" and len(parts) > 2
        if (of_process and _is_process(parts[1])) or parts[:2] == ("dev", "fd"):
            raise InvalidArgumentError(
                f"{path} cannot be the working directory: it belongs to a process",
                hint="choose a folder of the image, such as /",
            )


def resolve_target(root: Root, path: str) -> tuple[str, ...]:
    """Return the parts that ``path`` resolves to when the container runs.

    The image's links are followed, but none inside a place: its present contents will be covered. A
    path that leaves a place again by ``..`` counts as that place.
    """
    pending = [part for part in path.split("/") if part not in ("", ".")][::-1]
    done: list[str] = []
    followed = 0
    while pending:
        name = pending.pop()
        if name == "..":
            if done and done[0] in _PLACES:
                return (done[0],)
            del done[-1:]
            continue
        target = "" if done and done[0] in _PLACES else _link(root, done, name)
        if not target:
            done.append(name)
            continue
        followed += 1
        if followed > _MOST_LINKS:
            raise InvalidArgumentError(f"{path}: {os.strerror(errno.ELOOP)}")
        if target.startswith("/"):
            done = []
        pending.extend(part for part in target.split("/")[::-1] if part not in ("", "."))
    return tuple(done) or ("",)


def _link(root: Root, folders: list[str], name: str) -> str:
    """Return the target of a link of the image; empty for any other entry."""
    try:
        with root.place("/".join([*folders, name])) as (directory, last):
            return os.fsdecode(at.readlink(directory, last))
    except (OSError, ValueError):
        return ""


def _check(parts: tuple[str, ...], wish: Wish) -> None:
    if parts == ("",):
        raise _target_error(wish, "it would hide the whole image")
    if parts[0] not in _PLACES or _is_same_path(parts, wish) or _allowed(parts, wish):
        return
    raise _target_error(wish, f"/{'/'.join(parts[:2])} belongs to the runtime")


def _is_same_path(parts: tuple[str, ...], wish: Wish) -> bool:
    """Return whether it binds the host's own object at that path; not below /proc."""
    if not wish.source or (parts[0] == "proc" and len(parts) > 1):
        return False
    own = os.path.realpath(f"/{'/'.join(parts)}")
    return own.startswith(f"/{parts[0]}") and os.path.realpath(wish.source) == own


def _allowed(parts: tuple[str, ...], wish: Wish) -> bool:
    if len(parts) == 1:
        return False
    if parts[0] == "dev":
        return parts[1] not in _OF_THE_RUNTIME or (len(parts) == 2 and _is_device(wish.source))
    if parts[0] == "sys":
        return not wish.source or os.path.realpath(wish.source).startswith("/sys/")
    return len(parts) == 2 and parts[1] in _FILES_OF_PROC and os.path.isfile(wish.source)


def _is_device(source: str) -> bool:
    try:
        return bool(source) and stat.S_ISCHR(os.stat(source).st_mode)
    except OSError:
        return False


def _is_process(name: str) -> bool:
    return name in ("self", "thread-self") or name.isdigit()


def _target_error(wish: Wish, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"cannot mount on {wish.target}: {reason}",
        hint="mount it elsewhere, such as /data; use --device for devices",
    )
