"""The logs of containers in a cluster.

A node keeps the log of the last run of a container.  It does not say which output a line comes
from, so all are of standard output.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.client import ending
from jupyter_containers.kubernetes.pods import Found, Pods
from jupyter_containers.oci.state import Status
from jupyter_containers.runtime.logs import LogLine


def read_log(
    pods: Pods,
    found: Found,
    *,
    follow: bool = False,
    since: datetime | None = None,
    until: datetime | None = None,
    tail: int | None = None,
    cancel: CancelToken | None = None,
) -> Iterator[LogLine]:
    """Yield the lines of a container's log, oldest first; with ``follow`` until it ends."""
    if found.stored is not None:
        lines = [_line(text) for text in pods.log_tail(found).splitlines()]
        lines = [line for line in lines if since is None or line.time >= since]
        yield from _until(iter(lines[-tail:] if tail else lines if tail is None else []), until)
        return
    if found.record.state.status is Status.CREATED:
        return
    query: dict[str, Any] = {"timestamps": True, "follow": follow, "container": "main"}
    if tail is not None:
        query["tailLines"] = tail
    if since is not None:
        query["sinceTime"] = since.astimezone().isoformat(timespec="seconds")
    lines_of = pods.cluster.stream(
        pods.cluster.pods_path(found.object_name, "log"), f"log of {found.record.name}", **query
    )
    with lines_of, ending(lines_of.end, cancel):
        # sinceTime has whole seconds.
        read = (_line(text) for text in lines_of)
        wanted = (line for line in read if since is None or line.time >= since)
        yield from _until(wanted, until)


def _until(lines: Iterator[LogLine], until: datetime | None) -> Iterator[LogLine]:
    for line in lines:
        if until is not None and line.time > until:
            return
        yield line


def _line(text: bytes) -> LogLine:
    stamp, _, data = text.partition(b" ")
    return LogLine(_microseconds(stamp.decode("ascii", "replace")), "stdout", data + b"\n")


def _microseconds(stamp: str) -> str:
    """Return an RFC 3339 time with at most six decimals, as Python reads it."""
    seconds, dot, rest = stamp.partition(".")
    digits = rest.rstrip("Z")
    if not dot or not digits.isdecimal():
        return stamp
    return f"{seconds}.{digits[:6]:0<6}+00:00"
