"""The writable directories of containers and build steps: an overlay's upper and work.

One folder for each *key*: ``uppers/<key>/{upper,work}`` for containers, which outlive the process
that created them, or in the staging folder for *transient* keys (build steps), which do not.  Where
nothing can be mounted the upper is a copy of all files, with its ``note`` (:mod:`.copies`) beside
it.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_containers.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.store import copies
from jupyter_containers.store.faults import storage_errors
from jupyter_containers.store.lowers import Attributes
from jupyter_containers.store.privileges import Privileges
from jupyter_containers.store.staging import Staging
from jupyter_containers.trees.rooted import Root
from jupyter_containers.trees.walk import walk

_NOTE = "note"
_KEY = pattern(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,127}")


class Uppers:
    """The uppers of a store."""

    def __init__(self, folder: Path, staging: Staging, privileges: Privileges) -> None:
        self._folder = folder
        self._staging = staging
        self._privileges = privileges

    def prepare(
        self,
        key: str,
        root: Attributes,
        *,
        transient: bool,
        fill: Callable[[Path], copies.Note] | None = None,
    ) -> Path:
        """Create upper and work; the upper gets the owner and mode of the image's ``/``.

        ``fill`` copies the files into the upper.
        """
        path = self._staging.owned(key) if transient else self._folder / _checked(key)
        new = self._staging.new_folder()
        with storage_errors(f"prepare a writable layer for {key}"):
            upper = new / "upper"
            upper.mkdir()
            (new / "work").mkdir(mode=0o700)
            if fill is not None:
                try:
                    copies.save(fill(upper), new / _NOTE)
                except BaseException:
                    self._staging.remove(new)
                    raise
            self._privileges.give(bytes(upper), root.uid, root.gid)
            for name, value in root.xattrs.items():
                os.setxattr(upper, name, value)
            upper.chmod(root.mode)
            os.utime(upper, ns=(root.mtime_ns, root.mtime_ns))
            if path.exists():
                self._staging.remove(new)
                raise AlreadyExistsError(f"a writable layer {key} exists already")
            new.rename(path)
        return path / "upper"

    def keep(self, key: str, name: str) -> None:
        """Make the transient upper ``key`` permanent, under ``name``."""
        with storage_errors(f"keep the writable layer {key}"):
            self._staging.owned(key).rename(self._folder / _checked(name))

    def path(self, key: str) -> Path:
        """Return the key's upper; raise :class:`NotFoundError`."""
        for folder in (self._folder / _checked(key), self._staging.owned(key)):
            if (folder / "upper").is_dir():
                return folder / "upper"
        raise NotFoundError(f"no writable layer {key}")

    def is_copy(self, key: str) -> bool:
        """Return whether the key's upper holds all files of the image."""
        return (self.path(key).parent / _NOTE).exists()

    @contextmanager
    def changes(self, key: str) -> Iterator[Path]:
        """Yield the key's changes to the layers below, in the form of an overlay's upper.

        The folder is read-only for the caller; that of a copy is removed after the block.
        """
        upper = self.path(key)
        if not self.is_copy(key):
            yield upper
            return
        found = self.difference(key)
        try:
            yield found
        finally:
            self._staging.remove(found)

    def difference(self, key: str) -> Path:
        """Return a new staged folder with the changes of a copy."""
        upper, found = self.path(key), self._staging.new_folder()
        with storage_errors(f"find what has changed in {key}"):
            note = copies.load(upper.parent / _NOTE)
            copies.difference(upper, note, found, self._privileges)
        return found

    def discard(self, key: str, *, soon: bool = False) -> None:
        """Remove upper and work; do nothing for a missing key.

        ``soon`` does not wait until the files are deleted.
        """
        remove = self._staging.remove_soon if soon else self._staging.remove
        for folder in (self._folder / _checked(key), self._staging.owned(key)):
            remove(folder)

    def keys(self) -> list[str]:
        """Return the keys of containers, in order."""
        return sorted(os.listdir(self._folder))

    def size(self, key: str) -> int:
        """Return the bytes of the regular files in the upper; a hard link counts once.

        Returns 0 for a missing key: a container may be removed during the calculation.
        """
        try:
            upper = self.path(key)
            note = upper.parent / _NOTE
            if note.exists():
                return copies.changed_bytes(upper, copies.load(note))
        except (NotFoundError, FileNotFoundError):
            return 0
        return tree_size(upper)


def tree_size(path: Path) -> int:
    """Return the bytes of the regular files below ``path``; a hard link counts once."""
    seen: set[int] = set()
    total = 0
    with suppress(FileNotFoundError, PermissionError), Root(path) as root:
        for found in walk(root.descriptor):
            state = found.status
            if stat.S_ISREG(state.st_mode) and state.st_ino not in seen:
                if state.st_nlink > 1:
                    seen.add(state.st_ino)
                total += state.st_size
    return total


def _checked(key: str) -> str:
    if not _KEY.fullmatch(key):
        raise InvalidArgumentError(f"not a key of a writable layer: {key!r}")
    return key
