"""Receives files from a client: only those changed since the last transfer of the tree.

The client sends the *stat* of every file of a tree, sorted, each folder before its contents; the
index in that list identifies a file.  A stat that differs from the tree on disk is answered with a
request; the data follows in chunks, an empty one last.  Both sides finish at the end.

The tree on disk is always consistent: a file gets its name only when it is complete and has its
time, so an interrupted transfer costs nothing but time.  Owners are not taken over, nor are
devices, sockets and extended attributes.
"""

from __future__ import annotations

import os
import shutil
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

from jupyter_containers.api.buildkit.connection import Stream
from jupyter_containers.api.buildkit.messages import (
    DATA,
    ERROR,
    FINISH,
    REQUEST,
    STAT,
    Packet,
    Stat,
)
from jupyter_containers.api.buildkit.sessions import Session
from jupyter_containers.api.buildkit.wire import MessageError
from jupyter_containers.errors import InvalidArgumentError
from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass, field
from jupyter_containers.trees import at, removal
from jupyter_containers.trees.folders import Folders
from jupyter_containers.trees.rooted import Root
from jupyter_containers.trees.walk import walk

DIFF_COPY = "/moby.filesync.v1.FileSync/DiffCopy"
# Go's bits of a mode.
_DIRECTORY, _LINK = 1 << 31, 1 << 27
_SPECIAL = 1 << 26 | 1 << 25 | 1 << 24 | 1 << 21 | 1 << 19
_SET = ((1 << 23, stat.S_ISUID), (1 << 22, stat.S_ISGID), (1 << 20, stat.S_ISVTX))
_MOST_ENTRIES = 2_000_000
_MOST_OPEN = 256
_MOST_PATH, _MOST_NAME = 4095, 255
_GROWTH = 64 << 20  # for a file that grows while it is sent
Report = Callable[[int], None]


def received(
    session: Session,
    metadata: Mapping[str, list[str]],
    folder: Path,
    cancel: CancelToken,
    report: Report,
) -> int:
    """Make ``folder/tree`` match the client's tree; return the number of received bytes.

    ``report`` is called with that count as it grows.  Incomplete files are in ``folder/parts``.
    """
    removal.remove(folder / "parts")  # left by a killed process
    for name in ("tree", "parts"):
        (folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)
    with (
        session.open(DIFF_COPY, metadata, cancel) as stream,
        session.linked(cancel),
        Root(folder / "tree") as root,
        Root(folder / "parts") as parts,
        Folders(root) as folders,
    ):
        try:
            return _Receiver(stream, root, parts, folders, cancel, report).run()
        except OSError as error:
            raise InvalidArgumentError(
                f"a file of the context cannot be written: {error.strerror}"
            ) from error


@dataclass(slots=True)
class _Arriving:
    """A file whose data is being received."""

    stat: Stat
    descriptor: int = -1
    written: int = 0

    @property
    def part(self) -> str:
        """Its temporary name, until it is complete."""
        return f"{id(self):x}"


