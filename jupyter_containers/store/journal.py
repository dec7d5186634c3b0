"""The event table: numbered entries, oldest first, of which the newest are kept.

An *entry* gets the next number when its transaction commits; numbers are never reused and never
decrease, so a reader who knows the last number it saw misses nothing and reads nothing twice. Any
process may write.  A waiting reader does not poll: the kernel wakes it when a writer touches the
file beside the database (:class:`Watch`).  (A watch on the database's own write-ahead log would
wake it a moment before the new entry can be read.)
"""

from __future__ import annotations

import os
import select
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.store.database import Database
from jupyter_containers.store.linux import IN_ATTRIB, inotify

KEPT_ENTRIES = 20_000
_PRUNE_EVERY = 256
_POLL_SECONDS = 0.25  # only if the kernel grants no watch


@dataclass(frozen=True, slots=True)
class JournalEntry:
    """An event; ``time`` is nanoseconds since the epoch, ``attributes`` is JSON."""

    sequence: int
    time: int
    type: str
    action: str
    id: str
    attributes: bytes


class JournalTable:
    """The entries of a store; every method is one transaction."""

    def __init__(self, database: Database, *, kept: int = KEPT_ENTRIES) -> None:
        self._database = database
        self._kept = kept
        self._bell = database.path.with_suffix(".bell")

    def append(self, time: int, type: str, action: str, id: str, attributes: bytes) -> int:
        """Write an entry, wake the waiting readers, and return its number.

        Within another transaction, call it only inside :meth:`together`, which wakes the readers
        again.
        """
        with self._database.transaction(f"write down {type} {action}") as connection:
            cursor = connection.execute(
                "INSERT INTO journal (time, type, action, id, attributes) VALUES (?, ?, ?, ?, ?)",
                (time, type, action, id, attributes),
            )
            sequence = int(cursor.lastrowid or 0)
            if sequence % _PRUNE_EVERY == 0:
                connection.execute(
                    "DELETE FROM journal WHERE sequence <= ?", (sequence - self._kept,)
                )
        self._ring()
        return sequence

    @contextmanager
    def together(self) -> Iterator[None]:
        """Commit the block's changes of records and its entries as one transaction."""
        with self._database.transaction("change the records and write down why"):
            yield
        self._ring()

    def _ring(self) -> None:
        try:
            os.utime(self._bell)
        except FileNotFoundError:
            with suppress(OSError):
                self._bell.touch(mode=0o600)
        except OSError:
            pass  # a full or read-only disk: only the entry counts

    def after(self, sequence: int, limit: int = 1000) -> list[JournalEntry]:
        """Return up to ``limit`` entries with greater numbers, in order."""
        rows = self._database.query(
            "SELECT sequence, time, type, action, id, attributes FROM journal"
            " WHERE sequence > ? ORDER BY sequence LIMIT ?",
            (sequence, limit),
        )
        return [JournalEntry(*row) for row in rows]

    def left_out(self, entry: JournalEntry, reason: object) -> None:
        """Warn about an entry that cannot be read."""
        self._database.set_aside.note("journal", entry.sequence, reason)

    def last(self) -> int:
        """Return the number of the newest entry; 0 if there is none."""
        return int(self._database.query("SELECT MAX(sequence) FROM journal")[0][0] or 0)

    def watch(self) -> Watch:
        """Return a watch that wakes when any process has written an entry; close it after use."""
        if not self._bell.exists():
            self._ring()
        return Watch(self._bell)


class Watch:
    """Wakes when a file is touched; every 0.25 s if the kernel grants no watch."""

    def __init__(self, path: Path) -> None:
        self._descriptor = -1
        with suppress(OSError):
            self._descriptor = inotify(path, IN_ATTRIB)

    def wait(self, seconds: float) -> bool:
        """Return True when the file was touched since the last call, False after ``seconds``."""
        if self._descriptor < 0:
            import time

            time.sleep(min(seconds, _POLL_SECONDS))
            return True
        poller = select.poll()
        poller.register(self._descriptor, select.POLLIN)
        if not poller.poll(seconds * 1000):
            return False
        with suppress(BlockingIOError):
            os.read(self._descriptor, 1 << 16)
        return True

    def close(self) -> None:
        """Close the watch; a second call does nothing."""
        if self._descriptor >= 0:
            descriptor, self._descriptor = self._descriptor, -1
            os.close(descriptor)

    def __enter__(self) -> Watch:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
