"""A folder taken for the root of a file system: no path, link or ``..`` leads out of it.

Vocabulary: a path is *canonical* when it is relative to the root and neither it nor a folder on
the way is a symbolic link; the root itself is the empty path.  Files are opened with
``openat2(RESOLVE_IN_ROOT)``, so that a link that appears between two looks still stays inside.
"""

from __future__ import annotations

import ctypes
import errno
import os
import stat
from types import TracebackType
from typing import Any

from jupyter_containers.errors import BuildError, InvalidArgumentError

_OPENAT2 = 437
_RESOLVE_NO_MAGICLINKS = 0x02
_RESOLVE_IN_ROOT = 0x10
_MAX_LINKS = 40
_FOLDER = os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC


class _OpenHow(ctypes.Structure):
    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("mode", ctypes.c_uint64),
        ("resolve", ctypes.c_uint64),
    )


class Root:
    """An open folder that acts as ``/``; use as a context manager or call :meth:`close`."""

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self._syscall: Any = ctypes.CDLL(None, use_errno=True).syscall

    @classmethod
    def open(cls, path: str | os.PathLike[str]) -> Root:
        """Return the folder ``path`` as a root; raise :class:`InvalidArgumentError`."""
        try:
            return cls(os.open(path, _FOLDER))
        except OSError as error:
            raise InvalidArgumentError(
                f"cannot open {os.fspath(path)}: {error.strerror}"
            ) from error

    def close(self) -> None:
        """Release the folder."""
        os.close(self.fd)

    def __enter__(self) -> Root:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        tb: TracebackType | None,
    ) -> None:
        self.close()

    def open_file(self, path: str, flags: int, mode: int = 0) -> int:
        """Return a descriptor of ``path`` resolved under the root; raise :class:`OSError`."""
        flags |= os.O_CLOEXEC
        how = _OpenHow(flags, mode, _RESOLVE_IN_ROOT | _RESOLVE_NO_MAGICLINKS)
        name = os.fsencode(path or ".")
        if b"\0" in name:
            raise OSError(errno.EINVAL, "path holds a null byte", path)
        fd: int = self._syscall(
            ctypes.c_long(_OPENAT2), self.fd, name, ctypes.byref(how), ctypes.sizeof(how)
        )
        if fd >= 0:
            return fd
        code = ctypes.get_errno()
        if code in (errno.ENOSYS, errno.EPERM):
            return self._walk_open(path, flags, mode)
        raise OSError(code, os.strerror(code), path)

    def _walk_open(self, path: str, flags: int, mode: int) -> int:
        """Open without openat2: one component after the other, no link followed by the kernel."""
        *folders, name = self.resolve(path).split("/")
        current = os.open(".", _FOLDER, dir_fd=self.fd)
        try:
            for folder in folders:
                following = os.open(folder, _FOLDER | os.O_NOFOLLOW, dir_fd=current)
                os.close(current)
                current = following
            return os.open(name or ".", flags | os.O_NOFOLLOW, mode, dir_fd=current)
        finally:
            os.close(current)

    def open_folder(self, path: str) -> int:
        """Return a descriptor of the folder ``path``, for use as ``dir_fd``."""
        return self.open_file(path, _FOLDER)

    def resolve(self, path: str, *, follow_last: bool = True) -> str:
        """Return the canonical form of ``path``; names that do not exist are taken as they are."""
        pending = [name for name in path.split("/") if name not in ("", ".")][::-1]
        done: list[str] = []
        links = 0
        while pending:
            name = pending.pop()
            if name == "..":
                del done[-1:]
                continue
            target = self._link(done, name) if pending or follow_last else None
            if target is None:
                done.append(name)
                continue
            links += 1
            if links > _MAX_LINKS:
                raise BuildError(f"{path}: too many levels of symbolic links")
            if target.startswith("/"):
                done = []
            pending.extend(part for part in target.split("/")[::-1] if part not in ("", "."))
        return "/".join(done)

    def _link(self, folders: list[str], name: str) -> str | None:
        try:
            return os.readlink("/".join([*folders, name]), dir_fd=self.fd)
        except ValueError as error:
            raise BuildError(f"{name!r} is not a file name") from error
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                return None
            raise BuildError(f"/{'/'.join([*folders, name])}: {error.strerror}") from error

    def stat(self, canonical: str) -> os.stat_result | None:
        """Return the status of a canonical path, or None when nothing is there."""
        try:
            return os.stat(canonical or ".", dir_fd=self.fd, follow_symlinks=False)
        except (FileNotFoundError, NotADirectoryError):
            return None

    def kernel_path(self, canonical: str) -> str:
        """Return a path to ``canonical`` for calls without ``dir_fd`` (extended attributes)."""
        return f"/proc/self/fd/{self.fd}/{canonical}"

    def read_text(self, path: str, limit: int = 1 << 20) -> str:
        """Return the text of a regular file under the root; empty when there is none."""
        try:
            fd = self.open_file(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            return ""
        try:
            if not stat.S_ISREG(os.fstat(fd).st_mode):
                return ""
            with os.fdopen(fd, "rb", closefd=False) as stream:
                return stream.read(limit).decode("utf-8", "replace")
        finally:
            os.close(fd)

    def make_folders(self, path: str, mode: int, uid: int, gid: int) -> str:
        """Return ``path`` in canonical form after creating what is missing of it."""
        canonical = self.resolve(path)
        names = canonical.split("/") if canonical else []
        for count in range(1, len(names) + 1):
            folder = "/".join(names[:count])
            try:
                os.mkdir(folder, mode, dir_fd=self.fd)
            except FileExistsError:
                continue
            except OSError as error:
                raise BuildError(f"cannot create /{folder}: {error.strerror}") from error
            os.chmod(folder, mode, dir_fd=self.fd)
            os.chown(folder, uid, gid, dir_fd=self.fd, follow_symlinks=False)
        found = self.stat(canonical)
        if found is None or not stat.S_ISDIR(found.st_mode):
            raise BuildError(f"/{canonical} is not a directory")
        return canonical