@dataclass(slots=True)
class _Receiver:
    stream: Stream
    root: Root
    parts: Root
    folders: Folders
    cancel: CancelToken
    report: Report
    count: int = 0
    entries: int = 0
    listed: bool = False
    seen: dict[str, int] = field(default_factory=dict)
    arriving: dict[int, _Arriving] = field(default_factory=dict)
    links: list[Stat] = field(default_factory=list)
    times: list[Stat] = field(default_factory=list)
    opened: int = 0

    def run(self) -> int:
        """Receive until both sides have finished."""
        try:
            for packet in self.stream.each(Packet):
                self.cancel.check()
                self.count += len(packet.data) + 2
                if packet.type == STAT:
                    self._take_stat(packet)
                elif packet.type == DATA:
                    self._data(packet)
                elif packet.type == ERROR:
                    text = packet.data.decode("utf-8", "replace")[:500]
                    raise InvalidArgumentError(f"the client cannot send its files: {text}")
                elif packet.type == FINISH:
                    break
                else:
                    raise MessageError("an unknown step in the transfer of files")
                self.report(self.count)
        finally:
            self._give_up()
        return self.count

    def _take_stat(self, packet: Packet) -> None:
        if packet.stat is None:
            self.listed = True
            self._remove_others()
            self._finish_if_whole()
            return
        number, self.entries = self.entries, self.entries + 1
        if self.listed or number >= _MOST_ENTRIES:
            raise MessageError(f"the list of files has more than {_MOST_ENTRIES} entries")
        self.count += len(packet.stat.path) + 20
        self._enter(number, packet.stat)

    def _enter(self, number: int, one: Stat) -> None:
        path = _checked(one.path, self.seen)
        self.seen[path] = one.mode
        if one.mode & _DIRECTORY:
            self._folder(one)
        elif one.mode & _LINK:
            self._link(one)
        elif one.mode & _SPECIAL:
            del self.seen[path]  # neither sent nor kept
        elif one.linkname:
            self.links.append(one)
        elif not self._unchanged(one):
            self.arriving[number] = _Arriving(one)
            self.stream.send(Packet(type=REQUEST, id=number))

    def _unchanged(self, one: Stat) -> bool:
        folder, name = self.folders.above(one.path)
        here = at.look(folder, name)
        if here is None:
            return False
        if not stat.S_ISREG(here.st_mode):
            self._remove(folder, name, here)
            return False
        return (
            here.st_size == one.size
            and here.st_mtime_ns == one.modified
            and stat.S_IMODE(here.st_mode) == _mode(one)
            and here.st_nlink == 1
        )

    def _folder(self, one: Stat) -> None:
        folder, name = self.folders.above(one.path)
        here = at.look(folder, name)
        if here is not None and not stat.S_ISDIR(here.st_mode):
            self._remove(folder, name, here)
            here = None
        if here is None:
            at.mkdir(folder, name)
        self.times.append(one)

    def _link(self, one: Stat) -> None:
        folder, name = self.folders.above(one.path)
        here = at.look(folder, name)
        target = os.fsencode(one.linkname)
        if here is not None:
            if stat.S_ISLNK(here.st_mode) and at.readlink(folder, name) == target:
                return
            self._remove(folder, name, here)
        if not target or b"\0" in target or len(target) > _MOST_PATH:
            raise MessageError(f"the link {one.path!r} of the context has no valid target")
        at.symlink(target, folder, name)

    def _remove(self, folder: int, name: str | bytes, here: os.stat_result) -> None:
        if not stat.S_ISDIR(here.st_mode):
            at.unlink(folder, name)
            return
        above = at.reopen(folder)
        try:
            self.folders.close()  # some of them may be below a removed folder
            removal.remove_tree(above, name)
        finally:
            os.close(above)

    def _data(self, packet: Packet) -> None:
        file = self.arriving.get(packet.id)
        if file is None:
            raise MessageError("data of a file that was not asked for")
        if file.descriptor < 0:
            if self.opened >= _MOST_OPEN:
                raise MessageError("too many files are sent at a time")
            self._begin(file)
        if not packet.data:
            self._whole(packet.id, file)
            self._finish_if_whole()
            return
        file.written += len(packet.data)
        if file.written > file.stat.size + _GROWTH:
            raise MessageError(f"the file {file.stat.path!r} does not end: is it written to?")
        rest = memoryview(packet.data)
        while rest:
            rest = rest[os.write(file.descriptor, rest) :]

    def _begin(self, file: _Arriving) -> None:
        file.descriptor = at.create(self.parts.descriptor, file.part)
        self.opened += 1

    def _whole(self, number: int, file: _Arriving) -> None:
        del self.arriving[number]
        one = file.stat
        os.fchmod(file.descriptor, _mode(one))
        os.utime(file.descriptor, ns=(one.modified, one.modified))
        os.close(file.descriptor)
        self.opened -= 1
        folder, name = self.folders.above(one.path)
        at.rename(self.parts.descriptor, file.part, folder, name)

    def _remove_others(self) -> None:
        top = self.folders.open("")
        gone = [found.path for found in walk(top) if os.fsdecode(found.path) not in self.seen]
        for path in reversed(gone):
            with self.root.place(os.fsdecode(path)) as (folder, name):
                here = at.look(folder, name)
                if here is not None:
                    self._remove(folder, name, here)

    def _finish_if_whole(self) -> None:
        if not self.listed or self.arriving:
            return
        for one in self.links:
            self._hard_link(one)
        for one in reversed(self.times):
            folder, name = self.folders.above(one.path)
            at.chmod(folder, name, _mode(one))
            at.utime(folder, name, (one.modified, one.modified))
        self.stream.send(Packet(type=FINISH))

    def _hard_link(self, one: Stat) -> None:
        """Copy the target, which was sent before: files of a context are separate."""
        source = one.linkname.lstrip("/")
        if source not in self.seen:
            raise MessageError(f"the hard link {one.path!r} of the context has no valid target")
        from_folder, from_name = self.folders.above(source)
        descriptor = at.open_regular(from_folder, from_name)
        with open(descriptor, "rb") as reading:
            file = _Arriving(one)
            self._begin(file)
            with open(os.dup(file.descriptor), "wb") as writing:
                shutil.copyfileobj(reading, writing)
            folder, name = self.folders.above(one.path)
            here = at.look(folder, name)
            if here is not None:
                self._remove(folder, name, here)
            self.arriving[-1] = file
            self._whole(-1, file)

    def _give_up(self) -> None:
        for file in self.arriving.values():
            if file.descriptor >= 0:
                os.close(file.descriptor)
                at.unlink(self.parts.descriptor, file.part)


def _checked(path: str, seen: Mapping[str, int]) -> str:
    """Return a valid path of the list; raise :class:`MessageError` for one that leads outside."""
    names = path.split("/")
    raw = os.fsencode(path)
    if (
        len(raw) > _MOST_PATH
        or b"\0" in raw
        or any(name in ("", ".", "..") or len(os.fsencode(name)) > _MOST_NAME for name in names)
    ):
        raise MessageError(f"{path[:80]!r} is no path of a context")
    above = path.rpartition("/")[0]
    if above and not seen.get(above, 0) & _DIRECTORY:
        raise MessageError(f"{path[:80]!r} is in no folder that was sent")
    if path in seen:
        raise MessageError(f"{path[:80]!r} was sent twice")
    return path


def _mode(one: Stat) -> int:
    """Return the bits of a mode, without the kind."""
    return one.mode & 0o777 | sum(bit for go, bit in _SET if one.mode & go)
