"""The sources of COPY and ADD: a tree of files under a root, filtered by ignore rules.

Vocabulary: a *source* is one path that an instruction names or a wildcard matches; a *walk* lists a
source and everything below it, folders first, sorted by name.  Sockets and ignored files do not
exist here.

A container may have access to a context too, and change it at any time: every file is reached by
one name in an open folder.
"""

from __future__ import annotations

import difflib
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from jupyter_containers.build.digests import FileDigests
from jupyter_containers.build.ignorefile import IgnoreRules
from jupyter_containers.build.patterns import glob, has_wildcard, unescape
from jupyter_containers.errors import BuildError
from jupyter_containers.lazy_dataclasses import dataclass, replace
from jupyter_containers.lazy_modules import hashlib
from jupyter_containers.trees import at
from jupyter_containers.trees.folders import Folders
from jupyter_containers.trees.rooted import Root

_CHUNK = 1 << 20
NO_RULES = IgnoreRules()


@dataclass(frozen=True, slots=True)
class Source:
    """A file or folder to copy: its canonical ``path``, and its ``name`` in the target folder.

    ``kept`` is the path that ``--parents`` keeps, below the folder ``pivot``.
    """

    path: str
    name: str
    is_folder: bool
    pivot: str = ""
    kept: str = ""

    def named(self, name: str) -> Source:
        """Return the same file with another name."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a walk; ``below`` is its path from the walk's source, empty for the source."""

    path: str
    below: str
    status: os.stat_result
    target: str = ""

    @property
    def kind(self) -> int:
        """The file's type, as in ``stat.S_IFMT``."""
        return stat.S_IFMT(self.status.st_mode)


