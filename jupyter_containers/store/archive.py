"""Applies a layer's tar to a directory; every archive is treated as hostile.

Names are split into parts below the root and resolved by the kernel inside it
(:mod:`~jupyter_containers.trees.rooted`); an entry is then created by one name in an open directory
(:mod:`~jupyter_containers.trees.at`), never following a link.

A layer directory becomes an overlay lower, so whiteouts are translated: ``.wh.name`` to a character
device 0:0, ``.wh..wh..opq`` to the opaque attribute.  They hide lower layers only, in any order:
entries of the same archive stay.  Without lower layers they have no effect and leave nothing.  OCI
Image Specification 1.1, layer.md.

Directories get their owner, mode and time at the end, when nothing is created in them any more.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Literal

from jupyter_containers.errors import ArchiveError, ContainersError
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store import lowers
from jupyter_containers.store.compression import Limits
from jupyter_containers.store.faults import storage_error
from jupyter_containers.store.linux import start_writeback
from jupyter_containers.store.lowers import Attributes
from jupyter_containers.store.privileges import OVERLAY_NAMESPACES, Privileges
from jupyter_containers.store.tarread import (
    BLOCK_DEVICE,
    CHAR,
    DIRECTORY,
    FIFO,
    FILE,
    HARD_LINK,
    SYMLINK,
    Entry,
    TarReader,
    show,
)
from jupyter_containers.store.whiteouts import is_whiteout, make_whiteout
from jupyter_containers.trees import at
from jupyter_containers.trees.handover import Handover
from jupyter_containers.trees.owners import OWNER_MARK
from jupyter_containers.trees.removal import remove_tree
from jupyter_containers.trees.rooted import Root, split

__all__ = ["Applied", "Applier", "Limits", "WhiteoutMode"]

WHITEOUT = b".wh."
OPAQUE = b".wh..wh..opq"
META = b".wh..wh."
WhiteoutMode = Literal["overlay", "literal"]

_OPEN_DIRECTORIES = 128
_WRITEBACK = 8 * 1024 * 1024
_DISK_ERRORS = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EIO, errno.EMFILE, errno.ENFILE}
_XATTR_REFUSED = {errno.ENOTSUP, errno.EPERM, errno.EACCES}
_OPEN_FOLDER = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_MAX_TIME = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Applied:
    """The result of applying an archive: entries, and bytes of regular files."""

    entries: int
    size: int


class Applier:
    """Applies one archive to one directory; use once, then :meth:`close` it.

    ``lower_folders`` are the layers below, topmost first: folders that the archive uses without an
    entry take owner and mode from there.  ``whiteouts="literal"`` extracts ``.wh.`` names like all
    others (``ADD archive.tar``).  ``owner`` (uid, gid) replaces every owner, ``handover`` removes
    what must not reach the host.  With ``keep_kinds`` an existing directory is never replaced by a
    file, and no file by a directory.
    """

    def __init__(
        self,
        folder: Path,
        *,
        lower_folders: tuple[Path, ...] = (),
        whiteouts: WhiteoutMode = "overlay",
        owner: tuple[int, int] | None = None,
        limits: Limits | None = None,
        privileges: Privileges | None = None,
        label: str = "layer",
        handover: Handover | None = None,
        keep_kinds: bool = False,
    ) -> None:
        self._root = Root(folder)
        self._owner = owner
        self._handover = handover
        self._keep_kinds = keep_kinds
        self._lowers = lower_folders
        self._translate = whiteouts == "overlay"
        self._limits = limits or Limits()
        self._privileges = privileges or Privileges.current()
        self._label = label
        self._open: dict[tuple[bytes, ...], int] = {}
        self._folders: dict[tuple[bytes, ...], Attributes] = {}
        self._root_opaque = False
        self._entries = 0
        self._size = 0
        self._make: dict[str, Callable[[Entry, int, bytes], None]] = {
            FILE: self._file,
            HARD_LINK: self._hard_link,
            SYMLINK: self._symlink,
            CHAR: self._device,
            BLOCK_DEVICE: self._device,
            FIFO: self._fifo,
        }
        self._reader: TarReader | None = None

    def close(self) -> None:
        """Close all directories."""
        self._forget_open()
        self._root.close()

    def __enter__(self) -> Applier:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def apply(self, reader: TarReader, progress: Callable[[int], object] | None = None) -> Applied:
        """Apply all entries.

        ``progress`` is called with the number of entries from time to time.  Raises
        :class:`ArchiveError`, which names the layer and the entry, and
        :class:`~jupyter_containers.errors.StorageError` for a full disk.
        """
        self._reader = reader
        name = b""
        try:
            for entry in reader:
                name = entry.name
                self._entries += 1
                if self._owner is not None:
                    entry = entry._replace(uid=self._owner[0], gid=self._owner[1])
                if self._handover is not None:
                    entry = _without_privileges(entry, self._handover)
                self._entry(entry)
                if progress is not None and not self._entries % 256:
                    progress(self._entries)
            name = b""
            self._finish()
        except ArchiveError as error:
            raise ArchiveError(self._located(name, str(error)), hint=error.hint) from error
        except ContainersError:
            raise
        except RecursionError as error:
            raise ArchiveError(self._located(name, "folders are nested too deeply")) from error
        except OSError as error:
            if error.errno in _DISK_ERRORS:
                raise storage_error(f"unpack {self._label}", error) from error
            reason = error.strerror or str(error)
            raise ArchiveError(self._located(name, reason)) from error
        return Applied(self._entries, self._size)

    def _located(self, name: bytes, reason: str) -> str:
        label = "" if reason.startswith(self._label) else f"{self._label}: "
        entry = "" if not name or reason.startswith("entry ") else f"entry {show(name)}: "
        return f"{label}{entry}{reason}"

    def _entry(self, entry: Entry) -> None:
        if self._entries > self._limits.entries:
            raise ArchiveError(f"more than {self._limits.entries} entries")
        parts = split(entry.name)
        if not parts:
            if entry.kind == DIRECTORY:
                self._folders[()] = _attributes(entry)
            return
        base = parts[-1]
        if self._translate and b".wh." in entry.name:
            if any(part.startswith(WHITEOUT) for part in parts[:-1]):
                return
            if base.startswith(WHITEOUT):
                self._whiteout(parts[:-1], base)
                return
        if entry.kind == DIRECTORY:
            self._folder(parts, _attributes(entry))
        else:
            self._make[entry.kind](entry, self._parent(parts[:-1]), base)

    # -- directories ------------------------------------------------------------------------------

    def _parent(self, parts: tuple[bytes, ...]) -> int:
        """Return a descriptor of a directory; create it and its parents if they are missing."""
        if not parts:
            return self._root.descriptor
        descriptor = self._open.get(parts)
        if descriptor is not None:
            return descriptor
        try:
            descriptor = self._root.open_directory(parts)
        except FileNotFoundError:
            descriptor = self._make_implied(parts)
        except NotADirectoryError:
            # A whiteout of this archive may be where a parent belongs.
            self._parent(parts[:-1])
            descriptor = self._make_implied(parts)
        if len(self._open) >= _OPEN_DIRECTORIES:
            self._forget_open()
        self._open[parts] = descriptor
        return descriptor

    def _make_implied(self, parts: tuple[bytes, ...]) -> int:
        parent = self._parent(parts[:-1])
        state = at.look(parent, parts[-1])
        if state is None or is_whiteout(state, parent, parts[-1]):
            attributes = lowers.attributes(self._lowers, parts) if state is None else None
            uid, gid = self._owner or (0, 0)
            self._folder(parts, attributes or Attributes(uid=uid, gid=gid))
        elif not stat.S_ISDIR(state.st_mode):
            raise ArchiveError("a parent of it is not a directory")
        # Again, because creating it may have closed the parent.
        return self._root.open_directory(parts)

    def _folder(self, parts: tuple[bytes, ...], attributes: Attributes) -> None:
        parent, name = self._parent(parts[:-1]), parts[-1]
        opaque = False
        try:
            at.mkdir(parent, name)
        except FileExistsError:
            state = at.look(parent, name)
            if state is None or not stat.S_ISDIR(state.st_mode):
                if self._keep_kinds:
                    raise ArchiveError("cannot overwrite a file with a directory") from None
                self._clear(name, parent)
                at.mkdir(parent, name)
                # It replaces something that hid the lower layers.
                opaque = bool(self._lowers) and self._translate
        if opaque:
            self._set_opaque(name, parent)
        self._folders[parts] = attributes

    def _set_opaque(self, name: bytes, parent: int) -> None:
        with at.folder(parent, name) as descriptor:
            self._privileges.hide_below(descriptor)

    def _forget_open(self) -> None:
        while self._open:
            os.close(self._open.popitem()[1])

    def _clear(self, name: bytes, parent: int) -> None:
        """Remove an entry of any kind."""
        state = at.look(parent, name)
        if state is None:
            return
        if stat.S_ISDIR(state.st_mode):
            if self._keep_kinds:
                raise ArchiveError("cannot overwrite a directory with a file")
            parent = os.dup(parent)
            try:
                # Open directories may be inside.
                self._forget_open()
                remove_tree(parent, name)
            finally:
                os.close(parent)
        else:
            at.unlink(parent, name)
        if stat.S_ISLNK(state.st_mode):
            # Open directories may have been reached through it.
            parent = os.dup(parent)
            self._forget_open()
            os.close(parent)

    # -- whiteouts --------------------------------------------------------------------------------

    def _whiteout(self, folder: tuple[bytes, ...], base: bytes) -> None:
        if base.startswith(META) and base != OPAQUE:
            return  # bookkeeping of aufs
        name = base[len(WHITEOUT) :]
        if base != OPAQUE and name in (b"", b".", b".."):
            raise ArchiveError("a whiteout without a name")
        if not self._lowers:
            return
        if base == OPAQUE and not folder:
            self._root_opaque = True
            return
        parent = self._parent(folder)
        if base == OPAQUE:
            self._mark_open(parent)
        else:
            self._hide(name, parent)

    def _mark_open(self, path_descriptor: int) -> None:
        descriptor = at.reopen(path_descriptor)
        try:
            self._privileges.hide_below(descriptor)
        finally:
            os.close(descriptor)

    def _hide(self, name: bytes, parent: int) -> None:
        """Hide ``name`` of the lower layers; an entry from this archive stays."""
        state = at.look(parent, name)
        if state is None:
            make_whiteout(parent, name)
        elif stat.S_ISDIR(state.st_mode):
            self._set_opaque(name, parent)

    # -- everything else --------------------------------------------------------------------------

    def _file(self, entry: Entry, parent: int, name: bytes) -> None:
        try:
            descriptor = at.create(parent, name)
        except FileExistsError:
            parent = self._make_room(entry, parent, name)
            descriptor = at.create(parent, name)
        try:
            self._write(entry, descriptor)
            self._privileges.give(descriptor, entry.uid, entry.gid)
            os.fchmod(descriptor, entry.mode)
            if entry.xattrs:
                _set_xattrs(partial(os.setxattr, descriptor), entry.xattrs)
            os.utime(descriptor, ns=_times(entry.mtime_ns))
        finally:
            os.close(descriptor)
        self._size += entry.size

    def _write(self, entry: Entry, descriptor: int) -> None:
        assert self._reader is not None
        if entry.sparse is not None:
            self._write_sparse(entry, descriptor, self._reader.data())
            return
        written = flushed = 0
        for piece in self._reader.data():
            while piece:
                count = os.write(descriptor, piece)
                written += count
                piece = piece[count:]
            if written - flushed >= _WRITEBACK:
                start_writeback(descriptor, flushed, written - flushed)
                flushed = written

    def _write_sparse(self, entry: Entry, descriptor: int, pieces: Iterable[memoryview]) -> None:
        assert entry.sparse is not None
        segments = iter(entry.sparse)
        offset = left = 0
        for piece in pieces:
            while piece:
                while not left:
                    offset, left = next(segments)
                count = os.pwrite(descriptor, piece[:left], offset)
                offset, left, piece = offset + count, left - count, piece[count:]
        os.ftruncate(descriptor, entry.size)

    def _hard_link(self, entry: Entry, parent: int, name: bytes) -> None:
        target = split(entry.target)
        if not target:
            raise ArchiveError("a hard link to nothing")
        if target == split(entry.name):
            return
        source = self._root.open_directory(target[:-1])
        try:
            for attempt in (1, 2):
                try:
                    at.link(source, target[-1], parent, name)
                except FileExistsError:
                    if attempt == 2 or _same(target[-1], source, name, parent):
                        return
                    parent = self._make_room(entry, parent, name)
                except FileNotFoundError as error:
                    raise ArchiveError(f"its target {show(entry.target)} is missing") from error
        finally:
            os.close(source)

    def _symlink(self, entry: Entry, parent: int, name: bytes) -> None:
        try:
            at.symlink(entry.target, parent, name)
        except FileExistsError:
            parent = self._make_room(entry, parent, name)
            at.symlink(entry.target, parent, name)
        self._privileges.give_entry(parent, name, entry.uid, entry.gid)
        if entry.xattrs:
            _set_xattrs(partial(at.setxattr, parent, name), entry.xattrs)
        at.utime(parent, name, _times(entry.mtime_ns))

    def _device(self, entry: Entry, parent: int, name: bytes) -> None:
        if self._handover is not None and self._handover.leaves_out(stat.S_IFCHR):
            return
        # overlayfs writes a whiteout as a device 0:0; an archive has a different form for that.
        if not self._privileges.devices or (entry.kind == CHAR and entry.device == (0, 0)):
            return
        kind = stat.S_IFCHR if entry.kind == CHAR else stat.S_IFBLK
        self._node(entry, parent, name, kind, os.makedev(*entry.device))

    def _fifo(self, entry: Entry, parent: int, name: bytes) -> None:
        self._node(entry, parent, name, stat.S_IFIFO, 0)

    def _node(self, entry: Entry, parent: int, name: bytes, kind: int, device: int) -> None:
        parent = self._make_room(entry, parent, name)
        try:
            node = at.new_node(parent, name, kind, device)
        except PermissionError:
            return  # a container or user namespace: devices come from the runtime anyway
        try:
            path = at.path_of(node)
            self._privileges.give(path, entry.uid, entry.gid)
            os.chmod(path, entry.mode)
            os.utime(path, ns=_times(entry.mtime_ns))
        finally:
            os.close(node)

    def _make_room(self, entry: Entry, parent: int, name: bytes) -> int:
        """Remove the entry of this name and return the (perhaps reopened) parent."""
        state = at.look(parent, name)
        if state is None:
            return parent
        self._clear(name, parent)
        if not stat.S_ISDIR(state.st_mode) and not stat.S_ISLNK(state.st_mode):
            return parent
        self._forget_open()
        return self._parent(split(entry.name)[:-1])

    # -- the end ----------------------------------------------------------------------------------

    def _finish(self) -> None:
        if self._root_opaque:
            self._hide_all()
        self._forget_open()
        if () not in self._folders and self._lowers:
            inherited = lowers.attributes(self._lowers, ())
            if inherited is not None:
                self._folders[()] = inherited
        # The deepest first: a folder's own mode may forbid access to its contents.
        for parts in sorted(self._folders, reverse=True):
            try:
                descriptor = self._root.open(parts, _OPEN_FOLDER)
            except (FileNotFoundError, NotADirectoryError):
                continue  # replaced by a later entry
            except OSError as error:
                if error.errno == errno.ELOOP:
                    continue
                raise
            try:
                self._set_metadata(descriptor, self._folders[parts])
            finally:
                os.close(descriptor)

    def _set_metadata(self, descriptor: int, attributes: Attributes) -> None:
        self._privileges.give(descriptor, attributes.uid, attributes.gid)
        if attributes.xattrs:
            _set_xattrs(partial(os.setxattr, descriptor), attributes.xattrs)
        os.fchmod(descriptor, attributes.mode)
        os.utime(descriptor, ns=_times(attributes.mtime_ns))

    def _hide_all(self) -> None:
        """Make the root opaque: overlayfs ignores the attribute there, so hide name by name."""
        names = {name for folder in self._lowers for name in os.listdir(os.fsencode(folder))}
        for name in sorted(names):
            self._hide(name, self._root.descriptor)


def _without_privileges(entry: Entry, handover: Handover) -> Entry:
    mode = handover.mode(entry.mode)
    xattrs = handover.xattrs(entry.xattrs) if entry.xattrs else entry.xattrs
    return (
        entry
        if (mode, xattrs) == (entry.mode, entry.xattrs)
        else entry._replace(mode=mode, xattrs=xattrs)
    )


def _attributes(entry: Entry) -> Attributes:
    return Attributes(entry.mode, entry.uid, entry.gid, entry.mtime_ns, entry.xattrs)


def _same(one: bytes, one_parent: int, other: bytes, other_parent: int) -> bool:
    first, second = at.look(one_parent, one), at.look(other_parent, other)
    return first is not None and second is not None and os.path.samestat(first, second)


def _times(mtime_ns: int) -> tuple[int, int]:
    clamped = max(-_MAX_TIME, min(_MAX_TIME, mtime_ns))
    return clamped, clamped


def _set_xattrs(set_one: Callable[[bytes, bytes], object], xattrs: dict[bytes, bytes]) -> None:
    for name, value in xattrs.items():
        if name.startswith((*OVERLAY_NAMESPACES, OWNER_MARK)):
            continue  # they would affect the overlay mount, or contradict the owner
        try:
            set_one(name, value)
        except OSError as error:
            if error.errno not in _XATTR_REFUSED:
                raise
