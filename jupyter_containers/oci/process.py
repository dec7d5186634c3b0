"""How the kernel tells one process from a later one with the same number: proc(5), ``stat``."""

from __future__ import annotations


def start_time(stat: bytes) -> int | None:
    """Return when the process of ``/proc/<pid>/stat`` began, in clock ticks since boot.

    None for a zombie: it has ended.
    """
    # The second field is the program's name and may hold anything, ")" included.
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
