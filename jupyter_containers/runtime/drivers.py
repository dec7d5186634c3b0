"""The storage driver: how image layers become one root file system, by mounts or by copies.

Vocabulary: the *driver* has Docker's names: ``overlay`` (overlayfs(5) of the kernel, with
``userxattr`` for users without root, Linux 5.11), ``fuse-overlayfs`` (the program does the same on
older kernels and on top of overlay mounts, a little slower) and ``vfs`` (all files are copied for
every container and step: it works everywhere, takes time and disk space, and isolates no less).

Drivers are tried once on the file system of the store; the result is cached in a note until the
kernel, the rights or the store change.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Literal

import msgspec

from jupyter_containers.errors import ContainersError, InvalidArgumentError, UnsupportedError
from jupyter_containers.filesystems import private_folder
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.decoding import DECODE_ERRORS
from jupyter_containers.oci.mount import Mount
from jupyter_containers.runtime import fuseoverlay
from jupyter_containers.runtime.mounts import PrivateMounts

Name = Literal["overlay", "fuse-overlayfs", "vfs"]
Scratch = Callable[[], AbstractContextManager[Path]]
NAMES = ("auto", "overlay", "fuse-overlayfs", "vfs")


class Driver(msgspec.Struct, frozen=True):
    """The driver in use; ``reason`` explains why overlay mounts are not used.

    ``no_mounts`` explains why nothing at all can be mounted, so that nothing can be run either.
    """

    name: Name
    reason: str = ""
    no_mounts: str = ""

    @property
    def refusal(self) -> UnsupportedError | None:
        """The error for operations that need mounts, or None if mounts work."""
        return _refusal(self.no_mounts) if self.no_mounts else None


@dataclass(frozen=True, slots=True)
class _Circumstances:
    """The circumstances on which the choice depends."""

    root: Path

    def __str__(self) -> str:
        release = os.uname().release
        lines = Path("/proc/thread-self/status").read_text().splitlines()
        rights = next(line.split()[1] for line in lines if line.startswith("CapEff:"))
        users = Path("/proc/self/uid_map").read_text().split()
        return " ".join([release, rights, *users, str(self.root.stat().st_dev), str(self.root)])


def choose(wish: str, root: Path, note: Path, scratch: Scratch) -> Driver:
    """Return the driver for the store in ``root``; ``wish`` is a driver's name or ``auto``.

    The result is cached in the file ``note``.  ``scratch`` yields a name in the store's file system
    for a trial folder, which is removed afterwards, even if this process dies.

    Raises :class:`InvalidArgumentError` for an unknown driver, :class:`UnsupportedError` if the
    requested one does not work.
    """
    if wish not in NAMES:
        raise InvalidArgumentError(f"no such storage driver: {wish!r}", hint=", ".join(NAMES))
    circumstances = f"{_Circumstances(root)} {wish}"
    private_folder(note.parent)
    found = _read_note(note, circumstances)
    if found is None:
        found = _try_drivers(wish, scratch)
        note.write_bytes(msgspec.json.encode((circumstances, found)))
    if wish == "vfs" and found.name != "vfs":
        return Driver("vfs", "chosen in the settings")
    if wish in ("overlay", "fuse-overlayfs") and found.name != wish:
        raise UnsupportedError(
            f"{wish} mounts do not work in {root}: {found.reason}",
            capability=f"{wish} mounts",
            provided_by="storage_driver auto, which copies files instead; or a root elsewhere",
        )
    return found


def _read_note(note: Path, circumstances: str) -> Driver | None:
    try:
        asked, found = msgspec.json.decode(note.read_bytes(), type=tuple[str, Driver])
    except (OSError, *DECODE_ERRORS):
        return None
    return found if asked == circumstances else None


def _try_drivers(wish: str, scratch: Scratch) -> Driver:
    """Return the first driver that works."""
    reason = "chosen in the settings"
    if wish != "fuse-overlayfs":
        found = _try_mounts(scratch, fuse=False)
        if found.name == "overlay" or found.no_mounts:
            return found
        reason = found.reason
    missing = fuseoverlay.missing()
    other = Driver("vfs", missing) if missing else _try_mounts(scratch, fuse=True)
    if other.name == "fuse-overlayfs":
        return Driver(other.name, reason)
    return other if wish == "fuse-overlayfs" else Driver("vfs", reason)


def _try_mounts(scratch: Scratch, *, fuse: bool) -> Driver:
    """Mount two layers and change a file, as every container will."""
    with scratch() as folder:
        folder.mkdir(mode=0o700)
        for name in ("low", "top", "upper", "work", "merged"):
            (folder / name).mkdir()
        (folder / "low/gone").touch()
        (folder / "top/kept").touch()
        mount = Mount(folder, ("top", "low"), folder / "upper", folder / "work", fuse)
        try:
            with PrivateMounts() as mounts:
                try:
                    mounts.overlay(mount, folder / "merged")
                    mounts.call(_change_files, folder / "merged")
                except (ContainersError, OSError) as error:
                    return Driver("vfs", str(error))
        except UnsupportedError as error:
            return Driver("vfs", str(error), no_mounts=str(error))
        return Driver("fuse-overlayfs" if fuse else "overlay")


def _change_files(merged: Path) -> None:
    (merged / "gone").unlink()
    (merged / "kept").rename(merged / "moved")
    (merged / "new").mkdir()


def _refusal(reason: str) -> UnsupportedError:
    return UnsupportedError(
        reason,
        capability="mount namespaces",
        provided_by="a host that lets users make namespaces"
        " (as root: sysctl user.max_user_namespaces=15000), or CAP_SYS_ADMIN in a pod",
    )
