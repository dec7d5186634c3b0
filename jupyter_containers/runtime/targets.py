"""Where in a container something may be mounted or begin: not in the places of the runtime.

Vocabulary: the *places* are ``/dev``, ``/proc`` and ``/sys``.  The runtime mounts its own file
systems there, makes devices and hides files of the kernel by mounting ``/dev/null`` on them.
Whoever decides what is in these folders decides what is hidden (the class of CVE-2025-31133), and
an image in which a place is a link to somewhere has old runtimes write to that place of the host.

Allowed is what users of Docker do: anything below ``/dev`` that is not one of the runtime's own
names, binds of what the host itself has at the same place (``/dev``, ``/sys/fs/cgroup``), of device
nodes, of a file on one of the files of ``/proc`` that runc allows, and a tmpfs below ``/sys``.
Image links are followed as far as a place; what is behind it is the runtime's, not the image's.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from dataclasses import dataclass

from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.trees import at
from jupyter_containers.trees.rooted import Root

_PLACES = ("dev", "proc", "sys")
_MOST_LINKS = 40
# What the runtime makes in /dev, and looks at when it hides files or opens a terminal.
_OF_THE_RUNTIME = {
    "null", "zero", "full", "random", "urandom", "tty", "console", "ptmx", "pts", "fd", "stdin",
    "stdout", "stderr", "core",
}  # fmt: skip
# Those that lxcfs and its like give other contents (runc, "checkProcMount").
_FILES_OF_PROC = {
    "cpuinfo", "diskstats", "loadavg", "meminfo", "slabinfo", "stat", "swaps", "uptime",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wish:
    """A mount that somebody asked for; ``source`` is a path of the host, empty for a tmpfs."""

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
        _check(led_to(root, wish.target), wish)


def check_folder(root: Root | None, path: str) -> None:
    """Raise :class:`InvalidArgumentError` for a working directory that is a process's descriptor.

    Without a root only the path as it is written is looked at.
    """
    found = [tuple(posixpath.normpath("/" + path).strip("/").split("/"))]
    if root is not None:
        found.append(led_to(root, path))
    for parts in found:
        of_process = parts[0] == "proc" and len(parts) > 2
        if (of_process and _is_process(parts[1])) or parts[:2] == ("dev", "fd"):
            raise InvalidArgumentError(
                f"{path} cannot be the working directory: it belongs to a process",
                hint="begin in a folder of the image, as / is",
            )


def led_to(root: Root, path: str) -> tuple[str, ...]:
    """Return the parts of what ``path`` means when the container runs.

    The image's links are followed, but none inside a place: what is there now will not be there.
    A path that leaves a place again by ``..`` counts as that place.
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
    """Return the target of a link of the image; empty for anything else."""
    try:
        with root.place("/".join([*folders, name])) as (directory, last):
            return os.fsdecode(at.readlink(directory, last))
    except (OSError, ValueError):
        return ""


def _check(parts: tuple[str, ...], wish: Wish) -> None:
    if parts == ("",):
        raise _refused(wish, "it would hide the whole image")
    if parts[0] not in _PLACES or _same_place(parts, wish) or _allowed(parts, wish):
        return
    raise _refused(wish, f"/{'/'.join(parts[:2])} belongs to the runtime")


def _same_place(parts: tuple[str, ...], wish: Wish) -> bool:
    """Return whether it is a bind of what the host has there; below /proc runtimes refuse it."""
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


def _refused(wish: Wish, reason: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"cannot mount on {wish.target}: {reason}",
        hint="mount it at a place of your own, as /data; devices: --device",
    )
