"""Copies a tree into a directory that others may change at the same time.

The copy keeps what Docker keeps when it first fills a volume: kinds, owners, modes with the
set-user-ID bits, times, extended attributes, holes, and the hard links inside the tree.  The source
must not change.  Every entry in the target is created, one name below a descriptor: an existing
entry stays as it is, and an entry that replaces a new one gets no owner, mode or attribute.
"""

from __future__ import annotations

import errno
import os
import stat
from contextlib import suppress
from typing import NamedTuple

from jupyter_containers.trees import at
from jupyter_containers.trees.folders import Folders
from jupyter_containers.trees.linux import O_PATH
from jupyter_containers.trees.owners import give
from jupyter_containers.trees.rooted import Root
from jupyter_containers.trees.walk import Found, walk

# Another process created it first, or moved a directory away: its entry stays.
_TAKEN = {
    errno.EEXIST, errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.EISDIR, errno.EINVAL,
}  # fmt: skip
_NOT_ALLOWED = {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EINVAL}
_PIECE = 1 << 30

_Identity = tuple[int, int]


class _Attributes(NamedTuple):
    """The attributes of a file, for its copy."""

    status: os.stat_result
    xattrs: dict[str, bytes]

    @classmethod
    def at(cls, descriptor: int, status: os.stat_result | None = None) -> _Attributes:
        place = at.path_of(descriptor)
        names = os.listxattr(place)
        found = {name: os.getxattr(place, name) for name in names}
        return cls(status or os.fstat(descriptor), found)


def copy_tree(source: int, target: int) -> None:
    """Copy the contents and the attributes of one open directory into another.

    Device nodes are left out where the kernel does not allow them.  Raises :class:`OSError`.
    """
    with Root(at.path_of(target)) as root, Folders(root) as folders:
        _Copy(root, folders).contents(source)
    _set_attributes(target, _Attributes.at(source))


def copy_file(source: int, target: int) -> None:
    """Copy the data and attributes of an open regular file into another open one."""
    _copy_data(source, target, os.fstat(source).st_size)
    _set_attributes(target, _Attributes.at(source))


class _Copy:
    def __init__(self, root: Root, folders: Folders) -> None:
        self._root, self._folders = root, folders
        self._made: list[tuple[str, _Identity, _Attributes]] = []
        self._links: dict[_Identity, tuple[str, _Identity]] = {}

    def contents(self, source: int) -> None:
        for found in walk(source):
            try:
                self._entry(found, os.fsdecode(found.path))
            except OSError as error:
                if error.errno not in _TAKEN:
                    raise
        # Last, because creating entries in a directory changes its times.
        for path, identity, look in reversed(self._made):
            with suppress(FileNotFoundError, NotADirectoryError), self._reopen(path) as made:
                if made.is_one(identity):
                    _set_attributes(made.descriptor, look)

    def _entry(self, found: Found, path: str) -> None:
        directory, name = self._folders.above(path)
        if stat.S_ISDIR(found.status.st_mode):
            at.mkdir(directory, name)
            with _Opened(at.enter(directory, name)) as made, _source(found) as source:
                self._made.append(
                    (path, made.identity, _Attributes.at(source.descriptor, found.status))
                )
        elif not self._link_copied(found, directory, name):
            with _Opened(_make(found, directory, name)) as made:
                if found.status.st_nlink > 1:
                    self._links[_identity(found.status)] = path, made.identity

    def _link_copied(self, found: Found, directory: int, name: str) -> bool:
        """Make another hard link to a file copied before; return False if there is none."""
        path, identity = self._links.get(_identity(found.status), ("", (0, 0)))
        if not path:
            return False
        try:
            with self._reopen(path) as first:
                if not first.is_one(identity):
                    return False
                at.link_open(first.descriptor, directory, name)
        except OSError as error:
            if error.errno == errno.EEXIST or error.errno not in _TAKEN:
                raise
            return False
        return True

    def _reopen(self, path: str) -> _Opened:
        parts = tuple(os.fsencode(path).split(b"/"))
        return _Opened(self._root.open(parts, O_PATH | os.O_NOFOLLOW, links=False))


