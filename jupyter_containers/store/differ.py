"""Writes an overlay upper directory as a layer's tar: the inverse of :mod:`.archive`.

Entries are sorted by name, a folder before its contents, so the same tree gives the same bytes. A
character device 0:0 becomes ``.wh.name``; an opaque folder gets ``.wh..wh..opq`` if a lower layer
really has a folder there (overlayfs marks every new folder, as an optimisation). Hard links,
extended attributes, devices and nanoseconds are kept; sockets and overlayfs' own attributes are
not.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Sequence
from pathlib import Path

from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store import lowers
from jupyter_containers.store.archive import OPAQUE, WHITEOUT
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.tarread import (
    BLOCK,
    BLOCK_DEVICE,
    CHAR,
    DIRECTORY,
    FIFO,
    FILE,
    HARD_LINK,
    SYMLINK,
)
from jupyter_containers.store.tarwrite import END, ChunkedOutput, encode_header
from jupyter_containers.store.whiteouts import OPAQUE_MARKS, hides_below, is_whiteout
from jupyter_containers.trees import at
from jupyter_containers.trees.owners import marked_owner

_READ = 1024 * 1024
# The name now belongs to another entry.
_REPLACED = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EINVAL, errno.ENXIO}
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC


@dataclass(frozen=True, slots=True)
class Written:
    """The result of writing an archive: entries, bytes of regular files, and skipped sockets."""

    entries: int
    size: int
    sockets: tuple[bytes, ...] = ()


class Differ:
    """Writes one upper directory as a tar; use once.

    ``latest_ns`` is the upper limit of modification times (SOURCE_DATE_EPOCH), ``time_ns`` replaces
    them all.  ``prefix`` (``folder/``) precedes the paths in the archive.  With ``settle`` the
    files on disk get the limited times too, so that the directory equals its own archive. ``skip``
    are paths (without a leading slash) that are left out with everything below them.
    """

    def __init__(
        self,
        folder: Path,
        output: ChunkedOutput,
        *,
        lower_folders: Sequence[Path] = (),
        privileges: Privileges | None = None,
        latest_ns: int | None = None,
        time_ns: int | None = None,
        prefix: bytes = b"",
        settle: bool = False,
        skip: frozenset[bytes] = frozenset(),
        cancel: CancelToken | None = None,
    ) -> None:
        self._skip = skip
        self._folder = os.fsencode(folder)
        self._output = output
        self._lowers = tuple(lower_folders)
        self._privileges = privileges or Privileges.current()
        self._latest, self._time, self._prefix = latest_ns, time_ns, prefix
        self._settle = settle
        self._cancel = cancel or CancelToken()
        self._links: dict[tuple[int, int], bytes] = {}
        self._sockets: list[bytes] = []
        self._entries = 0
        self._size = 0

    def write(self) -> Written:
        """Write all entries and the end mark; raise :class:`OSError` if the tree is unreadable.

        The root itself is an entry only if its owner, mode or attributes differ from those of the
        layer below.
        """
        descriptor = os.open(self._folder, _OPEN_FOLDER)
        try:
            state = os.fstat(descriptor)
            below = lowers.attributes(self._lowers, ())
            own = lowers.read_xattrs(descriptor)
            known = (
                (below.mode, below.uid, below.gid, below.xattrs)
                if below
                else (0o755, *self._as_root(), {})
            )
            if (stat.S_IMODE(state.st_mode), state.st_uid, state.st_gid, own) != known:
                self._header(b"./", DIRECTORY, state, xattrs=own)
            self._walk(descriptor, b"")
        finally:
            os.close(descriptor)
        return self._finish()

    def write_as(self, parent: int, name: bytes, path: bytes) -> Written:
        """Write one file or tree of an open folder under another name, and the end mark."""
        self._entry(parent, name, path, at.stat(parent, name))
        return self._finish()

    def write_part(self) -> None:
        """Write all entries below the prefix without an end mark: more entries follow."""
        self._put(encode_header(self._prefix, DIRECTORY, mode=0o755, mtime_ns=self._time or 0))
        descriptor = os.open(self._folder, _OPEN_FOLDER)
        try:
            self._walk(descriptor, b"")
        finally:
            os.close(descriptor)
        self._output.flush()

    def write_contents(self, folder: int, *, dotted: bool = False) -> Written:
        """Write the contents of an open folder and the end mark; ``dotted`` adds ``./`` itself."""
        if dotted:
            self._header(b"./", DIRECTORY, os.fstat(folder), xattrs=lowers.read_xattrs(folder))
        self._walk(folder, b"./" if dotted else b"")
        return self._finish()

    def _finish(self) -> Written:
        self._output.write(END)
        self._output.flush()
        return Written(self._entries, self._size, tuple(self._sockets))

    def _as_root(self) -> tuple[int, int]:
        return (0, 0) if self._privileges.owners else (self._privileges.uid, self._privileges.gid)

    def _walk(self, folder: int, prefix: bytes) -> None:
        with os.scandir(folder) as found:
            names = sorted(os.fsencode(entry.name) for entry in found)
        for name in names:
            if prefix + name in self._skip:
                continue
            if name in OPAQUE_MARKS and (self._lowers or self._settle):
                if self._settle:
                    at.unlink(folder, name)  # where needed, an attribute records it now
                continue
            self._cancel.check()
            # A running container may change its files: skip entries that have vanished.
            state = at.look(folder, name)
            if state is not None:
                self._entry(folder, name, prefix + name, state)

    def _entry(self, folder: int, name: bytes, path: bytes, state: os.stat_result) -> None:
        mode = state.st_mode
        if stat.S_ISDIR(mode):
            self._directory(folder, name, path, state)
            return
        if stat.S_ISSOCK(mode):
            self._sockets.append(path)
            return
        if is_whiteout(state, folder, name):
            if not lowers.exists(self._lowers, tuple(path.split(b"/"))):
                return  # fuse-overlayfs also leaves them where they hide nothing
            parent = path[: len(path) - len(name)]
            self._put(encode_header(parent + WHITEOUT + name, FILE, mode=0, mtime_ns=0))
            return
        if state.st_nlink > 1:
            first = self._links.setdefault((state.st_dev, state.st_ino), path)
            if first != path:
                self._header(path, HARD_LINK, state, target=self._prefix + first)
                return
        if stat.S_ISREG(mode):
            self._file(folder, name, path, state)
        elif stat.S_ISLNK(mode):
            target = at.readlink(folder, name)
            self._header(
                path, SYMLINK, state, target=target, xattrs=lowers.entry_xattrs(folder, name)
            )
        else:
            kind = CHAR if stat.S_ISCHR(mode) else BLOCK_DEVICE if stat.S_ISBLK(mode) else FIFO
            device = (os.major(state.st_rdev), os.minor(state.st_rdev)) if kind != FIFO else (0, 0)
            self._header(path, kind, state, device=device, xattrs=lowers.entry_xattrs(folder, name))
        self._settle_time(folder, name, state)

    def _directory(self, folder: int, name: bytes, path: bytes, state: os.stat_result) -> None:
        try:
            descriptor = at.open_folder(folder, name)
        except OSError as error:
            if error.errno in _REPLACED:
                return
            raise
        try:
            xattrs = lowers.read_xattrs(descriptor)
            self._header(path + b"/", DIRECTORY, state, xattrs=xattrs)
            if self._is_opaque(descriptor, path):
                if self._settle:
                    self._privileges.hide_below(descriptor)
                self._put(encode_header(path + b"/" + OPAQUE, FILE, mode=0, mtime_ns=0))
            self._walk(descriptor, path + b"/")
        finally:
            os.close(descriptor)
        self._settle_time(folder, name, state)

    def _is_opaque(self, descriptor: int, path: bytes) -> bool:
        return (
            bool(self._lowers)
            and hides_below(descriptor, self._privileges.opaque_name)
            and lowers.attributes(self._lowers, tuple(path.split(b"/"))) is not None
        )

    def _file(self, folder: int, name: bytes, path: bytes, state: os.stat_result) -> None:
        try:
            descriptor, state = at.regular(folder, name)
        except OSError as error:
            if error.errno in _REPLACED:
                return
            raise
        try:
            xattrs = lowers.read_xattrs(descriptor)
            self._header(path, FILE, state, size=state.st_size, xattrs=xattrs)
            left = state.st_size
            while left:
                self._cancel.check()
                data = os.read(descriptor, min(left, _READ))
                # A file that shrinks while it is read is padded; its header is already written.
                data = data or bytes(min(left, _READ))
                left -= len(data)
                self._output.write(data)
        finally:
            os.close(descriptor)
        self._output.write(bytes(-state.st_size % BLOCK))
        self._size += state.st_size

    def _header(
        self,
        path: bytes,
        kind: str,
        state: os.stat_result,
        *,
        size: int = 0,
        target: bytes = b"",
        device: tuple[int, int] = (0, 0),
        xattrs: dict[bytes, bytes] | None = None,
    ) -> None:
        marked = marked_owner(xattrs) if xattrs else None
        uid, gid = marked or self._privileges.image_owner(state.st_uid, state.st_gid)
        self._put(
            encode_header(
                self._prefix + path,
                kind,
                mode=stat.S_IMODE(state.st_mode),
                uid=uid,
                gid=gid,
                size=size,
                mtime_ns=self._limited_time(state.st_mtime_ns),
                target=target,
                device=device,
                xattrs=xattrs,
            )
        )

    def _put(self, header: bytes) -> None:
        self._entries += 1
        self._output.write(header)

    def _limited_time(self, mtime_ns: int) -> int:
        if self._time is not None:
            return self._time
        return mtime_ns if self._latest is None else min(mtime_ns, self._latest)

    def _settle_time(self, folder: int, name: bytes, state: os.stat_result) -> None:
        bounded = self._limited_time(state.st_mtime_ns)
        if self._settle and bounded != state.st_mtime_ns:
            at.utime(folder, name, (bounded, bounded))
