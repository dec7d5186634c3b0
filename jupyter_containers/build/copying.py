"""Copies files for COPY and ADD into a root, with owner, mode and times.

Rules (Dockerfile reference, "COPY"; BuildKit's where engines differ):

- A folder's *contents* are copied into the destination; a file goes into a destination that is a
  folder (it exists as one, or is written with a final ``/``) and otherwise becomes it.
- Missing folders of the destination are created 0755 with the copy's owner.
- Links in the destination are followed, inside the root; a file replaces a file or link, never a
  folder.
- Modes, times, extended attributes and hard links among the copied files are kept.

Other processes may change the destination at the same time (``-o FOLDER``): everything is created
by one name in an open folder, and finished through the descriptor that created it.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.modes import ModeChange
from jupyter_containers.build.tree import NO_RULES, Entry, Source, SourceTree
from jupyter_containers.build.users import Owner
from jupyter_containers.errors import BuildError, StorageError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.trees import at
from jupyter_containers.trees.folders import Folders
from jupyter_containers.trees.handover import Handover
from jupyter_containers.trees.owners import give, give_entry
from jupyter_containers.trees.rooted import Root

_CHUNK = 8 << 20


@dataclass(frozen=True, slots=True)
class CopyRules:
    """None keeps each file's own ``owner``, ``mode`` and ``time_ns``.

    With ``handover`` the files go to the host, without their privileges.
    """

    owner: Owner | None = None
    mode: ModeChange | None = None
    exclude: IgnoreRules = NO_RULES
    time_ns: int | None = None
    handover: Handover | None = None


@dataclass(slots=True)
class Copier:
    """Copies into ``root`` at ``destination`` (absolute; a final ``/`` makes it a folder)."""

    root: Root
    destination: str
    rules: CopyRules
    cancel: CancelToken
    links: dict[tuple[int, int], str] = field(default_factory=dict)

    @property
    def _new_owner(self) -> tuple[int, int]:
        owner = self.rules.owner
        return (owner.uid, owner.gid) if owner else (0, 0)

    def copy(self, tree: SourceTree, sources: Iterable[Source]) -> None:
        """Copy each source; raise :class:`BuildError`, which names the file that failed."""
        with tree.reading() as reading, self._open_writer() as writer:
            for source in sources:
                target = self.destination.strip("/")
                try:
                    target = self.place(source)
                    writer.copy(reading, source, target)
                except OSError as error:
                    raise _wrap_error(error, target) from error

    def copy_with_parents(self, tree: SourceTree, sources: Iterable[Source]) -> None:
        """Copy each source below its parent folders (``--parents``)."""
        with tree.reading() as reading, self._open_writer() as writer:
            for source in sources:
                target = self.destination.strip("/")
                try:
                    target = self.root.make_folders(self.destination, 0o755, *self._new_owner)
                    for kept, entry in reading.ancestors(source):
                        name = posixpath.basename(kept)
                        target = writer.folder_like(reading, entry, _join(target, name))
                    if not source.is_folder:
                        target = _join(target, source.name)
                    writer.copy(reading, source, target)
                except OSError as error:
                    raise _wrap_error(error, target) from error

    @contextmanager
    def _open_writer(self) -> Iterator[_Writer]:
        with Folders(self.root) as folders:
            yield _Writer(self.root, folders, self.rules, self.cancel, self.links)

    def place(self, source: Source) -> str:
        """Return the canonical target path of ``source``; create its folder."""
        if source.is_folder:
            return self.folder(self.destination)
        return self.file_place(source.name)

    def file_place(self, name: str) -> str:
        """Return the canonical path of a file called ``name``; create its folder."""
        if self.destination.endswith("/"):
            self.folder(self.destination)
        target = self.root.resolve(self.destination)
        status = self.root.stat(target)
        if status is not None and stat.S_ISDIR(status.st_mode):
            return f"{target}/{name}" if target else name
        self.folder(posixpath.dirname(target))
        return target

    def folder(self, path: str) -> str:
        """Return a folder of the destination in canonical form; create it if it is missing."""
        change, mode = self.rules.mode, 0o755
        if change is not None and change.octal is not None:
            # As in BuildKit: new folders get the files' mode restricted by its umask; a symbolic
            # mode does not apply to them.
            mode = change.octal & 0o755
        return self.root.make_folders(path, mode, *self._new_owner)

    def write(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Create a file called ``name`` with the contents ``data`` (an inline document)."""
        target = self.destination.strip("/")
        try:
            target = self.file_place(name)
            with self._open_writer() as writer:
                fd = at.create(*writer.way(target))
            with os.fdopen(fd, "wb") as stream:
                stream.write(data)
                give(stream.fileno(), *self._new_owner)
                change = self.rules.mode
                os.fchmod(stream.fileno(), change.apply(mode, folder=False) if change else mode)
        except OSError as error:
            raise _wrap_error(error, target) from error


