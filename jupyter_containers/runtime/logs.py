"""Reads a container's output back from its monitor's log.

Vocabulary: the log is in conmon's ``k8s-file`` format, one *record* on each line: time, stream,
tag, content.  The tag is ``F`` for a full line and ``P`` for a partial line that the next record
continues.  When the log reaches its size limit, the monitor starts a new file under the same name;
with several files the older ones are ``NAME.1``, ``NAME.2`` and so on, and a reader reads them all.

The monitor ends an unterminated last line with an empty full record, so a reader sees a line feed
that the program did not write; use attach if every byte matters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.runtime.pump import StreamName

_BLOCK = 1 << 16
_FOLLOW_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LogLine:
    """A record; ``data`` ends with a line feed unless the next record continues the line."""

    timestamp: str
    stream: StreamName
    data: bytes

    @property
    def time(self) -> datetime:
        """The time when the monitor read it, with time zone; microseconds."""
        return datetime.fromisoformat(self.timestamp)

    @property
    def partial(self) -> bool:
        """True if the next record continues the line."""
        return not self.data.endswith(b"\n")


def read_log(
    path: Path,
    *,
    follow: bool = False,
    ended: Callable[[], bool] = lambda: True,
    since: datetime | None = None,
    until: datetime | None = None,
    tail: int | None = None,
    stdout: bool = True,
    stderr: bool = True,
    cancel: CancelToken | None = None,
) -> Iterator[LogLine]:
    """Yield the records of a log, oldest first.

    ``tail`` counts full lines of the chosen streams.  With ``follow`` it continues until
    ``ended()`` is true and everything was read; ``since`` and ``until`` carry a time zone.  A
    missing log counts as empty.
    """
    wanted = {name for name, on in (("stdout", stdout), ("stderr", stderr)) if on}
    for line in _lines(path, tail, wanted, follow, ended, cancel):
        if line.stream not in wanted:
            continue
        if since is not None and line.time < since:
            continue
        if until is not None and line.time > until:
            if follow and line.time <= datetime.now(line.time.tzinfo):
                return
            continue
        yield line


def parse_record(record: bytes) -> LogLine | None:
    """Return the record in a line of the file (without line feed), or None if malformed."""
    parts = record.split(b" ", 3)
    if len(parts) < 3 or parts[1] not in (b"stdout", b"stderr"):
        return None
    content = parts[3] if len(parts) == 4 else b""
    data = content if parts[2][:1] == b"P" else content + b"\n"
    stream: StreamName = "stderr" if parts[1] == b"stderr" else "stdout"
    return LogLine(parts[0].decode("ascii", "replace"), stream, data)


def _lines(
    path: Path,
    tail: int | None,
    wanted: set[str],
    follow: bool,
    ended: Callable[[], bool],
    cancel: CancelToken | None,
) -> Iterator[LogLine]:
    files = _open_files(path)
    reading = _Reading(cancel)
    try:
        if tail is not None:
            _skip_to_tail(files, tail, wanted)
        while True:
            # Evaluated before reading, so that everything written before the end is read.
            last = not follow or ended()
            files = files or _open_files(path)
            while files:
                yield from reading.records(files[0])
                newer, known = ([], True) if files[1:] else _newer(files[0], path)
                files += newer
                if len(files) == 1:
                    break
                # Another file has taken the name: nothing is written to this one any more.
                yield from reading.records(files[0])
                if not known:
                    reading.skip_what_was_read()
                files.pop(0).close()
            if last:
                return
            if cancel is None:
                time.sleep(_FOLLOW_SECONDS)
            else:
                cancel.wait(_FOLLOW_SECONDS)
                cancel.check()
    finally:
        for file in files:
            file.close()


class _Reading:
    """A reader's position, by the time of the last record, for a file that loses its name."""

    def __init__(self, cancel: CancelToken | None) -> None:
        self._cancel = cancel
        # In the monitor's format; a reader that begins at the end has read all older records.
        self._last = datetime.now().astimezone().isoformat()
        self._skipped = ""

    def skip_what_was_read(self) -> None:
        """Skip records that were already read: their file was split into others."""
        self._skipped = self._last

    def records(self, file: BinaryIO) -> Iterator[LogLine]:
        """Yield the complete records from the file's position, and leave it behind the last."""
        for line in _records(file, self._cancel):
            if not self._skipped or line.timestamp > self._skipped:
                self._skipped, self._last = "", line.timestamp
                yield line


def _records(file: BinaryIO, cancel: CancelToken | None) -> Iterator[LogLine]:
    """Yield the complete records from the file's position, and leave it behind the last."""
    rest = b""
    while chunk := file.read(_BLOCK):
        if cancel is not None:
            cancel.check()
        *records, rest = (rest + chunk).split(b"\n")
        yield from filter(None, map(parse_record, records))
    if rest:
        file.seek(-len(rest), os.SEEK_CUR)


def _open_files(path: Path) -> list[BinaryIO]:
    """Return the files of a log, oldest first; a rotation neither hides nor repeats any."""
    files: list[BinaryIO] = []
    seen: set[int] = set()
    name, number = path, 0
    while True:
        try:
            file = open(name, "rb")  # noqa: SIM115  # the reader closes it
        except FileNotFoundError:
            return files
        inode = os.fstat(file.fileno()).st_ino
        if inode in seen:
            file.close()
        else:
            seen.add(inode)
            files.insert(0, file)
        number += 1
        name = path.with_name(f"{path.name}.{number}")


def _newer(file: BinaryIO, path: Path) -> tuple[list[BinaryIO], bool]:
    """Return the files written after this one, oldest first; none while it is the log itself.

    Returns all files, and False, if it has no name any more.
    """
    mine = os.fstat(file.fileno())
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return [], True
    if (now.st_dev, now.st_ino) == (mine.st_dev, mine.st_ino) and mine.st_size >= file.tell():
        return [], True
    files = _open_files(path)
    inodes = [os.fstat(other.fileno()).st_ino for other in files]
    known = inodes.index(mine.st_ino) + 1 if mine.st_ino in inodes[:-1] else 0
    for older in files[:known]:
        older.close()
    return files[known:], known > 0


def _skip_to_tail(files: list[BinaryIO], count: int, wanted: set[str]) -> None:
    """Position the files so that the last ``count`` full lines of the wanted streams remain."""
    for index in range(len(files) - 1, -1, -1):
        offset, count = _tail_offset(files[index], count, wanted)
        files[index].seek(offset)
        if count <= 0 and index:
            for older in files[:index]:
                older.close()
            del files[:index]
            return


def _tail_offset(file: BinaryIO, count: int, wanted: set[str]) -> tuple[int, int]:
    """Return the offset of the last ``count`` full lines of the streams, and the missing number."""
    position = file.seek(0, os.SEEK_END)
    if count <= 0:
        return position, 0
    rest = b""
    seen = 0
    while position > 0:
        size = min(_BLOCK, position)
        position -= size
        file.seek(position)
        records = (file.read(size) + rest).split(b"\n")
        rest = records.pop(0) if position else b""
        start = position + len(rest) + (1 if position else 0)
        offsets = []
        for record in records:
            offsets.append(start)
            start += len(record) + 1
        for record, offset in zip(reversed(records), reversed(offsets), strict=True):
            line = parse_record(record)
            if line is None or line.stream not in wanted or line.partial:
                continue
            seen += 1
            if seen > count:
                # This full line is one too many: the tail begins behind it.
                return offset + len(record) + 1, 0
    return 0, count - seen