class SourceTree:
    """A root, and the rules for what is visible in it.

    ``keep_owner`` is false for a build context, whose files belong to 0:0.  ``digests`` cache the
    digests of files; builds share them so that a file is read once.  A file that ``leave_out``
    matches is skipped in a walk of its folder, unless ``rules`` include it by ``!``; ``left_out``
    has the names of such files.

    A tree may serve several threads; :meth:`reading` yields a faster one, for one thread.
    """

    def __init__(
        self,
        root: Root,
        rules: IgnoreRules = NO_RULES,
        *,
        keep_owner: bool = False,
        digests: FileDigests | None = None,
        folders: Folders | None = None,
        leave_out: IgnoreRules = NO_RULES,
    ) -> None:
        self.root = root
        self.rules = rules
        self.keep_owner = keep_owner
        self.digests = digests or FileDigests()
        self.left_out: set[str] = set()
        self._kept = folders
        self._leave_out = leave_out

    @contextmanager
    def reading(self) -> Iterator[SourceTree]:
        """Yield the same tree with folders that stay open during the block; for one thread."""
        with Folders(self.root) as folders:
            yield self._with(folders)

    def _with(self, folders: Folders) -> SourceTree:
        tree = SourceTree(
            self.root,
            self.rules,
            keep_owner=self.keep_owner,
            digests=self.digests,
            folders=folders,
            leave_out=self._leave_out,
        )
        tree.left_out = self.left_out
        return tree

    def _open(self) -> AbstractContextManager[Folders]:
        """Return folders for one operation."""
        return Folders(self.root) if self._kept is None else nullcontext(self._kept)

    def find(self, pattern: str, *, parents: bool = False) -> tuple[Source, ...]:
        """Return the sources for ``pattern``; links are followed.

        A wildcard (Go's ``filepath.Match``) may match nothing; a plain path that does not exist
        raises :class:`BuildError`.  With ``parents`` the sources know the path to keep, and ``**``
        stands for any number of folders.
        """
        pivot = _pivot(pattern) if parents else ""
        clean = posixpath.normpath("/" + pattern).lstrip("/")
        if not has_wildcard(clean):
            path = unescape(clean)
            return (self._source(path, pattern, pivot),)
        names = clean.split("/")
        first = next(index for index, name in enumerate(names) if has_wildcard(name))
        found = ["/".join(names[:first])]
        for name in names[first:]:
            if parents and name == "**":
                found = [path for start in found for path in self._folders(start)]
            else:
                found = [path for start in found for path in self._matching(start, name)]
        sources = (self._find_one(path, pattern, pivot) for path in dict.fromkeys(found))
        return tuple(source for source in sources if source)

    def _matching(self, start: str, pattern: str) -> list[str]:
        folder = self.root.resolve(start)
        status = self.root.stat(folder)
        if status is None or not stat.S_ISDIR(status.st_mode):
            return []
        expression = glob(pattern)
        names = [name for name in self._names(folder) if expression.fullmatch(name)]
        return [f"{start}/{name}" if start else name for name in names]

    def _folders(self, start: str) -> list[str]:
        """Return a folder and all folders below it; links are not followed."""
        found, todo = [], [start]
        while todo:
            path = todo.pop()
            status = self.root.stat(path)
            if status is not None and stat.S_ISDIR(status.st_mode):
                found.append(path)
                todo += [f"{path}/{name}" if path else name for name in self._names(path)]
        return sorted(found)

    def ancestors(self, source: Source) -> Iterator[tuple[str, Entry]]:
        """Yield the folders that a source keeps above it, outermost first, and itself if one."""
        names = source.kept.split("/")
        names = names if source.is_folder else names[:-1]
        for count in range(1, len(names) + 1):
            kept = "/".join(names[:count])
            path = self.root.resolve(f"{source.pivot}/{kept}")
            status = self.root.stat(path)
            if status is not None and stat.S_ISDIR(status.st_mode):
                yield kept, Entry(path, "", status)

    def _find_one(self, path: str, pattern: str, pivot: str) -> Source | None:
        try:
            return self._source(path, pattern, pivot)
        except (BuildError, OSError):
            return None

    def _source(self, path: str, pattern: str, pivot: str) -> Source:
        canonical = self.root.resolve(path)
        status = self.root.stat(canonical)
        if status is None or stat.S_ISSOCK(status.st_mode):
            raise BuildError(
                f"{pattern!r} not found",
                culprit=pattern,
                hint=self._similar(path)
                or ("" if self.keep_owner else "sources are relative to the context"),
            )
        folder = stat.S_ISDIR(status.st_mode)
        state = self._state(canonical)
        if self.rules.verdict(state) and not (folder and self._is_included_again(canonical, state)):
            raise BuildError(
                f"{pattern!r} not found: excluded by .dockerignore",
                culprit=pattern,
                hint=f"include it again with a final line !{canonical} there",
            )
        kept = path.removeprefix(f"{pivot}/") if pivot else path
        return Source(canonical, posixpath.basename(path), folder, pivot, kept)

    def _similar(self, path: str) -> str:
        """Return a hint with a name similar to the first missing part of a path."""
        above, names = "", path.split("/")
        for name in names:
            here = self.root.resolve(f"{above}/{name}" if above else name)
            if self.root.stat(here) is None:
                break
            above = here
        try:
            known = [one for one in self._names(above) if not self._is_hidden(above, one)]
        except OSError:
            return ""
        near = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
        if not near:  # another case is not similar to the matcher: Readme, README
            near = [one for one in known if one.casefold() == name.casefold()]
        return f"did you mean {posixpath.join(above, near[0])}?" if near else ""

    def _is_hidden(self, folder: str, name: str) -> bool:
        return self.rules.verdict(self._state(f"{folder}/{name}" if folder else name))

    def _is_included_again(self, folder: str, state: int) -> bool:
        """Return whether something is included again inside an ignored folder."""
        if not self.rules.may_return(folder, state):
            return False
        with self._open() as folders:
            inside = self._below(folders, folder, "", state, 0, NO_RULES)
            return next(inside, None) is not None

    def _state(self, path: str) -> int:
        state = self.rules.start()
        if not self.rules or not path:
            return state
        parts = path.split("/")
        for count in range(1, len(parts) + 1):
            state = self.rules.step(state, "/".join(parts[:count]))
        return state

    def _names(self, folder: str) -> list[str]:
        with self._open() as folders:
            return at.names(folders.open(folder))

    def walk(self, source: Source, exclude: IgnoreRules = NO_RULES) -> Iterator[Entry]:
        """Yield the source and the entries below it that ``exclude`` does not match.

        A file that was named, or matched by a wildcard, is never excluded, as in BuildKit.
        """
        status = self.root.stat(source.path)
        if status is None:
            raise BuildError(f"/{source.path} vanished during the build")
        with self._open() as folders:
            yield Entry(source.path, "", status, _target(folders, source.path, status))
            if source.is_folder:
                state = self._state(source.path)
                yield from self._below(folders, source.path, "", state, 0, exclude)

    def _below(
        self,
        folders: Folders,
        folder: str,
        below: str,
        state: int,
        excluded: int,
        exclude: IgnoreRules,
    ) -> Iterator[Entry]:
        try:
            names = at.names(folders.open(folder))
        except OSError as error:
            raise _unreadable(folder, error) from error
        for name in names:
            path = f"{folder}/{name}" if folder else name
            inner = f"{below}/{name}" if below else name
            here = self.rules.step(state, path) if self.rules else 0
            out = exclude.step(excluded, inner) if exclude else 0
            hidden = self.rules.verdict(here)
            if not hidden and self._leaves_out(path, here):
                self.left_out.add(path)
                continue
            left_out = exclude.verdict(out)
            try:
                status = at.look(folders.open(folder), name)
            except OSError as error:
                raise _unreadable(path, error) from error
            if status is None or stat.S_ISSOCK(status.st_mode):
                continue
            is_folder = stat.S_ISDIR(status.st_mode)
            if (hidden and not (is_folder and self.rules.may_return(path, here))) or (
                left_out and not (is_folder and exclude.may_return(inner, out))
            ):
                continue
            entry = Entry(path, inner, status, _target(folders, path, status))
            if not is_folder:
                yield entry
                continue
            inside = self._below(folders, path, inner, here, out, exclude)
            if hidden or left_out:
                # An ignored folder exists only for the entries included again inside it.
                first = next(inside, None)
                if first is None:
                    continue
                yield entry
                yield first
            else:
                yield entry
            yield from inside

    def _leaves_out(self, path: str, state: int) -> bool:
        """Return whether a walk skips ``path``, which ``rules`` neither exclude nor include."""
        return state == 0 and bool(self._leave_out) and self._leave_out.ignores(path)

    def xattrs(self, path: str) -> tuple[tuple[str, bytes], ...]:
        """Return the extended attributes that belong to the file, not to the file system."""
        try:
            if not path:
                return _xattrs_of_root(self.root.descriptor)
            if self._kept is not None:
                return _xattrs(*self._kept.above(path))
            with Folders(self.root) as folders:
                return _xattrs(*folders.above(path))
        except OSError:
            return ()

    def digest(self, entry: Entry) -> str:
        """Return a digest of everything that a copy of the entry keeps, except its times."""
        known = self.digests.known(entry.path, entry.status)
        if known is None:
            began = self.digests.now()
            known = self._digest(entry)
            self.digests.remember(entry.path, entry.status, known, began)
        return known

    def _digest(self, entry: Entry) -> str:
        status = entry.status
        owner = (status.st_uid, status.st_gid) if self.keep_owner else (0, 0)
        size = status.st_size if stat.S_ISREG(status.st_mode) else 0
        device = status.st_rdev if entry.kind in (stat.S_IFBLK, stat.S_IFCHR) else 0
        total = hashlib.sha256(
            repr(
                (status.st_mode, owner, size, device, entry.target, self.xattrs(entry.path))
            ).encode("utf-8", "surrogateescape")
        )
        if stat.S_ISREG(status.st_mode):
            fd = self.open_regular(entry)
            with os.fdopen(fd, "rb", buffering=0) as stream:
                while chunk := stream.read(_CHUNK):
                    total.update(chunk)
        return total.hexdigest()

    def open_regular(self, entry: Entry) -> int:
        """Return a descriptor for reading a regular file."""
        try:
            if self._kept is not None:
                return at.open_regular(*self._kept.above(entry.path))
            with Folders(self.root) as folders:
                return at.open_regular(*folders.above(entry.path))
        except OSError as error:
            raise _unreadable(entry.path, error) from error


