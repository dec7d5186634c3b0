"""Resolves paths that cannot leave a directory: names from archives, Dockerfiles and containers.

A *root* is a directory that stands for ``/``.  A name is first split into *parts*, lexically:
``.``, empty parts and leading slashes are dropped and ``..`` stops at the root.  The kernel then
resolves the parts with ``openat2(RESOLVE_IN_ROOT)``: symbolic links, absolute ones too, are
followed inside the root.  Where the kernel (before 5.6) or a sandbox lacks ``openat2``, a walk with
one ``O_NOFOLLOW`` open for each part gives the same results.

A *canonical* path is text relative to the root in which no part is a symbolic link (the root itself
is the empty path): :meth:`Root.resolve` returns one, and :meth:`Root.place` opens the directory
above it, for the operations of :mod:`.at`.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import TracebackType

from jupyter_containers.trees import at
from jupyter_containers.trees.linux import (
    O_PATH,
    RESOLVE_IN_ROOT,
    RESOLVE_NO_MAGICLINKS,
    RESOLVE_NO_SYMLINKS,
    openat2,
)
from jupyter_containers.trees.owners import give

_MAX_LINKS = 40


def split(name: bytes) -> tuple[bytes, ...]:
    """Return the parts of ``name`` below the root; ``..`` never leaves it."""
    parts = name.split(b"/")
    if b".." not in parts:
        return tuple(part for part in parts if part not in (b"", b"."))
    clean: list[bytes] = []
    for part in parts:
        if part == b"..":
            del clean[-1:]
        elif part not in (b"", b"."):
            clean.append(part)
    return tuple(clean)


class Root:
    """An open directory that stands for ``/``; use as a context manager or :meth:`close` it."""

    def __init__(self, path: Path | str | bytes, *, by_kernel: bool | None = None) -> None:
        self._descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        self._by_kernel = self._probe() if by_kernel is None else by_kernel

    @property
    def descriptor(self) -> int:
        """The descriptor of the root directory itself."""
        return self._descriptor

    def close(self) -> None:
        """Close the root's descriptor; a second call does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __enter__(self) -> Root:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def open(
        self, parts: tuple[bytes, ...], flags: int, *, links: bool = True, mode: int = 0
    ) -> int:
        """Return a descriptor of the entry at ``parts``; the caller closes it.

        With ``links=False`` any symbolic link in the path raises ``ELOOP``; ``mode`` is the mode of
        a file that ``O_CREAT`` creates.  Raises :class:`OSError` as open(2) does.
        """
        if self._by_kernel:
            resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
            if not links:
                resolve |= RESOLVE_NO_SYMLINKS
            return openat2(self._descriptor, b"/".join(parts) or b".", flags, resolve, mode)
        return self._walk(parts, flags, links=links, mode=mode)

    def open_directory(self, parts: tuple[bytes, ...], *, links: bool = True) -> int:
        """Return an ``O_PATH`` descriptor of a directory, for :mod:`.at`; the caller closes it."""
        return self.open(parts, O_PATH | os.O_DIRECTORY, links=links)

    def open_path(self, path: str, flags: int, mode: int = 0) -> int:
        """Return a descriptor of ``path`` below the root; the caller closes it."""
        return self.open(split(os.fsencode(path)), flags, mode=mode)

    @contextmanager
    def place(self, canonical: str) -> Iterator[tuple[int, bytes]]:
        """Yield the open parent directory of a canonical path, and the name in it.

        A link that has appeared in the path raises ``ELOOP``; the root itself raises ``EINVAL``.
        """
        parts = split(os.fsencode(canonical))
        if not parts:
            raise OSError(errno.EINVAL, "the root itself", canonical)
        descriptor = self.open_directory(parts[:-1], links=False)
        try:
            yield descriptor, parts[-1]
        finally:
            os.close(descriptor)

    def resolve(self, path: str, *, follow_last: bool = True) -> str:
        """Return the canonical form of ``path``; missing components are kept as they are.

        Raises :class:`OSError`, with ``ELOOP`` for too many links.
        """
        pending = [name for name in path.split("/") if name not in ("", ".")][::-1]
        if ".." not in pending:
            plain = "/".join(pending[::-1])
            found = self.stat(plain)
            if found is not None and not (follow_last and stat.S_ISLNK(found.st_mode)):
                return plain
        done: list[str] = []
        followed = 0
        while pending:
            name = pending.pop()
            if name == "..":
                del done[-1:]
                continue
            target = self._target(done, name) if pending or follow_last else None
            if target is None:
                done.append(name)
                continue
            followed += 1
            if followed > _MAX_LINKS:
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), path)
            if target.startswith("/"):
                done = []
            pending.extend(part for part in target.split("/")[::-1] if part not in ("", "."))
        return "/".join(done)

    def _target(self, folders: list[str], name: str) -> str | None:
        """Return the target of the link ``name``; None if it is not a link or does not exist."""
        if "\0" in name:
            raise OSError(errno.EINVAL, "a name holds a null byte", name)
        try:
            with self.place("/".join([*folders, name])) as (directory, last):
                return os.fsdecode(at.readlink(directory, last))
        except OSError as error:
            if error.errno in (errno.EINVAL, errno.ENOENT, errno.ENOTDIR):
                return None
            raise

    def stat(self, canonical: str) -> os.stat_result | None:
        """Return the status of a canonical path, or None if it does not exist.

        A path through a link that has appeared counts as missing.
        """
        parts = split(os.fsencode(canonical))
        if not parts:
            return os.fstat(self._descriptor)
        try:
            descriptor = self.open(parts, O_PATH | os.O_NOFOLLOW, links=False)
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
                return None
            raise
        try:
            return os.fstat(descriptor)
        finally:
            os.close(descriptor)

    def exists(self, path: str) -> bool:
        """Return whether ``path`` exists; links are followed inside the root."""
        return self.stat(self.resolve(path)) is not None

    def read_bytes(self, path: str, limit: int) -> bytes:
        """Return the first ``limit`` bytes of a regular file; links are followed inside the root.

        Raises :class:`OSError`, with ``EINVAL`` at once for a FIFO or device.
        """
        descriptor = self.open_path(path, os.O_RDONLY | os.O_NONBLOCK)
        try:
            if not stat.S_ISREG(os.fstat(descriptor).st_mode):
                raise OSError(errno.EINVAL, "not a regular file", path)
            with os.fdopen(descriptor, "rb", closefd=False) as stream:
                return stream.read(limit)
        finally:
            os.close(descriptor)

    def read_text(self, path: str, limit: int = 1 << 20) -> str:
        """Return the text of a regular file below the root; empty if it does not exist."""
        try:
            return self.read_bytes(path, limit).decode("utf-8", "replace")
        except OSError:
            return ""

    def make_folders(self, path: str, mode: int, uid: int, gid: int) -> str:
        """Create the missing folders of ``path`` and return its canonical form.

        Mode and owner are those of the new folders.  Raises :class:`OSError`.
        """
        canonical = self.resolve(path)
        directory = os.dup(self._descriptor)
        try:
            for name in split(os.fsencode(canonical)):
                is_new = False
                with suppress(FileExistsError):
                    at.mkdir(directory, name, mode)
                    is_new = True
                inner = at.enter(directory, name)
                os.close(directory)
                directory = inner
                if is_new:
                    os.chmod(at.path_of(directory), mode)
                    give(at.path_of(directory), uid, gid)
        finally:
            os.close(directory)
        return canonical

    def _probe(self) -> bool:
        try:
            os.close(openat2(self._descriptor, b".", O_PATH, RESOLVE_IN_ROOT))
        except OSError as error:
            # Old seccomp filters return EPERM for calls that they do not know.
            if error.errno in (errno.ENOSYS, errno.EPERM):
                return False
            raise
        return True

    def _walk(self, parts: tuple[bytes, ...], flags: int, *, links: bool, mode: int) -> int:
        """Resolve one part at a time; ``trail`` holds the directories from the root down."""
        trail = [os.dup(self._descriptor)]
        todo = list(reversed(parts))
        followed = 0
        try:
            while todo:
                part = todo.pop()
                if part == b"..":
                    if len(trail) > 1:
                        os.close(trail.pop())
                    continue
                target = _link_target(part, trail[-1])
                last = not todo
                if target is None or (last and flags & os.O_NOFOLLOW):
                    wanted = flags if last else O_PATH | os.O_DIRECTORY
                    opened = os.open(
                        part, wanted | os.O_NOFOLLOW | os.O_CLOEXEC, mode, dir_fd=trail[-1]
                    )
                    if last:
                        return opened
                    trail.append(opened)
                    continue
                followed += 1
                if not links or followed > _MAX_LINKS:
                    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), part)
                if target.startswith(b"/"):
                    while len(trail) > 1:
                        os.close(trail.pop())
                todo.extend(p for p in reversed(target.split(b"/")) if p not in (b"", b"."))
            return os.open(b".", flags | os.O_CLOEXEC, dir_fd=trail[-1])
        finally:
            for descriptor in trail:
                os.close(descriptor)


def _link_target(name: bytes, directory: int) -> bytes | None:
    try:
        return os.readlink(name, dir_fd=directory)
    except OSError as error:
        if error.errno in (errno.EINVAL, errno.ENOENT):
            return None
        raise
