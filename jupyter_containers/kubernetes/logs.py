"""The logs of containers in a cluster.

A node keeps the log of the last run of a container.  It does not say which output a line comes
from, so all are of standard output.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from jupyter_containers.errors import ClusterUnreachableError, ContainersError
from jupyter_containers.events import CancelToken
from jupyter_containers.kubernetes.client import Patience, ending
from jupyter_containers.kubernetes.pods import Found, Pods
from jupyter_containers.kubernetes.translation import MAIN
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
    query: dict[str, Any] = {"timestamps": True, "follow": follow, "container": MAIN}
    if tail is not None:
        query["tailLines"] = tail
    if since is not None:
        query["sinceTime"] = _seconds(since)
    # sinceTime has whole seconds.
    lines_read = (
        line for line in _lines(pods, found, query, cancel) if since is None or line.time >= since
    )
    yield from _until(lines_read, until)


def _lines(
    pods: Pods, found: Found, query: dict[str, Any], cancel: CancelToken | None
) -> Iterator[LogLine]:
    """Yield the lines of a log; a connection that is cut is renewed where it ended."""
    path = pods.cluster.pods_path(found.object_name, "log")
    subject = f"log of {found.record.name}"
    last, patience = b"", Patience()
    while True:
        try:
            lines = pods.cluster.stream(path, subject, **query)
            with lines, ending(lines.end, cancel):
                for text in lines:
                    stamp = text.partition(b" ")[0]
                    if stamp <= last and patience.renewed:
                        continue
                    last = stamp
                    yield _line(text)
        except ClusterUnreachableError:
            if not query["follow"]:
                raise
        if (
            not query["follow"]
            or (cancel is not None and cancel.cancelled)
            or _is_over(pods, found)
        ):
            return
        if not patience.more():
            raise pods.cluster.unreachable(ConnectionError("the log ended before the container"))
        if last:
            query = {key: value for key, value in query.items() if key != "tailLines"}
            query["sinceTime"] = _seconds(datetime.fromisoformat(_microseconds(last.decode())))


def _is_over(pods: Pods, found: Found) -> bool:
    """Return whether a container writes no more: it has ended, or another pod took its place."""
    try:
        current = pods.find(found.record.id)
    except ClusterUnreachableError:
        return False
    except ContainersError:
        return True
    return current.object_name != found.object_name or not current.record.state.status.up


def _seconds(moment: datetime) -> str:
    return moment.astimezone().isoformat(timespec="seconds")


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