def _pivot(pattern: str) -> str:
    """Return the folder above the path that ``--parents`` keeps: the part before ``/./``."""
    before, found, _ = pattern.removeprefix("./").partition("/./")
    return posixpath.normpath("/" + before).lstrip("/") if found else ""


def _unreadable(path: str, error: OSError) -> BuildError:
    return BuildError(f"cannot read /{path}: {error.strerror}")


def _target(folders: Folders, path: str, status: os.stat_result) -> str:
    if not stat.S_ISLNK(status.st_mode):
        return ""
    try:
        return os.fsdecode(at.readlink(*folders.above(path)))
    except OSError as error:
        raise _unreadable(path, error) from error


def _xattrs(directory: int, name: str) -> tuple[tuple[str, bytes], ...]:
    found = at.listxattr(directory, name)
    if not found:
        return ()
    kept = sorted(filter(_portable, found))
    return tuple((each, at.getxattr(directory, name, each)) for each in kept)


def _xattrs_of_root(descriptor: int) -> tuple[tuple[str, bytes], ...]:
    kept = sorted(filter(_portable, os.listxattr(descriptor)))
    return tuple((name, os.getxattr(descriptor, name)) for name in kept)


def _portable(name: str) -> bool:
    return not name.startswith(("trusted.overlay.", "user.overlay.", "system.")) and (
        name != "security.selinux"
    )
