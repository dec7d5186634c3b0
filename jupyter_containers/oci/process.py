"""The start time of a process, which tells reused process IDs apart: proc(5), ``stat``."""

from __future__ import annotations


def start_time(stat: bytes) -> int | None:
    """Return when the process of ``/proc/<pid>/stat`` started, in clock ticks since boot.

    Returns None for a zombie: it has ended.
    """
    # The second field is the program's name and may contain anything, even ")".
    fields = stat.rpartition(b")")[2].split()
    return None if fields[0] in (b"Z", b"X") else int(fields[19])
