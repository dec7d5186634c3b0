"""Mounts that are invisible on the host.

Vocabulary: a *private mount namespace* belongs to one thread of this process and to the processes
started from that thread.  The kernel drops its mounts when the last of them has ended, so no
crash can leave a mount behind.

Lifecycle: ``with PrivateMounts() as mounts:`` starts the thread; ``mounts.overlay(…)`` mounts in
it; ``mounts.call(function)`` runs anything in it (children inherit the namespace); leaving the
block ends the thread.  Mounts on the host still propagate in (``MS_SLAVE``), so that an unmount
on the host is not held up by a long-lived container.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
import threading
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Generic, ParamSpec, TypeVar

from jupyter_containers.errors import StorageError, UnsupportedError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_modules import queue
from jupyter_containers.oci.idmap import IDMap
from jupyter_containers.oci.mount import Mount
from jupyter_containers.trees import at

P = ParamSpec("P")
T = TypeVar("T")

_CLONE_FS, _CLONE_NEWNS = 0x200, 0x20000
_MS_RDONLY, _MS_NOSUID, _MS_NODEV, _MS_REMOUNT, _MS_BIND = 1, 2, 4, 32, 4096
_MS_REC, _MS_SLAVE = 16384, 1 << 19
_MNT_DETACH, _UMOUNT_NOFOLLOW = 2, 8
_OPEN_TREE, _OPEN_TREE_CLONE = 428, 1
_MOVE_MOUNT, _FSOPEN, _FSCONFIG, _FSMOUNT = 429, 430, 431, 432
_MOUNT_SETATTR, _AT_RECURSIVE, _MOUNT_ATTR_RDONLY = 442, 0x8000, 1
_SET_FLAG, _SET_STRING, _CMD_CREATE = 0, 1, 6
_AT_FDCWD, _MOVE_MOUNT_F_EMPTY_PATH = -100, 4
# The driver's optional features would put marks into upper directories that have no meaning in an
# image layer; a distribution may have enabled them.
_PLAIN = ("redirect_dir=off", "metacopy=off", "index=off")
# With userxattr the driver makes no redirects, and refuses an option that disables them.
_PLAIN_OF_USERS = ("metacopy=off", "index=off")

_FLAG_WORDS = {
    "ro": (_MS_RDONLY, True), "rw": (_MS_RDONLY, False), "nosuid": (_MS_NOSUID, True),
    "suid": (_MS_NOSUID, False), "nodev": (_MS_NODEV, True), "dev": (_MS_NODEV, False),
    "noexec": (8, True), "exec": (8, False), "sync": (16, True), "async": (16, False),
    "dirsync": (128, True), "noatime": (1024, True), "atime": (1024, False),
    "nodiratime": (2048, True), "diratime": (2048, False), "relatime": (1 << 21, True),
    "norelatime": (1 << 21, False), "strictatime": (1 << 24, True),
    "bind": (_MS_BIND, True), "rbind": (_MS_BIND | _MS_REC, True), "defaults": (0, True),
}  # fmt: skip

_PROPAGATIONS = {
    "private": 1 << 18, "rprivate": 1 << 18 | _MS_REC, "slave": _MS_SLAVE,
    "rslave": _MS_SLAVE | _MS_REC, "shared": 1 << 20, "rshared": 1 << 20 | _MS_REC,
}  # fmt: skip
# Flags that a remount must repeat: a user may not remove them from a mount of the machine's root.
_STANDING = {
    os.ST_RDONLY: _MS_RDONLY, os.ST_NOSUID: _MS_NOSUID, os.ST_NODEV: _MS_NODEV, os.ST_NOEXEC: 8,
    os.ST_NOATIME: 1024, os.ST_NODIRATIME: 2048, os.ST_RELATIME: 1 << 21,
}  # fmt: skip
PROPAGATIONS = frozenset(_PROPAGATIONS)


class PrivateMounts:
    """A thread with its own mount namespace; not reusable after the ``with`` block."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)
        self._work: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._serve, name="private-mounts", daemon=True)
        # Only the machine's root may use trusted.overlay.* (kernel documentation, overlayfs).
        self._user_attributes = not IDMap.of_users().initial

    def __enter__(self) -> PrivateMounts:
        self._thread.start()
        try:
            self.call(self._unshare)
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the thread after its present call; its mounts end with it."""
        self._work.put(None)
        if self._thread.is_alive() and self._thread is not threading.current_thread():
            self._thread.join()

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call ``function`` inside the namespace; return its result or raise its exception.

        A ``cancel`` token among the keyword arguments is cancelled if the caller is interrupted;
        either way the function has ended before this returns.
        """
        if threading.current_thread() is self._thread:
            return function(*args, **kwargs)
        task = _Task(lambda: function(*args, **kwargs))
        self._work.put(task.run)
        try:
            task.ended.wait()
        except BaseException:
            token = kwargs.get("cancel")
            if not task.ended.is_set() and isinstance(token, CancelToken):
                token.cancel()
            _wait_for_end(task.ended)
            raise
        return task.result()

    def overlay(
        self, mount: Mount, target: Path, *, volatile: bool = False, label: str = ""
    ) -> None:
        """Mount ``mount`` on the folder ``target``, visible in this namespace only.

        ``label`` is an option of mount(8) that gives the files their SELinux label.

        ``volatile`` disables the driver's own syncing, for an upper directory that is discarded
        when the machine stops.  Raises :class:`StorageError` if the kernel refuses.
        """
        if mount.fuse and len(mount.lowers) + (mount.upper is not None) > 1:
            from jupyter_containers.runtime.fuseoverlay import serve_mount

            with serve_mount(mount, target) as server:
                self.graft(server, str(target), target)
        else:
            self.call(self._overlay, mount, target, volatile, label)

    def bind(self, source: Path, target: Path, *, read_only: bool = False) -> None:
        """Bind ``source`` (with the mounts below it) to ``target``."""
        self.call(self._bind, source, target, read_only)

    def bind_open(self, source: int, target: Path, *, recursive: bool = True) -> None:
        """Bind an open file or directory of this namespace to ``target``, which is created.

        ``recursive`` includes the mounts below it.
        """
        self.call(self._bind_open, source, target, recursive)

    def _bind_open(self, source: int, target: Path, recursive: bool) -> None:
        make_place(target, folder=stat.S_ISDIR(os.fstat(source).st_mode))
        flags = _MS_BIND | _MS_REC if recursive else _MS_BIND
        self._mount(at.path_of(source), str(target), None, flags, "")

    def device(self, kind: str, device: str, target: Path, options: str) -> None:
        """Mount a file system as mount(8) does with ``-t kind -o options device target``."""
        flags, data = mount_flags(options)
        self.call(self._mount, device, str(target), kind or None, flags, data)
        if flags & _MS_BIND and flags & ~(_MS_BIND | _MS_REC):
            # A bind mount needs a second call for its other flags.
            flags |= _MS_REMOUNT | self.call(_present_flags, target)
            self.call(self._mount, None, str(target), None, flags & ~_MS_REC, "")

    def propagate(self, target: Path, word: str) -> None:
        """Set the propagation of a mount, by its name in mount(8): ``rslave``, ``private`` …."""
        self.call(self._mount, None, str(target), None, _PROPAGATIONS[word], "")

    def lock(self, target: Path) -> None:
        """Make a mount read-only, but not the mounts below it."""
        flags = _MS_BIND | _MS_REMOUNT | _MS_RDONLY | self.call(_present_flags, target)
        self.call(self._mount, None, str(target), None, flags, "")

    def lock_below(self, target: Path) -> None:
        """Make a mount and all mounts below it read-only (mount_setattr(2), Linux 5.12)."""
        self.call(self._lock_below, target)

    def _lock_below(self, target: Path) -> None:
        attributes = (ctypes.c_uint64 * 4)(_MOUNT_ATTR_RDONLY, 0, 0, 0)
        self._system(
            "making mounts read-only",
            _MOUNT_SETATTR,
            _AT_FDCWD,
            os.fsencode(target),
            _AT_RECURSIVE,
            ctypes.byref(attributes),
            ctypes.sizeof(attributes),
        )

    def tmpfs(self, target: Path, options: str, label: str = "") -> None:
        """Mount an empty file system in memory, optionally with an SELinux label."""
        flags, data = mount_flags(options)
        # The label contains a comma, so it cannot be one of the options.
        self.call(
            self._mount, "tmpfs", str(target), "tmpfs", flags, ",".join(filter(None, (data, label)))
        )

    def graft(self, pid: int, path: str, target: Path) -> None:
        """Bind the mount at ``path`` of the process ``pid`` to ``target``."""
        self.call(self._graft, pid, path, target)

    def _graft(self, pid: int, path: str, target: Path) -> None:
        own = os.open("/proc/thread-self/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
        try:
            other = os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
            try:
                self._enter(other)
                tree = self._system(
                    f"cloning {path}",
                    _OPEN_TREE,
                    _AT_FDCWD,
                    os.fsencode(path),
                    _OPEN_TREE_CLONE | os.O_CLOEXEC,
                )
            finally:
                self._enter(own)
                os.close(other)
        finally:
            os.close(own)
        try:
            self._move(tree, target)
        finally:
            os.close(tree)

    def _enter(self, namespace: int) -> None:
        if self._libc.setns(namespace, _CLONE_NEWNS) != 0:
            raise _mount_error("cannot enter a mount namespace")

    def _move(self, tree: int, target: Path) -> None:
        self._system(
            "mounting",
            _MOVE_MOUNT,
            tree,
            b"",
            _AT_FDCWD,
            os.fsencode(target),
            _MOVE_MOUNT_F_EMPTY_PATH,
        )

    def _serve(self) -> None:
        while (work := self._work.get()) is not None:
            work()

    def _unshare(self) -> None:
        if self._libc.unshare(_CLONE_FS | _CLONE_NEWNS) != 0:
            number = ctypes.get_errno()
            raise UnsupportedError(
                f"cannot make a private mount namespace: {os.strerror(number)}",
                capability="mount namespaces",
                provided_by="a host that lets users make namespaces"
                " (as root: sysctl user.max_user_namespaces=15000), or CAP_SYS_ADMIN in a pod",
            )
        self._mount(None, "/", None, _MS_REC | _MS_SLAVE, "")

    def _overlay(self, mount: Mount, target: Path, volatile: bool, label: str) -> None:
        if mount.upper is None and len(mount.lowers) < 2:
            if mount.lowers:
                self._bind(mount.base / mount.lowers[0], target, read_only=True)
            else:
                self._mount("tmpfs", str(target), "tmpfs", _MS_RDONLY, "size=4k,mode=755")
            return
        if mount.upper is not None and not mount.lowers:
            # No lowers: the upper directory is the whole file system.
            self._bind(mount.upper, target, read_only=False)
            return
        settings = list(_PLAIN_OF_USERS if self._user_attributes else _PLAIN)
        if mount.upper is not None:
            settings += [f"upperdir={_escaped(str(mount.upper))}"]
            settings += [f"workdir={_escaped(str(mount.work))}"]
        else:
            settings = []
        settings += [label] if label else []
        flags = ["volatile"] if volatile and mount.upper is not None else []
        flags += ["userxattr"] if self._user_attributes else []
        os.chdir(mount.base)
        try:
            lowers = ":".join(_escaped(name).replace(":", "\\:") for name in mount.lowers)
            data = ",".join([f"lowerdir={lowers}", *settings, *flags])
            if len(os.fsencode(data)) < os.sysconf("SC_PAGESIZE"):
                self._mount("overlay", str(target), "overlay", 0, data)
            else:
                self._long_overlay(mount, target, settings, flags)
        finally:
            os.chdir("/")

    def _long_overlay(
        self, mount: Mount, target: Path, settings: list[str], flags: list[str]
    ) -> None:
        """Mount by fsopen(2), one lower at a time: the options need not fit one page."""
        context = self._system("mounting the overlay", _FSOPEN, b"overlay", 1)
        try:
            pairs = [("lowerdir+", name) for name in mount.lowers]
            # The kernel still unescapes backslashes in these two, but not commas.
            pairs += [
                (name, value.strip('"').replace("\\,", ","))
                for name, _, value in (setting.partition("=") for setting in settings)
            ]
            for name, value in pairs:
                self._system(
                    f"overlay option {name}",
                    _FSCONFIG,
                    context,
                    _SET_STRING,
                    name.encode(),
                    os.fsencode(value),
                    0,
                )
            for name in flags:
                self._system(
                    f"overlay option {name}", _FSCONFIG, context, _SET_FLAG, name.encode(), None, 0
                )
            self._system("mounting the overlay", _FSCONFIG, context, _CMD_CREATE, None, None, 0)
            tree = self._system("mounting the overlay", _FSMOUNT, context, 1, 0)
            try:
                self._move(tree, target)
            finally:
                os.close(tree)
        finally:
            os.close(context)

    def _bind(self, source: Path, target: Path, read_only: bool) -> None:
        self._mount(str(source), str(target), None, _MS_BIND | _MS_REC, "")
        if read_only:
            self._mount(None, str(target), None, _MS_BIND | _MS_REMOUNT | _MS_RDONLY, "")

    def _mount(
        self, source: str | None, target: str, kind: str | None, flags: int, data: str
    ) -> None:
        result = self._libc.mount(
            None if source is None else os.fsencode(source),
            os.fsencode(target),
            None if kind is None else kind.encode(),
            ctypes.c_ulong(flags),
            os.fsencode(data) if data else None,
        )
        if result != 0:
            raise _mount_error(f"cannot mount {kind or source or 'a bind'} on {target}")

    def _system(self, what: str, number: int, *args: Any) -> int:
        plain = [ctypes.c_long(item) if isinstance(item, int) else item for item in args]
        result = int(self._libc.syscall(ctypes.c_long(number), *plain))
        if result < 0:
            raise _mount_error(f"{what} failed")
        return result


class Unmounted:
    """Replaces :class:`PrivateMounts` where no namespace can be created: it mounts nothing.

    ``refusal`` is the error for operations that need mounts.
    """

    def __init__(self, refusal: UnsupportedError) -> None:
        self.refusal = refusal

    def call(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Return the result of ``function``."""
        return function(*args, **kwargs)

    def close(self) -> None:
        """Do nothing."""


class _Task(Generic[T]):
    """A call in the thread, and its result.

    ``concurrent.futures`` offers the same, but loading it adds 4 ms to every start of a command.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self.ended = threading.Event()
        self._function = function
        self._results: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        try:
            self._results.append(self._function())
        except BaseException as error:  # noqa: BLE001  # passed to the caller's thread
            self._error = error
        finally:
            self.ended.set()

    def result(self) -> T:
        try:
            if self._error is not None:
                raise self._error
            return self._results[0]
        finally:
            # The traceback refers to this frame, and the frame would refer to the error.
            del self


def make_place(place: Path, *, folder: bool) -> None:
    """Create an empty directory or file of the engine as a mount point."""
    if place.is_dir() != folder and place.exists():
        place.rmdir() if place.is_dir() else place.unlink()
    if folder:
        place.mkdir(parents=True, exist_ok=True)
    else:
        place.parent.mkdir(parents=True, exist_ok=True)
        place.touch()


def is_bind(options: str) -> bool:
    """Return whether the words of ``-o`` request a bind mount."""
    return bool(mount_flags(options)[0] & _MS_BIND)


def _present_flags(target: Path) -> int:
    found = os.statvfs(target).f_flag
    return sum(flag for bit, flag in _STANDING.items() if found & bit)


def mount_flags(options: str) -> tuple[int, str]:
    """Return the mount(2) flags in the words of ``-o``, and the rest as data."""
    flags, rest = 0, []
    for word in options.split(","):
        if word in _FLAG_WORDS:
            number, on = _FLAG_WORDS[word]
            flags = flags | number if on else flags & ~number
        elif word:
            rest.append(word)
    return flags, ",".join(rest)


def is_mounted(target: Path, kind: str = "") -> bool:
    """Return whether this thread sees a mount there, also one of the same file system.

    ``kind`` is a prefix of the file system's type.
    """
    with open("/proc/thread-self/mountinfo", encoding="utf-8", errors="surrogateescape") as file:
        lines = [line.partition(" - ") for line in file]
    place = str(target).replace(" ", r"\040")
    return any(head.split(" ")[4] == place and tail.startswith(kind) for head, _, tail in lines)


def unmount(target: Path) -> None:
    """Detach the mount in this thread's namespace; processes that use it keep it."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.umount2(os.fsencode(target), _MNT_DETACH) != 0:
        raise StorageError(f"cannot unmount {target}: {os.strerror(ctypes.get_errno())}")


def detach(target: Path) -> None:
    """Detach a mount on ``target`` in this thread's namespace, if there is one.

    For a process started by conmon: it is inside the container's private mount namespace, where the
    root file system is still mounted and its mount point therefore cannot be removed.
    """
    if os.path.ismount(target):
        ctypes.CDLL(None, use_errno=True).umount2(os.fsencode(target), _MNT_DETACH)


def detach_inside(folder: Path) -> None:
    """Detach every mount below a folder in this thread's namespace, but none on the folder itself.

    The outermost take nested ones along: no path goes through a mount that is to be removed.
    """
    with open("/proc/thread-self/mountinfo", "rb") as file:
        points = [line.split()[4] for line in file]
    above = os.fsencode(folder).replace(b" ", rb"\040") + b"/"
    outer: list[bytes] = []
    libc = ctypes.CDLL(None, use_errno=True)
    for point in points:
        if point.startswith(above) and not any(point.startswith(one + b"/") for one in outer):
            outer.append(point)
            libc.umount2(point.replace(rb"\040", b" "), _MNT_DETACH | _UMOUNT_NOFOLLOW)


def _wait_for_end(ended: threading.Event) -> None:
    """Wait until the work has ended, however often the caller is interrupted."""
    while not ended.is_set():
        with suppress(KeyboardInterrupt):
            ended.wait()


def _escaped(path: str) -> str:
    return path.replace("\\", "\\\\").replace(",", "\\,")


def _mount_error(message: str) -> StorageError | UnsupportedError:
    number = ctypes.get_errno()
    text = f"{message}: {os.strerror(number)}"
    if number in (errno.EPERM, errno.ENODEV, errno.ENOSYS):
        return UnsupportedError(
            text, capability="overlay mounts", provided_by="root rights and a kernel with overlayfs"
        )
    return StorageError(text)