@dataclass(slots=True)
class _Writer:
    """Creates files of the destination by canonical paths; raises :class:`OSError`."""

    root: Root
    folders: Folders
    rules: CopyRules
    cancel: CancelToken
    links: dict[tuple[int, int], str]

    def copy(self, tree: SourceTree, source: Source, target: str) -> None:
        """Copy a source to ``target``."""
        places = {"": target}
        later: list[tuple[Entry, str]] = []
        for entry in tree.walk(source, self.rules.exclude):
            self.cancel.check()
            if not entry.below:
                if not source.is_folder:
                    self._copy_file(tree, entry, target)
                continue
            parent, _, name = entry.below.rpartition("/")
            place = _join(places[parent], name)
            if entry.kind == stat.S_IFDIR:
                places[entry.below] = self._make_folder(place)
                later.append((entry, places[entry.below]))
            else:
                self._copy_file(tree, entry, place)
        # Times of folders last: copying into them changes them.
        for entry, place in reversed(later):
            self._finish_folder(tree, entry, place)

    def folder_like(self, tree: SourceTree, entry: Entry, place: str) -> str:
        """Return the canonical path of a folder; create it like the source's if it is missing."""
        fresh = at.look(*self.folders.above(place)) is None
        place = self._make_folder(place)
        if fresh:
            self._finish_folder(tree, entry, place)
        return place

    def way(self, place: str) -> tuple[int, str]:
        """Return an open folder and a name in it that is free for a new file."""
        directory, name = self.folders.above(place)
        status = at.look(directory, name)
        if status is not None:
            if stat.S_ISDIR(status.st_mode):
                raise BuildError(f"cannot copy a file over the folder /{place}")
            at.unlink(directory, name)
        return directory, name

    def _make_folder(self, place: str) -> str:
        directory, name = self.folders.above(place)
        status = at.look(directory, name)
        if status is None:
            at.mkdir(directory, name)
            return place
        if stat.S_ISDIR(status.st_mode):
            return place
        resolved = self.root.resolve(place)
        final = self.root.stat(resolved)
        if final is None or not stat.S_ISDIR(final.st_mode):
            raise BuildError(f"cannot copy a folder over the file /{place}")
        return resolved

    def _copy_file(self, tree: SourceTree, entry: Entry, place: str) -> None:
        if self.rules.handover is not None and self.rules.handover.leaves_out(entry.kind):
            return
        directory, name = self.way(place)
        if entry.kind == stat.S_IFLNK:
            at.symlink(entry.target, directory, name)
            self._finish_link(tree, entry, directory, name)
        elif entry.kind == stat.S_IFREG:
            self._copy_regular(tree, entry, place)
        else:
            node = at.new_node(directory, name, entry.kind, entry.status.st_rdev)
            try:
                self._finish(tree, entry, at.path_of(node))
            finally:
                os.close(node)

    def _copy_regular(self, tree: SourceTree, entry: Entry, place: str) -> None:
        status = entry.status
        identity = (status.st_dev, status.st_ino)
        earlier = self.links.get(identity) if status.st_nlink > 1 else None
        if earlier is not None:
            at.link(*self.folders.above(earlier), *self.folders.above(place))
            return
        source = tree.open_regular(entry)
        try:
            target = at.create(*self.folders.above(place))
            try:
                self._transfer(source, target)
                self._finish(tree, entry, target)
            finally:
                os.close(target)
        finally:
            os.close(source)
        if status.st_nlink > 1:
            self.links[identity] = place

    def _transfer(self, source: int, target: int) -> None:
        offset = 0
        while sent := os.sendfile(target, source, offset, _CHUNK):
            offset += sent
            self.cancel.check()

    def _finish_folder(self, tree: SourceTree, entry: Entry, place: str) -> None:
        self._finish(tree, entry, at.path_of(self.folders.open(place)))

    def _finish(self, tree: SourceTree, entry: Entry, target: int | str) -> None:
        """Set owner, mode, attributes and times of a created entry, in this order."""
        give(target, *self._owner(tree, entry))
        mode, change = stat.S_IMODE(entry.status.st_mode), self.rules.mode
        if change is not None:
            mode = change.apply(mode, folder=entry.kind == stat.S_IFDIR)
        handover = self.rules.handover
        os.chmod(target, mode if handover is None else handover.mode(mode))
        for name, value in self._xattrs(tree, entry).items():
            os.setxattr(target, name, value)
        os.utime(target, ns=self._times(entry))

    def _finish_link(self, tree: SourceTree, entry: Entry, directory: int, name: str) -> None:
        give_entry(directory, name, *self._owner(tree, entry))
        for attribute, value in self._xattrs(tree, entry).items():
            at.setxattr(directory, name, attribute, value)
        at.utime(directory, name, self._times(entry))

    def _owner(self, tree: SourceTree, entry: Entry) -> tuple[int, int]:
        if self.rules.owner:
            return self.rules.owner.uid, self.rules.owner.gid
        status = entry.status
        return (status.st_uid, status.st_gid) if tree.keep_owner else (0, 0)

    def _xattrs(self, tree: SourceTree, entry: Entry) -> dict[str, bytes]:
        found, handover = dict(tree.xattrs(entry.path)), self.rules.handover
        return found if handover is None or not found else handover.xattrs(found)

    def _times(self, entry: Entry) -> tuple[int, int]:
        fixed = self.rules.time_ns
        if fixed is not None:
            return fixed, fixed
        return entry.status.st_atime_ns, entry.status.st_mtime_ns


def _join(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def is_folder_destination(text: str) -> bool:
    """Return whether a destination is written as a folder."""
    return text in ("", ".") or text.endswith(("/", "/."))


def absolute_destination(text: str, working_dir: str) -> str:
    """Return the destination as an absolute path; a final ``/`` marks a folder."""
    path = posixpath.normpath(posixpath.join("/", working_dir or "/", text)).replace("//", "/", 1)
    return path.rstrip("/") + "/" if is_folder_destination(text) else path


def needs_slash(sources: Sequence[object], destination: str) -> bool:
    """Return whether several sources have a destination that is not written as a folder."""
    return len(sources) > 1 and not is_folder_destination(destination)


def _wrap_error(error: OSError, target: str) -> BuildError | StorageError:
    if error.errno in (28, 122):
        return StorageError(f"cannot write /{target}: {error.strerror}", hint="free disk space")
    return BuildError(f"cannot write /{target}: {error.strerror}")
