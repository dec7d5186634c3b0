"""What a container wrote, read back from its monitor's log.

Vocabulary: the log is in conmon's ``k8s-file`` format, one *record* a line: time, stream, tag,
content.  The tag is ``F`` for a full line and ``P`` for a part of one whose rest follows.  The
monitor starts a new file under the same name when a size limit is set and reached.

The monitor ends an unterminated last line with an empty full record, so a reader sees a line feed
that the program did not write; attach where every byte matters.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from jupyter_containers.events import CancelToken
from jupyter_containers.runtime.pump import StreamName

_BLOCK = 1 << 16
_FOLLOW_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class LogLine:
    """One record; ``data`` ends with a line feed unless its rest follows in the next record."""

    timestamp: str
    stream: StreamName
    data: bytes

    @property
    def time(self) -> datetime:
        """When the monitor read it, with time zone; microseconds."""
        return datetime.fromisoformat(self.timestamp)

    @property
    def partial(self) -> bool:
        """True when the rest of the line follows."""
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

    ``tail`` counts full lines of the chosen streams.  With ``follow`` it goes on until ``ended()``
    is true and everything was read; ``since`` and ``until`` carry a time zone.  A missing log is
    an empty one.
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
    """Return the record in one line of the file (line feed taken off), or None if malformed."""
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
    file = _opened(path)
    try:
        if file is not None and tail is not None:
            file.seek(_tail_offset(file, tail, wanted))
        rest = b""
        while True:
            # Asked before reading: what was written before the end is then surely read.
            last = not follow or ended()
            if file is None:
                file = _opened(path)
            if file is not None:
                while chunk := file.read(_BLOCK):
                    if cancel is not None:
                        cancel.check()
                    *records, rest = (rest + chunk).split(b"\n")
                    yield from filter(None, map(parse_record, records))
                if _replaced(file, path):
                    file.close()
                    file, rest = _opened(path), b""
                    continue
            if last:
                return
            if cancel is None:
                time.sleep(_FOLLOW_SECONDS)
            else:
                cancel.wait(_FOLLOW_SECONDS)
                cancel.check()
    finally:
        if file is not None:
            file.close()


def _opened(path: Path) -> BinaryIO | None:
    try:
        return open(path, "rb")
    except FileNotFoundError:
        return None


def _replaced(file: BinaryIO, path: Path) -> bool:
    """Return True when another file has taken the name, or this one was cut short."""
    try:
        now = os.stat(path)
    except FileNotFoundError:
        return False
    mine = os.fstat(file.fileno())
    return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino) or mine.st_size < file.tell()


def _tail_offset(file: BinaryIO, count: int, wanted: set[str]) -> int:
    """Return where the last ``count`` full lines of the wanted streams begin."""
    position = file.seek(0, os.SEEK_END)
    if count <= 0:
        return position
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
                # This full line is one too many: what follows it is the tail.
                return offset + len(record) + 1
    return 0
