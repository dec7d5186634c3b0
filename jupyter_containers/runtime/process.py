"""The identity of a process: its pid together with its start time.

A pid alone may be reused after its process has ended; the pair is unique until the next boot.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from jupyter_containers.events import CancelToken
from jupyter_containers.lazy_dataclasses import dataclass
from jupyter_containers.oci.process import start_time

POLL_SECONDS = 0.05
_DEATH_SECONDS = 5.0


@dataclass(frozen=True, slots=True)
class ProcessIdentity:
    """One process of this boot; ``start_time`` is in clock ticks since boot (proc(5), field 22)."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, pid: int) -> ProcessIdentity | None:
        """Return the identity of the live process ``pid``, or None; a zombie is not alive."""
        if pid <= 0:
            return None
        try:
            with open(f"/proc/{pid}/stat", "rb") as file:
                began = start_time(file.read())
        except OSError:
            return None
        return None if began is None else cls(pid, began)

    @property
    def alive(self) -> bool:
        """True while exactly this process is running."""
        return ProcessIdentity.of(self.pid) == self

    def open(self) -> int | None:
        """Return a pidfd of the process, or None if it has ended; the caller closes it."""
        try:
            descriptor = os.pidfd_open(self.pid)
        except OSError:
            return None
        if self.alive:
            return descriptor
        os.close(descriptor)
        return None

    def signal(self, number: int = signal.SIGKILL) -> bool:
        """Send a signal to this process and no other; return False if it has ended."""
        descriptor = self.open()
        if descriptor is None:
            return False
        try:
            with suppress(ProcessLookupError):
                signal.pidfd_send_signal(descriptor, number)
                return True
            return False
        finally:
            os.close(descriptor)

    def catches(self, number: int) -> bool:
        """Return whether this process has a handler for a signal (proc(5), SigCgt)."""
        try:
            text = Path(f"/proc/{self.pid}/status").read_text()
        except OSError:
            return False
        caught = next((line for line in text.splitlines() if line.startswith("SigCgt:")), "")
        return bool(int(caught.partition(":")[2] or "0", 16) >> (number - 1) & 1)

    def wait(self, *, timeout: float | None = None, cancel: CancelToken | None = None) -> bool:
        """Return True once the process has ended, False after ``timeout`` seconds.

        The process need not be a child.  Raises ``OperationCancelledError`` within 50 ms of a
        cancellation.
        """
        descriptor = self.open()
        if descriptor is None:
            return True
        try:
            return wait_readable(descriptor, timeout=timeout, cancel=cancel)
        finally:
            os.close(descriptor)


def find_processes(matches: Callable[[Sequence[bytes]], bool]) -> list[ProcessIdentity]:
    """Return the processes of this machine whose argument vector ``matches``."""
    found = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                words = file.read().split(b"\0")[:-1]
        except OSError:
            continue
        if words and matches(words) and (process := ProcessIdentity.of(int(name))) is not None:
            found.append(process)
    return found


def kill_processes(matches: Callable[[Sequence[bytes]], bool]) -> None:
    """Kill all processes whose argument vector ``matches``, including new ones they start."""
    deadline = time.monotonic() + _DEATH_SECONDS
    while (found := find_processes(matches)) and time.monotonic() < deadline:
        for process in found:
            process.signal(signal.SIGKILL)
        for process in found:
            process.wait(timeout=_DEATH_SECONDS)


def wait_readable(
    descriptor: int, *, timeout: float | None = None, cancel: CancelToken | None = None
) -> bool:
    """Return True when ``descriptor`` is readable, False after ``timeout`` seconds."""
    deadline = None if timeout is None else time.monotonic() + timeout
    poller = select.poll()
    poller.register(descriptor, select.POLLIN)
    while True:
        if cancel is not None:
            cancel.check()
        slice_ = POLL_SECONDS
        if deadline is not None:
            slice_ = min(slice_, max(0.0, deadline - time.monotonic()))
        if poller.poll(slice_ * 1000):
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False
