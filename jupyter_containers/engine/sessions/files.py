"""The files of a session: read, write, list, remove, watch.

Relative paths begin in the container's working folder.  Every path is resolved inside the
container (:mod:`~jupyter_containers.trees.rooted`), so no link leads out of it.
"""

from __future__ import annotations

import io
import posixpath
import tarfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, cast

from jupyter_containers.errors import (
    ContainersError,
    InvalidArgumentError,
    NotFoundError,
    StorageError,
)

if TYPE_CHECKING:
    from jupyter_containers.engine.collection import Items
    from jupyter_containers.engine.containers.folders import FolderEntry
    from jupyter_containers.engine.containers.service import ContainerService

# As the session's user, and with its rights.
_WRITE = 'mkdir -p -- "${1%/*}/" && cat > "$1" && chmod "$2" "$1"'
_REMOVE = 'exec rm $2 -- "$1"'
_WATCH_SECONDS = 0.5
_MOST_WATCHED = 10_000
_MOST_DEPTH = 20


@dataclass(frozen=True, slots=True)
class Change:
    """A change that :meth:`SessionFiles.watch` saw."""

    kind: Literal["added", "changed", "removed"]
    path: str


class SessionFiles:
    """The files of one session's container; ``limit`` bounds the bytes of a file that is read.

    ``container`` returns its ID, which :meth:`Session.restore` changes.
    """

    def __init__(
        self, containers: ContainerService, container: Callable[[], str], limit: int
    ) -> None:
        self._containers, self._current, self._limit = containers, container, limit

    @property
    def _container(self) -> str:
        return self._current()

    def read(self, path: str) -> bytes:
        """Return the contents of a file, links followed; raise :class:`NotFoundError`."""
        packed = _Bounded(self._limit + (64 << 10))
        target = cast("io.BytesIO", packed)
        place = self._absolute(path)
        try:
            self._containers.copy(
                f"{self._container}:{place}", "-", follow_link=True, stdout=target
            )
        except _TooLargeError:
            raise _too_large(path, self._limit) from None
        packed.seek(0)
        try:
            with tarfile.open(fileobj=packed, mode="r:") as archive:
                member = archive.next()
                content = None if member is None else archive.extractfile(member)
                if content is None:
                    raise InvalidArgumentError(f"{path} is not a file", hint="list(path)")
                return content.read()
        except tarfile.TarError as error:
            raise StorageError(f"cannot read {path}: {error}") from error

    def read_text(self, path: str) -> str:
        """Return a file's text in UTF-8; what is no UTF-8 becomes a replacement character."""
        return self.read(path).decode("utf-8", "replace")

    def write(self, path: str, data: bytes | str, *, mode: int = 0o644) -> None:
        """Write a file; missing folders above it are created.  It belongs to the session's user."""
        if isinstance(data, str):
            data = data.encode()
        place = self._absolute(path)
        if posixpath.basename(place) in ("", ".", ".."):
            raise InvalidArgumentError(f"no name of a file: {path!r}")
        command = ["/bin/sh", "-c", _WRITE, "write", place, f"{mode & 0o777:o}"]
        done = self._containers.exec(
            self._container, command, interactive=True, stdin=data, check=False
        )
        if done.exit_code != 0:
            words = done.stderr.decode("utf-8", "replace").strip().splitlines()
            raise StorageError(f"cannot write {path}: {words[-1] if words else 'no space'}")

    def list(self, path: str = ".") -> Items[FolderEntry]:
        """Return the entries of a folder: ``name``, ``kind``, ``size``, ``mode``, ``modified``."""
        return self._containers.folder(self._container, self._absolute(path))[1]

    def remove(self, path: str, *, recursive: bool = False) -> None:
        """Remove a file, or with ``recursive`` a folder; a link is removed, not its target."""
        place = self._absolute(path)
        if place == "/":
            raise InvalidArgumentError("the root folder stays")
        command = ["/bin/sh", "-c", _REMOVE, "remove", place, "-r" if recursive else ""]
        done = self._containers.exec(self._container, command, check=False)
        if done.exit_code != 0:
            words = done.stderr.decode("utf-8", "replace").strip() or "rm failed"
            raise (NotFoundError if "No such file" in words else StorageError)(words)

    def watch(
        self, path: str = ".", *, timeout: float | None = None, interval: float = _WATCH_SECONDS
    ) -> Iterator[Change]:
        """Yield the changes of files below a folder, until ``timeout`` or the session's end.

        The folder is read every ``interval`` seconds, its first 10,000 entries at most.
        """
        top = self._absolute(path)
        deadline = None if timeout is None else time.monotonic() + timeout
        before = self._state(top)
        while deadline is None or time.monotonic() < deadline:
            time.sleep(interval)
            try:
                now = self._state(top)
            except NotFoundError:
                return  # the session has ended
            yield from _changes(before, now)
            before = now

    def _state(self, top: str) -> dict[str, tuple[int, float, str]]:
        """Return size, time and mode of all entries below a folder."""
        found: dict[str, tuple[int, float, str]] = {}
        folders = [(top, 0)]
        while folders and len(found) < _MOST_WATCHED:
            folder, depth = folders.pop()
            try:
                entries = self._containers.folder(self._container, folder)[1]
            except ContainersError:
                if folder == top:
                    raise
                continue  # removed in the meantime
            for entry in entries:
                place = posixpath.join(folder, entry.name)
                if entry.kind != "folder":
                    found[place] = (entry.size, entry.modified, entry.mode)
                elif depth < _MOST_DEPTH:
                    folders.append((place, depth + 1))
        return found

    def _absolute(self, path: str) -> str:
        if not path or "\0" in path:
            raise InvalidArgumentError(f"invalid path: {path!r}")
        # Not normpath: "link/.." is the kernel's to resolve.
        return self._folder if path == "." else posixpath.join(self._folder, path)

    @cached_property
    def _folder(self) -> str:
        config = self._containers.inspect(self._container)["Config"]
        return config.get("WorkingDir") or "/"


def _changes(
    before: dict[str, tuple[int, float, str]], now: dict[str, tuple[int, float, str]]
) -> Iterator[Change]:
    for path in sorted(before.keys() | now.keys()):
        if path not in now:
            yield Change("removed", path)
        elif path not in before:
            yield Change("added", path)
        elif before[path] != now[path]:
            yield Change("changed", path)


class _TooLargeError(ContainersError):
    """A file is larger than the limit."""


class _Bounded(io.BytesIO):
    """A buffer that takes a number of bytes at most."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def write(self, data: bytes) -> int:  # type: ignore[override]  # bytes are all that is written
        """Add bytes."""
        if self.tell() + len(data) > self._limit:
            raise _TooLargeError("the file is too large")
        return super().write(data)


def _too_large(path: str, limit: int) -> InvalidArgumentError:
    return InvalidArgumentError(
        f"{path} is larger than {limit} bytes",
        hint="copy it with cp, or raise the setting result_max_bytes",
    )
