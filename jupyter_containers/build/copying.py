"""COPY and ADD into a root: what lands where, and with which owner, mode and times.

Rules (Dockerfile reference, "COPY"; where engines differ, BuildKit):

- A folder's *contents* are copied into the destination; a file goes into a destination that is a
  folder (it exists as one, or is written with a final ``/``) and otherwise becomes it.
- Missing folders of the destination are created 0755 with the copy's owner.
- Links in the destination are followed, inside the root; a file replaces a file or link, never a
  folder.
- Modes, times, extended attributes and hard links among the copied files are kept.
"""

from __future__ import annotations

import os
import posixpath
import stat
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.modes import ModeChange
from jupyter_containers.build.tree import NO_RULES, Entry, Source, SourceTree
from jupyter_containers.build.users import Owner
from jupyter_containers.errors import BuildError, StorageError
from jupyter_containers.events import CancelToken
from jupyter_containers.trees.owners import give, give_entry
from jupyter_containers.trees.rooted import Root

_CHUNK = 8 << 20


@dataclass(frozen=True, slots=True)
class CopyRules:
    """None keeps each file's own ``owner``, ``mode`` and ``time_ns``."""

    owner: Owner | None = None
    mode: ModeChange | None = None
    exclude: IgnoreRules = NO_RULES
    time_ns: int | None = None


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
        """Copy each source; raise :class:`BuildError` naming the file that cannot be."""
        for source in sources:
            target = self.destination.strip("/")
            try:
                target = self.place(source)
                self._copy_one(tree, source, target)
            except OSError as error:
                raise _wrapped(error, target) from error

    def copy_with_parents(self, tree: SourceTree, sources: Iterable[Source]) -> None:
        """Copy each source below the folders that stand above it (``--parents``)."""
        for source in sources:
            target = self.destination.strip("/")
            try:
                target = self.root.make_folders(self.destination, 0o755, *self._new_owner)
                for kept, entry in tree.ancestors(source):
                    target = self._folder_like(tree, entry, target, posixpath.basename(kept))
                if not source.is_folder:
                    target = f"{target}/{source.name}" if target else source.name
                self._copy_one(tree, source, target)
            except OSError as error:
                raise _wrapped(error, target) from error

    def _folder_like(self, tree: SourceTree, entry: Entry, above: str, name: str) -> str:
        place = f"{above}/{name}" if above else name
        fresh = self.root.stat(place) is None
        place = self._make_folder(place)
        if fresh:
            self._finish(tree, entry, place)
        return place

    def place(self, source: Source) -> str:
        """Return the canonical path where ``source`` goes, its folder created."""
        if source.is_folder:
            return self.folder(self.destination)
        return self.file_place(source.name)

    def file_place(self, name: str) -> str:
        """Return the canonical path of a file called ``name``, its folder created."""
        if self.destination.endswith("/"):
            self.folder(self.destination)
        target = self.root.resolve(self.destination)
        status = self.root.stat(target)
        if status is not None and stat.S_ISDIR(status.st_mode):
            return f"{target}/{name}" if target else name
        self.folder(posixpath.dirname(target))
        return target

    def folder(self, path: str) -> str:
        """Return a folder of the destination in canonical form, created where missing."""
        change, mode = self.rules.mode, 0o755
        if change is not None and change.octal is not None:
            # As BuildKit has it: new folders get the files' mode less what its umask takes away,
            # and a symbolic one leaves them alone.
            mode = change.octal & 0o755
        return self.root.make_folders(path, mode, *self._new_owner)

    def write(self, name: str, data: bytes, mode: int = 0o644) -> None:
        """Create a file called ``name`` that holds ``data`` (an inline document)."""
        target = self.destination.strip("/")
        try:
            target = self.file_place(name)
            self._make_way(target)
            fd = self.root.open_path(
                target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600
            )
            with os.fdopen(fd, "wb") as stream:
                stream.write(data)
                give(stream.fileno(), *self._new_owner)
                change = self.rules.mode
                os.fchmod(stream.fileno(), change.apply(mode, folder=False) if change else mode)
        except OSError as error:
            raise _wrapped(error, target) from error

    def _copy_one(self, tree: SourceTree, source: Source, target: str) -> None:
        places = {"": target}
        later: list[tuple[Entry, str]] = []
        for entry in tree.walk(source, self.rules.exclude):
            self.cancel.check()
            if not entry.below:
                if not source.is_folder:
                    self._copy_file(tree, entry, target)
                continue
            parent, _, name = entry.below.rpartition("/")
            place = f"{places[parent]}/{name}" if places[parent] else name
            if entry.kind == stat.S_IFDIR:
                places[entry.below] = self._make_folder(place)
                later.append((entry, places[entry.below]))
            else:
                self._copy_file(tree, entry, place)
        # Times of folders last: copying into them changes them.
        for entry, place in reversed(later):
            self._finish(tree, entry, place)

    def _make_folder(self, place: str) -> str:
        status = self.root.stat(place)
        if status is None:
            os.mkdir(place, 0o700, dir_fd=self.root.descriptor)
            return place
        resolved = self.root.resolve(place)
        final = self.root.stat(resolved)
        if final is None or not stat.S_ISDIR(final.st_mode):
            raise BuildError(f"cannot copy a folder over the file /{place}")
        return resolved

    def _make_way(self, place: str) -> None:
        status = self.root.stat(place)
        if status is None:
            return
        if stat.S_ISDIR(status.st_mode):
            raise BuildError(f"cannot copy a file over the folder /{place}")
        os.unlink(place, dir_fd=self.root.descriptor)

    def _copy_file(self, tree: SourceTree, entry: Entry, place: str) -> None:
        self._make_way(place)
        status = entry.status
        if entry.kind == stat.S_IFLNK:
            os.symlink(entry.target, place, dir_fd=self.root.descriptor)
        elif entry.kind == stat.S_IFREG:
            identity = (status.st_dev, status.st_ino)
            earlier = self.links.get(identity) if status.st_nlink > 1 else None
            if earlier is not None:
                os.link(
                    earlier, place, src_dir_fd=self.root.descriptor, dst_dir_fd=self.root.descriptor
                )
                return
            self._copy_bytes(tree, entry, place)
            if status.st_nlink > 1:
                self.links[identity] = place
        else:
            os.mknod(place, entry.kind | 0o600, status.st_rdev, dir_fd=self.root.descriptor)
        self._finish(tree, entry, place)

    def _copy_bytes(self, tree: SourceTree, entry: Entry, place: str) -> None:
        source = tree.open_regular(entry)
        try:
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW
            target = self.root.open_path(place, flags, 0o600)
            try:
                self._transfer(source, target)
            finally:
                os.close(target)
        finally:
            os.close(source)

    def _transfer(self, source: int, target: int) -> None:
        offset = 0
        while sent := os.sendfile(target, source, offset, _CHUNK):
            offset += sent
            self.cancel.check()

    def _finish(self, tree: SourceTree, entry: Entry, place: str) -> None:
        """Give the copied file its owner, mode, attributes and times, in this order."""
        status = entry.status
        if self.rules.owner:
            uid, gid = self.rules.owner.uid, self.rules.owner.gid
        else:
            uid, gid = (status.st_uid, status.st_gid) if tree.keep_owner else (0, 0)
        with self.root.place(place) as (directory, name):
            give_entry(directory, name, uid, gid)
        if entry.kind != stat.S_IFLNK:
            mode, folder = stat.S_IMODE(status.st_mode), entry.kind == stat.S_IFDIR
            change = self.rules.mode
            final = change.apply(mode, folder=folder) if change else mode
            os.chmod(place, final, dir_fd=self.root.descriptor)
        where = self.root.kernel_path(place)
        for key, value in tree.xattrs(entry.path):
            os.setxattr(where, key, value, follow_symlinks=False)
        time_ns = self.rules.time_ns
        times = (status.st_atime_ns, status.st_mtime_ns) if time_ns is None else (time_ns, time_ns)
        os.utime(place, ns=times, dir_fd=self.root.descriptor, follow_symlinks=False)


def is_folder_destination(text: str) -> bool:
    """True when a destination is written as a folder."""
    return text in ("", ".") or text.endswith(("/", "/."))


def absolute_destination(text: str, working_dir: str) -> str:
    """Return the destination as an absolute path; a final ``/`` says it is a folder."""
    path = posixpath.normpath(posixpath.join("/", working_dir or "/", text)).replace("//", "/", 1)
    return path.rstrip("/") + "/" if is_folder_destination(text) else path


def needs_slash(sources: Sequence[object], destination: str) -> bool:
    """True when several sources go to a destination that is not written as a folder."""
    return len(sources) > 1 and not is_folder_destination(destination)


def _wrapped(error: OSError, target: str) -> BuildError | StorageError:
    if error.errno in (28, 122):
        return StorageError(f"cannot write /{target}: {error.strerror}", hint="free disk space")
    return BuildError(f"cannot write /{target}: {error.strerror}")