class _Opened:
    """A descriptor, closed at the end of the block."""

    def __init__(self, descriptor: int) -> None:
        self.descriptor = descriptor

    def __enter__(self) -> _Opened:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.descriptor)

    @property
    def identity(self) -> _Identity:
        return _identity(os.fstat(self.descriptor))

    def is_one(self, identity: _Identity) -> bool:
        return self.identity == identity


def _make(found: Found, directory: int, name: str) -> int:
    """Create the copy of an entry that is not a directory; return its descriptor."""
    kind = stat.S_IFMT(found.status.st_mode)
    if kind == stat.S_IFREG:
        return _file(found, directory, name)
    if kind == stat.S_IFLNK:
        return _link(found, directory, name)
    device = found.status.st_rdev if kind in (stat.S_IFCHR, stat.S_IFBLK) else 0
    try:
        made = at.new_node(directory, name, kind, device)
    except PermissionError as error:
        if not device:
            raise
        raise FileNotFoundError(errno.ENOENT, "nobody may make a device here", name) from error
    with _closing_on_error(made), _source(found) as source:
        _set_attributes(made, _Attributes.at(source.descriptor, found.status))
    return made


def _file(found: Found, directory: int, name: str) -> int:
    made = at.create(directory, name)
    with _closing_on_error(made), _Opened(at.open_regular(found.directory, found.name)) as source:
        copy_file(source.descriptor, made)
    return made


def _link(found: Found, directory: int, name: str) -> int:
    at.symlink(at.readlink(found.directory, found.name), directory, name)
    made = at.open_path(directory, name)
    with _closing_on_error(made):
        if not stat.S_ISLNK(os.fstat(made).st_mode):
            raise OSError(errno.EINVAL, "another file has taken its place", name)
        status = found.status
        # By descriptor: a path there ends at the link itself.
        try:
            os.chown(at.path_of(made), status.st_uid, status.st_gid)
        except OSError as error:  # the user does not exist here, and a link cannot be marked
            if error.errno not in _NOT_ALLOWED:
                raise
        os.utime(at.path_of(made), ns=(status.st_atime_ns, status.st_mtime_ns))
    return made


def _source(found: Found) -> _Opened:
    return _Opened(at.open_path(found.directory, found.name))


def _set_attributes(target: int, look: _Attributes) -> None:
    """Set the attributes of an open file, in an order in which none resets another."""
    place, status = at.path_of(target), look.status
    give(place, status.st_uid, status.st_gid)
    for name, value in look.xattrs.items():
        try:
            os.setxattr(place, name, value)
        except OSError as error:
            if error.errno not in _NOT_ALLOWED:
                raise
    os.chmod(place, stat.S_IMODE(status.st_mode))
    os.utime(place, ns=(status.st_atime_ns, status.st_mtime_ns))


def _copy_data(source: int, target: int, size: int) -> None:
    """Copy the parts of a file that are not holes."""
    start = 0
    while start < size:
        try:
            start = os.lseek(source, start, os.SEEK_DATA)
            end = os.lseek(source, start, os.SEEK_HOLE)
        except OSError as error:
            if error.errno == errno.ENXIO:
                break  # only a hole remains
            end = size  # a file system without holes
        os.lseek(target, start, os.SEEK_SET)
        while start < end:
            sent = os.sendfile(target, source, start, min(end - start, _PIECE))
            if not sent:
                return
            start += sent
    os.ftruncate(target, size)


class _closing_on_error:  # noqa: N801  # used as a word of a with statement
    """Close a descriptor if the block raises."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is not None:
            os.close(self._descriptor)


def _identity(status: os.stat_result) -> _Identity:
    return status.st_dev, status.st_ino
