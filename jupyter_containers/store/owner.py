"""The owner of a piece of work: a process, told apart from later ones with the same number.

An *owner* is a process ID, the process's start time (clock ticks since boot) and the boot ID.
Staging names and leases include it, so that a sweep knows what a dead process left behind.
"""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path

from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.lazy_patterns import pattern
from jupyter_containers.oci.process import start_time

_TEXT = pattern(r"([0-9]{1,10})-([0-9]{1,20})-([0-9a-f]{8})")


@dataclass(frozen=True, slots=True)
class Owner:
    """A process: its ID, start time and the first 8 characters of the boot ID."""

    pid: int
    started: int
    boot: str

    @classmethod
    def current(cls) -> Owner:
        """Return the calling process, read once; a forked child reads its own."""
        return _current()

    @classmethod
    def parse(cls, text: str) -> Owner | None:
        """Return the owner written by :meth:`__str__`, or None."""
        match = _TEXT.fullmatch(text)
        return cls(int(match[1]), int(match[2]), match[3]) if match else None

    @property
    def alive(self) -> bool:
        """True while that process exists (a zombie does not)."""
        return self.boot == _boot_id() and _start_time(self.pid) == self.started

    def __str__(self) -> str:
        return f"{self.pid}-{self.started}-{self.boot}"


@cache
def _current() -> Owner:
    pid = os.getpid()
    return Owner(pid, _start_time(pid) or 0, _boot_id())


os.register_at_fork(after_in_child=_current.cache_clear)


def _start_time(pid: int) -> int | None:
    try:
        return start_time(Path(f"/proc/{pid}/stat").read_bytes())
    except OSError:
        return None


@cache
def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text()[:8]
    except OSError:
        return "00000000"
